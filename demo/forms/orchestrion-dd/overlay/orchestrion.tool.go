//go:build tools

// Package tools names the integrations that Orchestrion weaves into this module: those for net/http, gRPC and
// database/sql, instead of everything that dd-trace-go has.
package tools

import (
	_ "github.com/DataDog/dd-trace-go/contrib/database/sql/v2"
	_ "github.com/DataDog/dd-trace-go/contrib/google.golang.org/grpc/v2"
	_ "github.com/DataDog/dd-trace-go/contrib/net/http/v2"
	_ "github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
	_ "github.com/DataDog/orchestrion"
)
