// Command lab-agent attaches the OpenTelemetry Go eBPF agent to one running process.
//
// It is a thin main over go.opentelemetry.io/auto that adds what a laboratory needs and the stock
// command does not have: an exit code for every outcome, a ready file, one switch per probe, the
// number of spans lost on the way, and an end when the target ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit codes, part of the contract with whoever starts the agent.
const (
	exitDetached     = 0 // SIGTERM or SIGINT: spans flushed, nothing left behind
	exitUnexpected   = 1
	exitUsage        = 2
	exitNoTarget     = 3
	exitCannotAttach = 4
	exitTargetGone   = 5 // the target exited while the agent was attached
)

// flushLimit bounds the last export, so that a dead collector cannot hold the agent for ever.
const flushLimit = 10 * time.Second

// options are the command line, checked.
type options struct {
	pid       int
	readyPath string
	off       []probeID
	debug     bool
}

// failure is the last line on stderr when the agent ends with anything but 0 or 5.
type failure struct {
	Error string `json:"error"`
	Hint  string `json:"hint"`
}

// ready is the content of the ready file.
type ready struct {
	PID     int      `json:"pid"`
	AttachS float64  `json:"attach_s"`
	Probes  []string `json:"probes"`
	// Lookups counts struct offsets read from the target's DWARF because the agent has no cached
	// value for that version: zero with the pinned versions, and the usual cause of a slow attach.
	Lookups int `json:"offset_lookups"`
}

// farewell is the last line on stderr of an agent that had been attached.
type farewell struct {
	Reason string `json:"reason"`
	tally
}

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args []string, stderr io.Writer) int {
	opts, err := parseArgs(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDetached
	}
	if err != nil {
		return fail(stderr, exitUsage, err, "see lab-agent --help")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	target, err := openTarget(opts.pid)
	if err != nil {
		return fail(stderr, exitNoTarget, err, "start the service first and give its own pid, not that of a wrapper")
	}
	defer target.close()
	if err := os.Remove(opts.readyPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fail(stderr, exitUsage, err, "give a ready file in a directory that can be written")
	}

	level := slog.LevelInfo
	if opts.debug {
		level = slog.LevelDebug
	}
	printer := slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})
	start := time.Now()
	session, err := attach(ctx, target, opts.off, printer)
	if err != nil {
		if target.gone() {
			return fail(stderr, exitNoTarget, fmt.Errorf("pid %d exited while attaching: %w", opts.pid, err), "look at the service's own log")
		}
		return fail(stderr, exitCannotAttach, err, explain(err, readFacts(opts.pid)))
	}
	report := ready{PID: opts.pid, AttachS: time.Since(start).Seconds(), Probes: session.tap.probes(), Lookups: session.tap.lookups()}
	if err := writeReady(opts.readyPath, report); err != nil {
		err = errors.Join(err, session.detach())
		return fail(stderr, exitUnexpected, err, "give a ready file in a directory that can be written")
	}
	slog.New(printer).Info("attached", "pid", opts.pid, "attach_s", report.AttachS, "offset_lookups", report.Lookups)
	return stay(ctx, target, session, stderr)
}

// stay keeps the probes on until a signal comes or the target exits, then detaches.
func stay(ctx context.Context, target *target, session *session, stderr io.Writer) int {
	reason, code := "signal", exitDetached
	select {
	case <-ctx.Done():
	case <-target.exited:
		reason, code = "target exited", exitTargetGone
	case <-session.ended:
		err := errors.Join(errors.New("the agent stopped by itself"), session.detach())
		return fail(stderr, exitUnexpected, err, "run again with --debug and read the log")
	}
	if err := session.detach(); err != nil {
		printJSON(stderr, farewell{Reason: reason, tally: session.tally()})
		return fail(stderr, exitUnexpected, err, "check that the collector named by OTEL_EXPORTER_OTLP_ENDPOINT is up")
	}
	printJSON(stderr, farewell{Reason: reason, tally: session.tally()})
	return code
}

// parseArgs reads the flags; every problem is told at once.
func parseArgs(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("lab-agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var opts options
	flags.IntVar(&opts.pid, "pid", 0, "process to instrument")
	flags.StringVar(&opts.readyPath, "ready", "", "`file` written once every probe is attached")
	off := flags.String("off", "", "comma `list` of probes to leave out: PACKAGE or PACKAGE:client, PACKAGE:server, ...")
	flags.BoolVar(&opts.debug, "debug", false, "log debug lines")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	var problems []error
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	if opts.pid <= 0 {
		problems = append(problems, errors.New("--pid must be a process id"))
	}
	if opts.readyPath == "" {
		problems = append(problems, errors.New("--ready must name a file"))
	}
	var err error
	if opts.off, err = parseOff(*off); err != nil {
		problems = append(problems, err)
	}
	return opts, errors.Join(problems...)
}

// fail prints the one JSON line that explains code and returns code.
func fail(stderr io.Writer, code int, err error, hint string) int {
	printJSON(stderr, failure{Error: err.Error(), Hint: hint})
	return code
}

// printJSON writes value as one line. The values are plain structs, so encoding cannot fail.
func printJSON(w io.Writer, value any) {
	line, err := json.Marshal(value)
	if err != nil {
		line = fmt.Appendf(nil, "%q", err.Error())
	}
	fmt.Fprintf(w, "%s\n", line)
}
