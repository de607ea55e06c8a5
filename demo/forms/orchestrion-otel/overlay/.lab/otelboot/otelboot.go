// Package otelboot is what orchestrion.yml weaves into a service that knows nothing of telemetry: it starts the
// OpenTelemetry SDK from the OTEL_* variables and wraps net/http's servers and clients.
package otelboot

import (
	"context"
	"log"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// flushTimeout bounds how long the end of main may wait for the last spans.
const flushTimeout = 4 * time.Second

// Start installs the global tracer provider and propagator and returns its flush, to be deferred by main.
// A service that cannot export must still serve: errors are logged, never returned.
func Start() (flush func()) {
	exporter, err := otlptrace.New(context.Background(), otlptracehttp.NewClient())
	if err != nil {
		log.Print("otelboot: ", err)
		return func() {}
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(quiet{exporter}))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		propagation.TraceContext{}, propagation.Baggage{}))
	startClient()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Print("otelboot: ", err)
		}
	}
}

// quiet marks the exporter's own requests as already inside the client hook, or each export would make a span.
type quiet struct{ sdktrace.SpanExporter }

func (q quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return q.SpanExporter.ExportSpans(context.WithValue(ctx, insideKey{}, (*call)(nil)), spans)
}
