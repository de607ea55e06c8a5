// Package grpcboot gives the options that are appended where a service makes a gRPC server or client.
package grpcboot

import (
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
)

// Server is the option appended to grpc.NewServer.
func Server() grpc.ServerOption { return grpc.StatsHandler(otelgrpc.NewServerHandler()) }

// Client is the option appended to grpc.NewClient and the two Dials.
func Client() grpc.DialOption { return grpc.WithStatsHandler(otelgrpc.NewClientHandler()) }
