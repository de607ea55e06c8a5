package delay

import (
	"context"
	"testing"
	"time"
)

func TestSpendIsRealised(t *testing.T) {
	for _, want := range []time.Duration{20 * time.Microsecond, 2 * time.Millisecond} {
		for name, d := range map[string]Delay{"cpu": {CPU: want}, "wait": {Wait: want}} {
			// The best of many: a busy machine may stretch any single one.
			best := time.Hour
			for range 50 {
				spent := d.Spend(t.Context())
				if spent < want {
					t.Fatalf("%s %v: spent only %v", name, want, spent)
				}
				best = min(best, spent)
			}
			if best > want+want/2+10*time.Microsecond {
				t.Errorf("%s %v: never closer than %v", name, want, best)
			}
		}
	}
}

// TestCPUIsCPU: burning is not waiting, so it shows on the process's clock.
func TestCPUIsCPU(t *testing.T) {
	const want = 50 * time.Millisecond
	before := processCPU(t)
	Delay{CPU: want}.Spend(t.Context())
	if used := processCPU(t) - before; used < want*9/10 {
		t.Errorf("burning %v used %v of CPU", want, used)
	}
}

func TestSpendEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, d := range []Delay{{CPU: Max}, {Wait: Max}} {
		if spent := d.Spend(ctx); spent > time.Second {
			t.Errorf("%+v spent %v for a caller who has gone", d, spent)
		}
	}
}

func TestValidate(t *testing.T) {
	for d, ok := range map[Delay]bool{
		{}: true, {CPU: 1}: true, {Wait: Max}: true,
		{CPU: -1}: false, {Wait: Max + 1}: false, {CPU: 1, Wait: 1}: false,
	} {
		if err := d.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v", d, err)
		}
	}
}
