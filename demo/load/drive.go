package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// outcome is a finished run: the rows after the warm-up, in the order of their intended times.
type outcome struct {
	rows        []row
	cpuS        float64 // of this process, from the first row's intended time to the last answer
	maxInFlight int
	interrupted bool
}

// lead is the time between the decision to start and the first request: enough for the pacing
// thread to be asleep when it is due.
const lead = 20 * time.Millisecond

// drive sends the whole plan and waits for every answer or its time limit.
func drive(ctx context.Context, plan *Plan) outcome {
	stream, times := newStream(plan), arrivals(plan)
	rows := make([]row, len(times)) // everything is made before the start: nothing but sending is timed
	for i := range rows {
		rows[i].request = stream.at(uint64(i))
	}
	runtime.GC()
	clock := newClock()
	sender := newSender(plan, clock)
	defer sender.transport.CloseIdleConnections()

	var inFlight, highest atomic.Int64
	var answers sync.WaitGroup
	var cpuStart float64
	interrupted := false
	inTurn, pause := plan.Arrivals == sequential, sleepUntil
	if inTurn {
		pause = sleepIdle
	} else {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		sharpenTimer()
	}
	start := time.Now().Add(lead)
	sent := 0
	for i := range rows {
		due := start.Add(times[i])
		if late := time.Since(due); late > 0 && inTurn {
			start, due = start.Add(late), due.Add(late) // whatever held it up holds the rest up too: nothing bunches
		}
		if pause(ctx, due) != nil {
			interrupted = true
			break
		}
		sent = i + 1
		if i == plan.WarmupRequests {
			cpuStart = cpuSeconds()
			highest.Store(inFlight.Load())
		}
		row := &rows[i]
		row.intendedNS = clock.wallNS + int64(due.Sub(clock.anchor))
		flying := inFlight.Add(1)
		if flying > int64(plan.MaxInFlight) {
			inFlight.Add(-1)
			row.notSent, row.delayNS, row.startNS, row.endNS = true, -1, clock.now(), clock.now()
			continue
		}
		highest.Store(max(highest.Load(), flying))
		send := func() {
			defer inFlight.Add(-1)
			sender.send(context.WithoutCancel(ctx), row)
		}
		if inTurn {
			send()
		} else {
			answers.Go(send)
		}
	}
	answers.Wait()
	return outcome{
		rows:        rows[min(plan.WarmupRequests, sent):sent],
		cpuS:        cpuSeconds() - cpuStart,
		maxInFlight: int(highest.Load()),
		interrupted: interrupted,
	}
}

// sharpenTimer lets this thread wake when it asks to: the kernel must not round its sleeps (it allows
// itself 50 µs), and on a busy machine it must not queue behind the service for a whole time slice.
// The thread is awake for some microseconds a request. Threads started from it are ordinary again.
// Where the kernel refuses (real-time scheduling needs CAP_SYS_NICE), the late counter shows it.
func sharpenTimer() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
}

// rawBelow is how short a sleep keeps the runtime out: the thread then holds its scheduling slot and
// need not wait for one on waking. A garbage collection may have to wait for it, so it is short.
const rawBelow = 2 * time.Millisecond

// sleepUntil returns at due, or with ctx's error. The kernel's own sleep is used: the runtime's
// timers come up to a millisecond late in an idle process.
func sleepUntil(ctx context.Context, due time.Time) error {
	const step = 100 * time.Millisecond // how soon an interruption is seen
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(due)
		if left <= 0 {
			return nil
		}
		if left < rawBelow {
			span := unix.NsecToTimespec(int64(left))
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&span)), 0, 0) // cut short: the loop goes on
			continue
		}
		span := unix.NsecToTimespec(int64(min(left-rawBelow/2, step)))
		if err := unix.Nanosleep(&span, nil); err != nil && !errors.Is(err, unix.EINTR) {
			time.Sleep(min(left, step))
		}
	}
}

// sleepIdle does the same and leaves the runtime idle meanwhile: while a thread keeps its slot asleep, the runtime's
// monitor wakes every 20 µs to look after it. Where instructions are counted nobody minds a late send, and everybody
// waits for those wake-ups: they cost more than all requests.
func sleepIdle(ctx context.Context, due time.Time) error {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cpuSeconds is the user and system time this process has used.
func cpuSeconds() float64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / float64(time.Second)
}
