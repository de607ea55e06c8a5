//go:build tools

// Package tools pins the Orchestrion that weaves the compile-time forms; it is never compiled itself.
package tools

import _ "github.com/DataDog/orchestrion"
