package faults

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestDecideIsSeeded(t *testing.T) {
	plan := Plan{Seed: 3, ErrorPercent: 50, Latency: time.Millisecond}
	one, other := New(plan), New(plan)
	plan.Seed = 4
	reseeded := New(plan)
	differ := 0
	for i := range 200 {
		id := fmt.Sprint("request-", i)
		if one.Decide(id) != other.Decide(id) {
			t.Fatalf("%s is decided differently the second time", id)
		}
		if one.Decide(id) != reseeded.Decide(id) {
			differ++
		}
	}
	if differ < 190 {
		t.Errorf("another seed changes only %d of 200 decisions", differ)
	}
}

func TestDecideKeepsToThePlan(t *testing.T) {
	injector := New(Plan{Seed: 1, ErrorPercent: 10, Latency: 4 * time.Millisecond})
	const n = 10_000
	failed, latency := 0, time.Duration(0)
	for range n {
		fault := injector.Decide("") // numbered
		if fault.Fail {
			failed++
		}
		if fault.Latency < 2*time.Millisecond || fault.Latency > 6*time.Millisecond {
			t.Fatalf("latency %v is not within half of 4ms", fault.Latency)
		}
		latency += fault.Latency
	}
	if failed < 900 || failed > 1100 {
		t.Errorf("%d of %d fail, want about 10%%", failed, n)
	}
	if mean := latency / n; mean < 3900*time.Microsecond || mean > 4100*time.Microsecond {
		t.Errorf("mean latency is %v, want about 4ms", mean)
	}
}

func TestValidate(t *testing.T) {
	for plan, ok := range map[Plan]bool{
		{}: true, {ErrorPercent: 100, Latency: MaxLatency}: true,
		{ErrorPercent: -1}: false, {ErrorPercent: 101}: false, {ErrorPercent: math.NaN()}: false,
		{Latency: -1}: false, {Latency: MaxLatency + 1}: false,
	} {
		if err := plan.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v", plan, err)
		}
	}
}

func TestSleepEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Sleep(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep = %v", err)
	}
	if err := Sleep(ctx, 0); err != nil {
		t.Errorf("Sleep(0) = %v", err)
	}
}
