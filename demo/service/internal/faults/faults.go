// Package faults decides which requests are disturbed on purpose. A decision
// depends on the seed and the request's id only: the same load is disturbed in
// the same way however the service was built and in whatever order it runs.
package faults

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// MaxLatency bounds the injected latency.
const MaxLatency = time.Minute

// Plan says how much to disturb.
type Plan struct {
	Seed         int64
	ErrorPercent float64       // of requests answered with an error instead
	Latency      time.Duration // mean extra latency; each request gets 0.5 to 1.5 of it
}

// Validate says what is wrong with p, if anything.
func (p Plan) Validate() error {
	if !(p.ErrorPercent >= 0 && p.ErrorPercent <= 100) { // NaN fails too
		return errors.New("--inject-error-pct takes a percentage from 0 to 100")
	}
	if p.Latency < 0 || p.Latency > MaxLatency {
		return errors.New("--inject-latency takes a duration from 0 to 1m")
	}
	return nil
}

// Injector applies a Plan to requests.
type Injector struct {
	plan  Plan
	count atomic.Uint64
}

// New returns an Injector for p.
func New(p Plan) *Injector { return &Injector{plan: p} }

// Enabled reports whether anything is ever disturbed.
func (i *Injector) Enabled() bool { return i.plan.ErrorPercent > 0 || i.plan.Latency > 0 }

// Fault is the decision about one request.
type Fault struct {
	Fail    bool
	Latency time.Duration
}

// Decide decides about the request called id. A request without an id is
// numbered, so only a serial run of such requests repeats exactly.
func (i *Injector) Decide(id string) Fault {
	if id == "" {
		id = strconv.FormatUint(i.count.Add(1), 10)
	}
	hash := fnv.New64a()
	hash.Write([]byte(id))
	r := rand.New(rand.NewPCG(uint64(i.plan.Seed), hash.Sum64()))
	return Fault{
		Fail:    r.Float64()*100 < i.plan.ErrorPercent,
		Latency: time.Duration((0.5 + r.Float64()) * float64(i.plan.Latency)),
	}
}

// Wait sleeps for the fault's latency, or until ctx ends.
func (f Fault) Wait(ctx context.Context) error { return Sleep(ctx, f.Latency) }

// Sleep sleeps for length and returns nil, or ctx's error when that ends first.
func Sleep(ctx context.Context, length time.Duration) error {
	if length <= 0 {
		return nil
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
