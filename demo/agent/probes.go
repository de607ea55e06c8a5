package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/auto"
	"go.opentelemetry.io/otel/trace"
)

// probeID names one probe, or all probes of a package when kind is unspecified.
type probeID struct {
	pkg  string
	kind trace.SpanKind
}

// known are the probes of v0.24.0. A name outside it is refused: a switch that silently does
// nothing would make two forms look alike.
var known = []probeID{
	{"database/sql", trace.SpanKindClient},
	{"net/http", trace.SpanKindClient},
	{"net/http", trace.SpanKindServer},
	{"google.golang.org/grpc", trace.SpanKindClient},
	{"google.golang.org/grpc", trace.SpanKindServer},
	{"github.com/segmentio/kafka-go", trace.SpanKindProducer},
	{"github.com/segmentio/kafka-go", trace.SpanKindConsumer},
	{"go.opentelemetry.io/auto", trace.SpanKindClient},
	{"go.opentelemetry.io/otel/trace", trace.SpanKindClient},
	{"go.opentelemetry.io/otel/internal/global", trace.SpanKindClient},
}

// parseOff reads "PACKAGE[:KIND],..." into probes to leave out.
func parseOff(list string) ([]probeID, error) {
	var off []probeID
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		pkg, kind, _ := strings.Cut(item, ":")
		matched := false
		for _, probe := range known {
			if probe.pkg == pkg && (kind == "" || probe.kind.String() == kind) {
				off = append(off, probe)
				matched = true
			}
		}
		if !matched {
			return nil, fmt.Errorf("--off: no probe %q; there are %s", item, strings.Join(knownNames(), ", "))
		}
	}
	return off, nil
}

func knownNames() []string {
	var names []string
	for _, probe := range known {
		names = append(names, probe.pkg+":"+probe.kind.String())
	}
	slices.Sort(names)
	return names
}

// fixedConfig is an auto.ConfigProvider that never changes. Everything is sampled: the forms must
// differ in the form only.
type fixedConfig struct {
	config  auto.InstrumentationConfig
	updates chan auto.InstrumentationConfig
}

func newFixedConfig(off []probeID) fixedConfig {
	no := false
	libraries := map[auto.InstrumentationLibraryID]auto.InstrumentationLibrary{}
	for _, probe := range off {
		id := auto.InstrumentationLibraryID{InstrumentedPkg: probe.pkg, SpanKind: probe.kind}
		libraries[id] = auto.InstrumentationLibrary{TracesEnabled: &no}
	}
	return fixedConfig{
		config:  auto.InstrumentationConfig{InstrumentationLibraryConfigs: libraries, Sampler: auto.DefaultSampler()},
		updates: make(chan auto.InstrumentationConfig),
	}
}

func (c fixedConfig) InitialConfig(context.Context) auto.InstrumentationConfig { return c.config }
func (c fixedConfig) Watch() <-chan auto.InstrumentationConfig                 { return c.updates }
func (c fixedConfig) Shutdown(context.Context) error                           { return nil }
