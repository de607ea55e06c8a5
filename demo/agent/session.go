package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/auto"
	"go.opentelemetry.io/auto/pipeline"
	"go.opentelemetry.io/auto/pipeline/otelsdk"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// session is one attached agent.
type session struct {
	pid     int
	tap     *logTap
	counts  *counts
	handler *otelsdk.TraceHandler
	cancel  context.CancelFunc
	claim   *claim
	ended   chan struct{} // closed when the agent's loop has returned
	loopErr error         // set before ended is closed
	once    sync.Once
	err     error
}

// attach loads every probe that the target uses, except those in off, and starts delivering spans.
//
// It returns only after all probes are in place; on an error nothing is left attached.
func attach(ctx context.Context, target *target, off []probeID, printer slog.Handler) (_ *session, err error) {
	held, err := claimTarget(target.pid)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			held.release()
		}
	}()
	if err := clearStale(bpffsRoot, target.pid); err != nil {
		return nil, err
	}
	s := &session{pid: target.pid, tap: newLogTap(printer), counts: &counts{}, claim: held, ended: make(chan struct{})}
	if s.handler, err = newHandler(ctx, s.counts, slog.New(printer)); err != nil {
		return nil, err
	}
	agent, err := auto.NewInstrumentation(ctx,
		auto.WithPID(target.pid),
		auto.WithLogger(slog.New(s.tap)),
		auto.WithConfigProvider(newFixedConfig(off)),
		auto.WithHandler(&pipeline.Handler{TraceHandler: countingHandler{s.handler, s.counts}}))
	if err != nil {
		return nil, err
	}
	if err := agent.Load(ctx); err != nil {
		return nil, err
	}
	loop, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.ended)
		s.loopErr = agent.Run(loop)
	}()
	return s, nil
}

// newHandler makes the SDK pipeline: batches by OTEL_BSP_*, OTLP over HTTP by OTEL_EXPORTER_OTLP_*.
func newHandler(ctx context.Context, counts *counts, log *slog.Logger) (*otelsdk.TraceHandler, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the exporter: %w", err)
	}
	// WithEnv comes first: it also sets an exporter of its own, which ours must replace.
	handler, err := otelsdk.NewTraceHandler(ctx, otelsdk.WithEnv(), otelsdk.WithLogger(log),
		otelsdk.WithTraceExporter(countingExporter{exporter, counts}))
	if err != nil {
		return nil, fmt.Errorf("make the span pipeline: %w", err)
	}
	return handler, nil
}

// detach takes the probes off, sends the spans still held and checks that nothing is left.
// Calling it again returns the first outcome.
func (s *session) detach() error {
	s.once.Do(func() {
		s.cancel()
		<-s.ended
		problems := []error{s.loopErr}
		failedBefore := s.counts.failed.Load()
		flush, cancel := context.WithTimeout(context.Background(), flushLimit)
		defer cancel()
		if err := s.handler.Shutdown(flush); err != nil {
			problems = append(problems, fmt.Errorf("send the last spans: %w", err))
		} else if lost := s.counts.failed.Load() - failedBefore; lost > 0 {
			problems = append(problems, fmt.Errorf("send the last spans: %d were not accepted", lost))
		}
		pins := pinFolder(bpffsRoot, s.pid)
		if _, err := os.Stat(pins); !errors.Is(err, os.ErrNotExist) {
			problems = append(problems, fmt.Errorf("%s is still there after detaching", pins))
		}
		s.claim.release()
		s.err = errors.Join(problems...)
	})
	return s.err
}

// tally is what became of the spans: Handled = Exported + Failed + those the batch queue dropped.
type tally struct {
	Handled      int64 `json:"handled"`
	Exported     int64 `json:"exported"`
	Failed       int64 `json:"export_failed"`
	QueueDropped int64 `json:"queue_dropped"`
	// LostSamples counts events the kernel dropped because the ring to user space was full.
	LostSamples int64 `json:"lost_samples"`
}

// tally is final once detach has returned.
func (s *session) tally() tally {
	t := tally{
		Handled:     s.counts.handled.Load(),
		Exported:    s.counts.exported.Load(),
		Failed:      s.counts.failed.Load(),
		LostSamples: s.tap.lostSamples.Load(),
	}
	t.QueueDropped = t.Handled - t.Exported - t.Failed
	return t
}

// counts follow spans through the pipeline.
type counts struct {
	handled, exported, failed atomic.Int64
}

// countingHandler counts what the probes delivered.
type countingHandler struct {
	next   pipeline.TraceHandler
	counts *counts
}

func (h countingHandler) HandleTrace(scope pcommon.InstrumentationScope, url string, spans ptrace.SpanSlice) {
	h.counts.handled.Add(int64(spans.Len()))
	h.next.HandleTrace(scope, url, spans)
}

// countingExporter counts what the collector accepted.
type countingExporter struct {
	sdktrace.SpanExporter
	counts *counts
}

func (e countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.counts.failed.Add(int64(len(spans)))
	} else {
		e.counts.exported.Add(int64(len(spans)))
	}
	return err
}
