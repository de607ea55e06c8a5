// Command lab-load sends an open-loop stream of HTTP requests and tells what came back.
//
// Open loop: requests leave at times fixed beforehand, whether or not earlier ones were answered,
// and latency counts from the intended time. A service that stalls therefore shows the stall in
// every request that fell into it, not in one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
)

func main() {
	preferOurselves()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOMAXPROCS") == "" {
		// The pacing thread sleeps inside a system call and keeps its slot: give it one of its own.
		runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	}
	debug.SetGCPercent(400) // fewer collections in the middle of a window; the live heap is small
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// preferred marks the process that preferOurselves has already started again.
const preferred = "LAB_LOAD_PREFERRED"

// preferOurselves starts this program again with a higher priority, which only a process's first
// thread can pass on to all others. A request that leaves late measures the generator, not the
// service, and on the same CPUs both queue for them. Where the kernel refuses (it needs
// CAP_SYS_NICE) we go on as we are, and the late counter tells.
func preferOurselves() {
	const nice = -15
	self, err := os.Executable()
	if os.Getenv(preferred) != "" || err != nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice) == nil {
		_ = syscall.Exec(self, os.Args, append(os.Environ(), preferred+"=1"))
	}
}

// run returns the exit code: 0 done (also when requests failed: the caller's gates decide),
// 1 interrupted or the output could not be written, 2 a bad plan or bad flags.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("lab-load", flag.ContinueOnError)
	flags.SetOutput(stderr)
	planPath := flags.String("plan", "", "plan `file` (JSON)")
	out := flags.String("out", "", "gzipped CSV `file` of the requests after the warm-up; must not exist")
	once := flags.String("once", "", "send one request of this `type` instead of the plan")
	index := flags.Uint64("index", 0, "with --once: which request of that type")
	atOnce := flags.Bool("at-once", false, "with --once: to all the plan's targets at one moment, else one after the other's answer")
	windows := flags.Duration("windows", 0, "send the plan to all its targets and print a JSON line every so `long`")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	modes := 0
	for _, given := range []bool{*out != "", *once != "", *windows > 0} {
		if given {
			modes++
		}
	}
	if *planPath == "" || modes != 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "lab-load: give --plan FILE and one of --out FILE, --once TYPE and --windows DURATION")
		return 2
	}
	plan, err := readPlan(*planPath)
	if err == nil && *out != "" && len(plan.Targets) > 0 {
		err = errors.New("targets: --out takes a plan with one target")
	}
	if err != nil {
		fmt.Fprintln(stderr, "lab-load:", err)
		return 2
	}
	if plan.Targets == nil {
		plan.Target, plan.Targets = "", []Target{{URL: plan.Target}}
	}
	switch {
	case *once != "":
		return runOnce(ctx, plan, *once, *index, *atOnce, stdout, stderr)
	case *windows > 0:
		if driveSeveral(ctx, plan, *windows, stdout) {
			return 1
		}
		return 0
	}
	plan.Target = plan.Targets[0].URL
	return runPlan(ctx, plan, *out, stdout, stderr)
}

// runPlan creates the output before the first request, so that a full day of load is not sent for
// a file that cannot be written.
func runPlan(ctx context.Context, plan *Plan, out string, stdout, stderr io.Writer) int {
	file, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(stderr, "lab-load:", err)
		return 2
	}
	outcome := drive(ctx, plan)
	if err := errors.Join(writeRows(file, outcome.rows), file.Sync(), file.Close()); err != nil {
		fmt.Fprintln(stderr, "lab-load: write the requests:", err)
		return 1
	}
	printLine(stdout, summarise(plan, outcome))
	if outcome.interrupted {
		fmt.Fprintln(stderr, "lab-load: interrupted before the last request was sent")
		return 1
	}
	return 0
}

// onceResult is what a canary tells.
type onceResult struct {
	Target    string            `json:"target"`
	Type      string            `json:"type"`
	Status    int               `json:"status"`
	Expected  bool              `json:"expected"`
	StartNS   int64             `json:"start_ns"`
	EndNS     int64             `json:"end_ns"`
	RequestID string            `json:"request_id"`
	TraceID   string            `json:"trace_id"`
	Headers   map[string]string `json:"headers"`
}

// runOnce sends one request of one type to every target, at one moment or one after the other, and
// prints a line for each as it is answered.
func runOnce(ctx context.Context, plan *Plan, kind string, index uint64, atOnce bool, stdout, stderr io.Writer) int {
	request, err := newStream(plan).single(kind, index)
	if err != nil {
		fmt.Fprintln(stderr, "lab-load:", err)
		return 2
	}
	sender := newSender(plan, newClock())
	var answers sync.WaitGroup
	var printing sync.Mutex
	for _, target := range plan.Targets {
		answers.Go(func() {
			row := row{request: request.to(target)}
			sender.send(ctx, &row)
			printing.Lock()
			defer printing.Unlock()
			printLine(stdout, onceResult{
				Target: target.Name, Type: kind, Status: row.status, Expected: row.expected(),
				StartNS: row.startNS, EndNS: row.endNS, RequestID: request.id, TraceID: request.traceID,
				Headers: map[string]string{"build": row.build, "form": row.form},
			})
		})
		if !atOnce {
			answers.Wait()
		}
	}
	answers.Wait()
	return 0
}

// printLine writes value as one JSON line. The values are plain structs, so encoding cannot fail.
func printLine(w io.Writer, value any) {
	line, err := json.Marshal(value)
	if err != nil {
		line = fmt.Appendf(nil, "%q", err.Error())
	}
	fmt.Fprintf(w, "%s\n", line)
}
