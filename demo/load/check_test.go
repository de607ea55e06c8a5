//go:build check

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// vegeta is the independent tool, at the version the README's figures come from.
const vegeta = "github.com/tsenart/vegeta/v12@v12.13.0"

// startServer runs the trivial server as its own process.
func startServer(t *testing.T, delay time.Duration) string {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), serverEnv+"="+delay.String())
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + strings.TrimSpace(line)
}

// build makes a binary by the go command in env's toolchain.
func build(t *testing.T, args ...string) {
	t.Helper()
	command := exec.Command("go", args...)
	command.Env = append(os.Environ(), "GOBIN="+filepath.Dir(binary(t, "x")))
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, output)
	}
}

func binary(t *testing.T, name string) string {
	t.Helper()
	folder := filepath.Join(os.TempDir(), "lab-load-check")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, name)
}

// bareTimer is the share of wake-ups that a thread which does nothing else gets more than a
// millisecond late from this machine at that rate: no generator here can send better than that.
func bareTimer(t *testing.T, rate float64, wakes int) float64 {
	t.Helper()
	told := make(chan float64)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its real-time schedule
		sharpenTimer()
		late, start := 0, time.Now()
		for i := range wakes {
			due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			if err := sleepUntil(context.Background(), due); err != nil {
				break
			}
			if time.Since(due) > time.Millisecond {
				late++
			}
		}
		told <- float64(late) / float64(wakes)
	}()
	return <-told
}

// TestHeldTo2000 holds the generator to its promise at 2,000 requests a second.
func TestHeldTo2000(t *testing.T) {
	build(t, "build", "-trimpath", "-o", binary(t, "lab-load"), ".")
	before := bareTimer(t, 2000, 20000)
	plan := planFor(startServer(t, 0))
	plan.RateRPS, plan.Arrivals, plan.Requests, plan.WarmupRequests, plan.MaxInFlight = 2000, "poisson", 20000, 2000, 1024
	s := runBinary(t, plan)
	completed, late := float64(s.Completed)/float64(s.Scheduled), float64(s.Late)/float64(s.Scheduled)
	t.Logf("completed %.3f %%, late %.3f %%, p50 %.3f ms, p99 %.3f ms, cpu %.2f s of %.1f s, in flight up to %d",
		100*completed, 100*late, *s.ByType["get"].P50MS, *s.ByType["get"].P99MS, s.CPUS,
		float64(s.WindowEndNS-s.WindowStartNS)/1e9, s.MaxInFlightSeen)
	t.Logf("a bare timer alone on this machine: %.3f %% late before, %.3f %% after",
		100*before, 100*bareTimer(t, 2000, 20000))
	if completed < 0.999 || late > 0.001 {
		t.Errorf("not held: completed ≥ 99.9 %%, late ≤ 0.1 %%")
	}
}

// TestAgreesWithVegeta compares medians of the same service at the same rate, in turns, so that
// both tools see the machine's moods.
func TestAgreesWithVegeta(t *testing.T) {
	build(t, "build", "-trimpath", "-o", binary(t, "lab-load"), ".")
	build(t, "install", vegeta)
	target := startServer(t, 5*time.Millisecond)
	var ours, theirs []float64
	for range 3 {
		plan := planFor(target)
		plan.RateRPS, plan.Requests, plan.WarmupRequests = 500, 2500, 250
		ours = append(ours, *runBinary(t, plan).ByType["get"].P50MS)
		theirs = append(theirs, vegetaP50(t, target))
	}
	difference := median(ours)/median(theirs) - 1
	t.Logf("p50 at 500/s of a 5 ms service: lab-load %.3f ms %v, vegeta %.3f ms %v: %+.1f %%",
		median(ours), ours, median(theirs), theirs, 100*difference)
	if math.Abs(difference) > 0.05 {
		t.Errorf("the tools differ by more than 5 %%")
	}
}

func runBinary(t *testing.T, plan *Plan) summary {
	t.Helper()
	out := filepath.Join(t.TempDir(), "requests.csv.gz")
	stdout, err := exec.CommandContext(context.Background(), binary(t, "lab-load"), "--plan", writePlan(t, plan), "--out", out).Output()
	if err != nil {
		t.Fatal(err)
	}
	return lastSummary(t, stdout)
}

func vegetaP50(t *testing.T, target string) float64 {
	t.Helper()
	results := filepath.Join(t.TempDir(), "results.bin")
	attack := exec.Command(binary(t, "vegeta"), "attack", "-rate=500/1s", "-duration=5s", "-output="+results)
	attack.Stdin = strings.NewReader(fmt.Sprintf("GET %s/\n", target))
	if output, err := attack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	report, err := exec.Command(binary(t, "vegeta"), "report", "-type=json", results).Output()
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Latencies struct {
			P50 float64 `json:"50th"`
		} `json:"latencies"`
	}
	if err := json.Unmarshal(report, &read); err != nil {
		t.Fatal(err)
	}
	return read.Latencies.P50 / 1e6
}

func median(values []float64) float64 {
	low, middle, high := values[0], values[1], values[2]
	return max(min(low, middle), min(max(low, middle), high))
}
