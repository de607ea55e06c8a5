package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serverEnv makes the test binary a trivial server in a process of its own, so that measuring is
// not done by the process that is measured.
const serverEnv = "LAB_LOAD_TEST_SERVER"

func TestMain(m *testing.M) {
	if delay, err := time.ParseDuration(os.Getenv(serverEnv)); err == nil {
		trivialServer(delay)
	}
	os.Exit(m.Run())
}

// trivialServer prints its address and answers every request after delay, until it is killed.
func trivialServer(delay time.Duration) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	err = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// The kernel's sleep: the runtime's own is up to 1 ms off, by the phase of the arrivals.
		pause := unix.NsecToTimespec(int64(delay))
		unix.Nanosleep(&pause, nil)
		fmt.Fprint(w, "ok")
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// planFor is a valid plan of one type that tests change as they need.
func planFor(target string) *Plan {
	return &Plan{
		Target: target, Seed: 7, RateRPS: 200, Arrivals: "uniform", Requests: 100,
		MaxInFlight: 256, TimeoutS: 2,
		Mix: []Type{{Name: "get", Weight: 1, Method: "GET", Path: "/", Status: []int{200}}},
	}
}

func writePlan(t *testing.T, plan *Plan) string {
	t.Helper()
	content, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load runs the program on plan and returns its summary and its rows.
func load(t *testing.T, plan *Plan) (summary, [][]string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "requests.csv.gz")
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"--plan", writePlan(t, plan), "--out=" + out}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	return lastSummary(t, stdout.Bytes()), readRows(t, out)
}

func lastSummary(t *testing.T, stdout []byte) (s summary) {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(stdout), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func readRows(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(zip).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
