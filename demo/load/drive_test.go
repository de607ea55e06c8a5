package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRowsSummaryAndWarmup(t *testing.T) {
	var seen sync.Map
	var hits, traced atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if r.Header.Get("Traceparent") != "" {
			traced.Add(1)
		}
		seen.Store(r.Header.Get("X-Request-Id"), true)
		w.Header().Set("X-Lab-Build", "b1")
		w.Header().Set("X-Lab-Form", "twin")
		w.Header().Set("X-Lab-Delay-Ns", "500")
		w.Write([]byte("ok"))
	}))
	defer server.Close()
	plan := planFor(server.URL)
	plan.WarmupRequests = 20
	s, rows := load(t, plan)
	if hits.Load() != 120 || len(rows) != 101 || s.Scheduled != 100 || s.Sent != 100 || s.Completed != 100 || s.Unexpected != 0 {
		t.Fatalf("%d hits, %d lines, %+v", hits.Load(), len(rows), s)
	}
	if s.Headers["build"]["b1"] != 100 || s.Headers["form"]["twin"] != 100 || s.DelayNS != (delay{100, 500}) || traced.Load() != 0 {
		t.Errorf("headers %v, delay %v, traced %d", s.Headers, s.DelayNS, traced.Load())
	}
	if s.ByType["get"].P50MS == nil || s.ByType["get"].P99MS != nil {
		t.Errorf("by type: %+v", s.ByType)
	}
	stream := newStream(plan)
	for i, row := range rows[1:] {
		if _, ok := seen.Load(row[5]); !ok || row[5] != stream.at(uint64(20+i)).id || row[7] != "2689367b" {
			t.Fatalf("row %d: %v", i, row)
		}
		if number(t, row[0]) > number(t, row[1]) || number(t, row[1]) > number(t, row[2]) {
			t.Fatalf("times out of order: %v", row)
		}
	}
	if gap := number(t, rows[2][0]) - number(t, rows[1][0]); gap != int64(5*time.Millisecond) {
		t.Errorf("intended gap %d ns at 200/s", gap)
	}
}

// The server stalls once for a second. A closed loop would tell of one slow request; open-loop
// latency from the intended time must show the stall in all that were due in it.
func TestStallIsSeenInEveryRequestThatFellIntoIt(t *testing.T) {
	var gate sync.RWMutex
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if count.Add(1) == 100 {
			gate.Lock()
			time.Sleep(time.Second)
			gate.Unlock()
		}
		gate.RLock()
		defer gate.RUnlock()
		w.WriteHeader(200)
	}))
	defer server.Close()
	plan := planFor(server.URL)
	plan.RateRPS, plan.Requests, plan.MaxInFlight, plan.TimeoutS = 200, 400, 300, 5
	s, rows := load(t, plan)
	slow := 0
	for _, row := range rows[1:] {
		if number(t, row[2])-number(t, row[0]) > int64(500*time.Millisecond) {
			slow++
		}
	}
	// At 200/s about 100 requests are due in the first half of the stall and wait over 500 ms.
	if slow < 90 || slow > 115 || s.Completed != 400 {
		t.Errorf("%d requests above 500 ms, want about 100; %+v", slow, s)
	}
}

func TestTimeoutsExpectedAndNot(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	short := 0.05
	for _, expect := range []bool{true, false} {
		plan := planFor(server.URL)
		plan.Requests = 10
		plan.Mix[0].TimeoutS, plan.Mix[0].ExpectTimeout = &short, expect
		s, rows := load(t, plan)
		if rows[1][3] != "-1" {
			t.Fatalf("status %s", rows[1][3])
		}
		if expect && (s.Completed != 10 || s.Unexpected != 0) || !expect && (s.Completed != 0 || s.Errors["get|-1"] != 10) {
			t.Errorf("expect_timeout %v: %+v", expect, s)
		}
	}
}

func TestRefusedConnectionAndWrongStatusAreCounted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	listener.Close()
	s, _ := load(t, planFor(nobody))
	if s.Completed != 0 || s.Errors["get|0"] != 100 || s.Unexpected != 100 {
		t.Errorf("refused: %+v", s)
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer broken.Close()
	if s, _ = load(t, planFor(broken.URL)); s.Completed != 100 || s.Errors["get|500"] != 100 {
		t.Errorf("500: %+v", s)
	}
}

func TestFullInFlightIsNotSentAndNotHidden(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) { time.Sleep(time.Second) }))
	defer server.Close()
	plan := planFor(server.URL)
	plan.MaxInFlight = 5
	s, rows := load(t, plan)
	if s.Sent != 5 || s.Completed != 5 || s.Scheduled != 100 || s.Errors["get|not-sent"] != 95 || len(rows) != 101 || s.MaxInFlightSeen != 5 {
		t.Errorf("%d lines, %+v", len(rows), s)
	}
}

// A row sent 2 ms after its time is late, one sent 0.9 ms after is not; with a median of 500 ms the
// limit is 5 ms.
func TestLateLimit(t *testing.T) {
	plan := planFor("http://127.0.0.1:1")
	rows := func(latency int64) []row {
		var made []row
		for _, behind := range []int64{0, 900_000, 2_000_000} {
			made = append(made, row{request: request{kind: &plan.Mix[0]}, startNS: behind, endNS: latency, status: 200, delayNS: -1})
		}
		return made
	}
	if s := summarise(plan, outcome{rows: rows(10_000_000)}); s.Late != 1 || s.LateLimitNS != 1_000_000 {
		t.Errorf("short: %+v", s)
	}
	if s := summarise(plan, outcome{rows: rows(500_000_000)}); s.Late != 0 || s.LateLimitNS != 5_000_000 {
		t.Errorf("long: %+v", s)
	}
}

func TestOnceTellsTheCanary(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Lab-Build", "b1")
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	args := []string{"--plan", writePlan(t, planFor(server.URL)), "--once", "get", "--index", "2"}
	if code := run(context.Background(), args, &stdout, &stderr); code != 0 {
		t.Fatal(stderr.String())
	}
	var got onceResult
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || got.Status != 200 || got.Headers["build"] != "b1" || len(got.RequestID) != 16 {
		t.Errorf("%s, %v", &stdout, err)
	}
}

func TestInterruptionKeepsWhatWasSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	out := t.TempDir() + "/r.csv.gz"
	var stdout, stderr bytes.Buffer
	plan := planFor(server.URL)
	plan.Requests = 2000
	if code := run(ctx, []string{"--plan", writePlan(t, plan), "--out", out}, &stdout, &stderr); code != 1 {
		t.Fatalf("exit %d", code)
	}
	s, rows := lastSummary(t, stdout.Bytes()), readRows(t, out)
	if !s.Interrupted || s.Sent == 0 || s.Sent >= 2000 || len(rows) != s.Sent+1 || s.Scheduled != 2000 {
		t.Errorf("%d lines, %+v", len(rows), s)
	}
}

func TestBadCommandLines(t *testing.T) {
	plan := writePlan(t, planFor("http://127.0.0.1:1"))
	taken := writePlan(t, planFor("http://127.0.0.1:1"))
	for _, args := range [][]string{{}, {"--plan", plan}, {"--plan", plan, "--out", "a", "--once", "b"}, {"--plan", "/nowhere", "--out", "a"},
		{"--plan", plan, "--out", taken}, {"--plan", plan, "--once", "nothing"}} {
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), args, &stdout, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%v: exit %d, %q", args, code, &stderr)
		}
	}
}

func TestSequentialRequestsNeverOverlapAndAreNeverLate(t *testing.T) {
	var now, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(3 * time.Millisecond) // three requests are due meanwhile
		now.Add(-1)
	}))
	defer server.Close()
	plan := planFor(server.URL)
	plan.RateRPS, plan.Requests, plan.WarmupRequests, plan.Arrivals = 1000, 30, 0, sequential
	outcome := drive(t.Context(), plan)
	if most.Load() != 1 || outcome.maxInFlight != 1 || len(outcome.rows) != 30 {
		t.Errorf("%d at once at the service, %d in flight, %d rows", most.Load(), outcome.maxInFlight, len(outcome.rows))
	}
	for i, row := range outcome.rows {
		if i > 0 && row.startNS < outcome.rows[i-1].endNS {
			t.Errorf("request %d left before the answer to the one before it", i)
		}
	}
}
