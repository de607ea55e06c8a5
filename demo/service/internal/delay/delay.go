// Package delay makes a request more expensive by a known amount. It is how an
// experiment checks that it can see an effect of that size at all.
package delay

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Max bounds a configured delay; a longer one is a slip of the pen.
const Max = 10 * time.Second

// Delay is what every request spends extra. At most one of the two is set,
// so that the realised figure has one meaning. The zero Delay spends nothing.
type Delay struct {
	CPU  time.Duration // burnt on the thread's CPU clock
	Wait time.Duration // waited on the monotonic clock

	beside time.Duration // CPU that a burn takes beside what its clock shows
}

// Calibrated is d, which from then on counts what burning takes beside the
// burn itself: half of its looks at the clock are outside of what they show.
// That is microseconds, and matters where a request takes not many more.
func (d Delay) Calibrated() Delay {
	if d.CPU > 0 {
		d.beside = beside()
	}
	return d
}

// Validate says what is wrong with d, if anything.
func (d Delay) Validate() error {
	switch {
	case d.CPU < 0 || d.Wait < 0 || d.CPU > Max || d.Wait > Max:
		return errors.New("--delay-cpu and --delay-wait take a duration from 0 to 10s")
	case d.CPU > 0 && d.Wait > 0:
		return errors.New("--delay-cpu and --delay-wait exclude each other: give one")
	}
	return nil
}

// Enabled reports whether d spends anything.
func (d Delay) Enabled() bool { return d.CPU > 0 || d.Wait > 0 }

// Spend spends the delay on the calling goroutine and returns what it really
// was. It ends early when ctx does.
func (d Delay) Spend(ctx context.Context) time.Duration {
	if d.CPU > 0 {
		return burn(ctx, d.CPU) + d.beside
	}
	if d.Wait > 0 {
		return wait(ctx, d.Wait)
	}
	return 0
}

// wait yields until the time is over. Not time.Sleep: an idle Go server
// oversleeps 200 µs by about a millisecond.
func wait(ctx context.Context, length time.Duration) time.Duration {
	start := time.Now()
	for {
		passed := time.Since(start)
		if passed >= length || ctx.Err() != nil {
			return passed
		}
		runtime.Gosched()
	}
}

// burn uses up CPU time of the current thread: time it spends preempted does
// not count, so the cost is the same on a busy machine.
func burn(ctx context.Context, length time.Duration) time.Duration {
	runtime.LockOSThread() // the clock is the thread's, so stay on it
	defer runtime.UnlockOSThread()
	start := threadCPU()
	for {
		for range spins {
			spin()
		}
		burnt := threadCPU() - start
		if burnt >= length || ctx.Err() != nil {
			return burnt
		}
	}
}

// beside is the least of several means: whatever disturbs one makes it larger.
func beside() time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := Max
	for range batches {
		var burnt time.Duration
		start := threadCPU()
		for range batch {
			burnt += burn(context.Background(), 1)
		}
		least = min(least, (threadCPU()-start-burnt)/batch)
	}
	return max(0, least)
}

const batches, batch = 20, 50

// spins is how many turns go between two looks at the clock: well under a
// microsecond, since a look is itself a system call.
const spins = 100

// spin is a call the compiler may not remove.
//
//go:noinline
func spin() {}

// threadCPU is the CPU time the current thread has used. It cannot fail on a
// system that has the clock; if it does the delay would never end, so panic.
func threadCPU() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic("thread CPU clock: " + err.Error())
	}
	return time.Duration(now.Nano())
}
