package main

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"
)

// grace is how long an interrupted load waits for answers that are still out.
const grace = 300 * time.Millisecond

// window is one line on stdout: what happened to every target since the last one. Targets get the same
// requests at the same times, so windows of one number compare.
type window struct {
	Window  int              `json:"window"`
	Seconds float64          `json:"seconds"`
	WallNS  int64            `json:"wall_ns"` // at its end
	CPUS    float64          `json:"cpu_s"`   // of this process, for all targets
	Forms   map[string]tally `json:"forms"`
}

// total is the last line.
type total struct {
	Ended       bool             `json:"ended"`
	Interrupted bool             `json:"interrupted"`
	Seconds     float64          `json:"seconds"` // first request due to last answer
	Forms       map[string]tally `json:"forms"`
}

// tally counts the answers of one target. Latencies are from the intended time.
type tally struct {
	Sent     int            `json:"sent"`
	Done     int            `json:"done"`
	Errors   int            `json:"errors"` // of those done: not what the plan expects
	Late     int            `json:"late"`   // of those done: as in the summary of a single target
	InFlight int            `json:"in_flight"`
	P50NS    *int64         `json:"p50_ns"` // null: none was answered
	P99NS    *int64         `json:"p99_ns"`
	ByType   map[string]int `json:"by_type"` // done
	Builds   map[string]int `json:"builds"`  // done, by the build that answered
}

// lane is one target.
type lane struct {
	Target
	mu             sync.Mutex
	sent, inFlight int
	rows           []row // answered; those before `told` are in earlier windows
	told, toldSent int
}

func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.inFlight++
}

func (l *lane) arrive(r row, counts bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	if counts {
		l.rows = append(l.rows, r)
	}
}

// window counts what came since the last call.
func (l *lane) window() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := tallied(l.rows[l.told:])
	t.Sent, t.InFlight = l.sent-l.toldSent, l.inFlight
	l.told, l.toldSent = len(l.rows), l.sent
	return t
}

func (l *lane) total() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := tallied(l.rows)
	t.Sent, t.InFlight = l.sent, l.inFlight
	return t
}

func tallied(rows []row) tally {
	t := tally{Done: len(rows), ByType: map[string]int{}, Builds: map[string]int{}}
	var latencies []int64
	for i := range rows {
		r := &rows[i]
		t.ByType[r.kind.Name]++
		t.Builds[r.build]++
		if !r.expected() {
			t.Errors++
		}
		if r.completed() {
			latencies = append(latencies, r.endNS-r.intendedNS)
		}
	}
	limit := int64(time.Millisecond)
	if len(latencies) > 0 {
		slices.Sort(latencies)
		p50, p99 := int64(percentile(latencies, 50)), int64(percentile(latencies, 99))
		t.P50NS, t.P99NS = &p50, &p99
		limit = max(limit, p50/100)
	}
	for i := range rows {
		if rows[i].startNS-rows[i].intendedNS > limit {
			t.Late++
		}
	}
	return t
}

// driveSeveral sends the plan to all its targets at once and prints a window every so often. In a
// sequential plan each target gets a request when the one before it has answered. Which target comes
// first goes round, so that none always is.
func driveSeveral(ctx context.Context, plan *Plan, every time.Duration, stdout io.Writer) bool {
	stream, times := newStream(plan), arrivals(plan)
	requests := make([]request, len(times))
	for i := range requests {
		requests[i] = stream.at(uint64(i))
	}
	lanes := make([]*lane, len(plan.Targets))
	for i, target := range plan.Targets {
		lanes[i] = &lane{Target: target}
	}
	runtime.GC()
	clock := newClock()
	sender := newSender(plan, clock)
	defer sender.transport.CloseIdleConnections()
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, giveUp) })()

	inTurn, pause := plan.Arrivals == sequential, sleepUntil
	if inTurn {
		pause = sleepIdle
	}
	start := time.Now().Add(lead)
	first, ended, printed := start, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(printed)
		printWindows(lanes, first, every, ended, stdout)
	}()
	if !inTurn {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		sharpenTimer()
	}
	var answers sync.WaitGroup
	interrupted := false
	for i := range requests {
		due := start.Add(times[i])
		if late := time.Since(due); late > 0 && inTurn {
			start, due = start.Add(late), due.Add(late)
		}
		if interrupted = pause(ctx, due) != nil; interrupted {
			break
		}
		for k := range lanes {
			lane := lanes[(i+k)%len(lanes)]
			if inTurn {
				due = time.Now()
			}
			r := row{request: requests[i].to(lane.Target), intendedNS: clock.wallNS + int64(due.Sub(clock.anchor))}
			lane.leave()
			send := func() {
				sender.send(sending, &r)
				lane.arrive(r, sending.Err() == nil)
			}
			if inTurn {
				send()
			} else {
				answers.Go(send)
			}
		}
	}
	answers.Wait()
	interrupted = interrupted || ctx.Err() != nil
	close(ended)
	<-printed
	last := total{Ended: true, Interrupted: interrupted, Seconds: time.Since(first).Seconds(), Forms: map[string]tally{}}
	for _, lane := range lanes {
		last.Forms[lane.Name] = lane.total()
	}
	printLine(stdout, last)
	return interrupted
}

// printWindows prints at whole multiples of every after start, and once more at the end.
func printWindows(lanes []*lane, start time.Time, every time.Duration, ended <-chan struct{}, stdout io.Writer) {
	from, cpu := start, cpuSeconds()
	for n := 0; ; n++ {
		last := false
		select {
		case <-time.After(time.Until(start.Add(time.Duration(n+1) * every))):
		case <-ended:
			last = true
		}
		now, used := time.Now(), cpuSeconds()
		line := window{Window: n, Seconds: now.Sub(from).Seconds(), WallNS: now.UnixNano(), CPUS: used - cpu, Forms: map[string]tally{}}
		for _, lane := range lanes {
			line.Forms[lane.Name] = lane.window()
		}
		printLine(stdout, line)
		if from, cpu = now, used; last {
			return
		}
	}
}
