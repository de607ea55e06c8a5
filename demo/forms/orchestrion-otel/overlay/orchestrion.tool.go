//go:build tools

// Package tools names the aspects that Orchestrion weaves into this module.
package tools

import (
	_ "github.com/DataDog/orchestrion"
	_ "lab.example/otelboot"
)
