package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
)

// logTap passes records on and keeps the facts that the agent tells nowhere but in its log.
type logTap struct {
	next        slog.Handler
	shared      *tapFacts
	lostSamples *atomic.Int64
}

type tapFacts struct {
	mu      sync.Mutex
	probes  []string
	lookups int
}

func newLogTap(next slog.Handler) *logTap {
	return &logTap{next: next, shared: &tapFacts{}, lostSamples: &atomic.Int64{}}
}

// Enabled is always true: losses are told at debug level only.
func (t *logTap) Enabled(context.Context, slog.Level) bool { return true }

// Handle notes the messages named here (texts of v0.24.0) and forwards what the printer wants.
func (t *logTap) Handle(ctx context.Context, record slog.Record) error {
	switch {
	case record.Message == "loading probe":
		t.note(func(f *tapFacts) { f.probes = append(f.probes, attrText(record, "name")) })
	case strings.HasPrefix(record.Message, "Offset not cached"):
		t.note(func(f *tapFacts) { f.lookups++ })
	case record.Message == "perf event ring buffer full":
		record.Attrs(func(a slog.Attr) bool {
			if a.Key == "dropped" {
				t.lostSamples.Add(int64(a.Value.Uint64()))
			}
			return true
		})
	}
	if !t.next.Enabled(ctx, record.Level) {
		return nil
	}
	return t.next.Handle(ctx, record)
}

func (t *logTap) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logTap{next: t.next.WithAttrs(attrs), shared: t.shared, lostSamples: t.lostSamples}
}

func (t *logTap) WithGroup(name string) slog.Handler {
	return &logTap{next: t.next.WithGroup(name), shared: t.shared, lostSamples: t.lostSamples}
}

func (t *logTap) note(change func(*tapFacts)) {
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	change(t.shared)
}

func (t *logTap) probes() []string {
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	return append([]string{}, t.shared.probes...)
}

func (t *logTap) lookups() int {
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	return t.shared.lookups
}

func attrText(record slog.Record, key string) (text string) {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			text = a.Value.String()
		}
		return a.Key != key
	})
	return text
}
