// Command shop is a conference ticket shop in four parts: gateway, catalog,
// pricing and orders. It runs them all in one process or each in its own.
//
// It knows nothing about tracing, on purpose: it is what an instrumentation
// that leaves the source alone is given to work on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// buildID names the build; the linker sets it.
var buildID = "dev"

// main returns, rather than exits, after a clean end: what an instrumentation
// defers in it still runs.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "shop:", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		os.Exit(2)
	}
	os.Exit(1)
}
