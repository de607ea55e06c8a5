//go:build tools

// Package tools is what `orchestrion pin` writes: this service was woven before, with aspects of its own.
package tools

import (
	_ "github.com/DataDog/dd-trace-go/contrib/net/http/v2"
	_ "github.com/DataDog/orchestrion"
)
