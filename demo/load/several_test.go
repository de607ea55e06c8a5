package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// service records the ids of its requests in their order.
type service struct {
	*httptest.Server
	mu  sync.Mutex
	ids []string
}

func serve(t *testing.T, answer http.HandlerFunc) *service {
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.ids = append(s.ids, r.Header.Get(headerRequest))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func planForBoth(a, b *service) *Plan {
	plan := planFor("")
	plan.Targets = []Target{{"a", a.URL}, {"b", b.URL}}
	return plan
}

// windowsOf runs lab-load and reads what it printed.
func windowsOf(t *testing.T, ctx context.Context, plan *Plan, code int) (lines []window, last total) {
	t.Helper()
	var out, stderr bytes.Buffer
	if got := run(ctx, []string{"--plan", writePlan(t, plan), "--windows=100ms"}, &out, &stderr); got != code {
		t.Fatalf("exit code %d: %s", got, &stderr)
	}
	texts := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	for _, text := range texts[:len(texts)-1] {
		var line window
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := json.Unmarshal(texts[len(texts)-1], &last); err != nil || !last.Ended {
		t.Fatal(string(texts[len(texts)-1]), err)
	}
	return lines, last
}

func TestSeveralTargetsGetTheSameRequestsAndWindowsAddUp(t *testing.T) {
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(headerBuild, "b1") })
	b := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	lines, last := windowsOf(t, t.Context(), planForBoth(a, b), 0)
	slices.Sort(a.ids)
	slices.Sort(b.ids)
	if len(a.ids) != 100 || !slices.Equal(a.ids, b.ids) {
		t.Errorf("%d and %d requests, or not the same ones", len(a.ids), len(b.ids))
	}
	if last.Interrupted || last.Forms["a"].Errors != 0 || last.Forms["b"].Errors != 100 || last.Forms["a"].Builds["b1"] != 100 {
		t.Errorf("%+v", last)
	}
	if len(lines) < 5 || len(lines) > 7 {
		t.Errorf("%d windows of 0.1 s for 0.5 s", len(lines))
	}
	for _, name := range []string{"a", "b"} {
		var sent, done int
		for n, line := range lines {
			sent, done = sent+line.Forms[name].Sent, done+line.Forms[name].Done
			if line.Window != n || line.Forms[name].Done > 0 != (line.Forms[name].P50NS != nil) {
				t.Errorf("window %d: %+v", n, line)
			}
		}
		if sent != 100 || done != 100 || last.Forms[name].Done != 100 || last.Forms[name].ByType["get"] != 100 {
			t.Errorf("%s: %d sent, %d done, %+v", name, sent, done, last.Forms[name])
		}
	}
}

func TestAStopEndsALoadWithinASecond(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	a := serve(t, func(http.ResponseWriter, *http.Request) {})
	b := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	})
	plan := planForBoth(a, b)
	plan.Requests, plan.TimeoutS = 10_000, 30
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, last := windowsOf(t, ctx, plan, 1)
	if took := time.Since(began); took > 1300*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if !last.Interrupted || last.Forms["a"].Done == 0 || last.Forms["b"].Done != 0 || last.Forms["b"].Errors != 0 {
		t.Errorf("%+v", last)
	}
}

func TestASequentialPlanHasOneRequestOutAtATimeOverAllTargets(t *testing.T) {
	var out, most atomic.Int64
	answer := func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), out.Add(1)))
		time.Sleep(2 * time.Millisecond)
		out.Add(-1)
	}
	plan := planForBoth(serve(t, answer), serve(t, answer))
	plan.Arrivals, plan.RateRPS, plan.Requests = sequential, 2000, 40
	_, last := windowsOf(t, t.Context(), plan, 0)
	if most.Load() != 1 || last.Forms["a"].Done != 40 || last.Forms["a"].Late+last.Forms["b"].Late > 2 {
		t.Errorf("%d out at a time, %+v", most.Load(), last)
	}
}

func TestOnceGoesToEveryTarget(t *testing.T) {
	var out, most atomic.Int64
	answer := func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), out.Add(1)))
		time.Sleep(100 * time.Millisecond)
		out.Add(-1)
	}
	a, b := serve(t, answer), serve(t, answer)
	path := writePlan(t, planForBoth(a, b))
	for _, flags := range [][]string{{"--at-once"}, {}} {
		most.Store(0)
		read, write := io.Pipe()
		go func() {
			run(t.Context(), append([]string{"--plan", path, "--once=get"}, flags...), write, io.Discard)
			write.Close()
		}()
		found := map[string]onceResult{}
		for decoder := json.NewDecoder(read); ; {
			var one onceResult
			if decoder.Decode(&one) != nil {
				break
			}
			found[one.Target] = one
		}
		if len(found) != 2 || found["a"].RequestID != found["b"].RequestID || !found["a"].Expected {
			t.Errorf("%v: %+v", flags, found)
		}
		if most.Load() != int64(1+len(flags)) {
			t.Errorf("%v: %d at a time", flags, most.Load())
		}
	}
}

func TestTargetsAreChecked(t *testing.T) {
	plan := planFor("http://127.0.0.1:1")
	plan.Targets = []Target{{"a", "nowhere"}, {"a", "http://127.0.0.1:1"}}
	if found := plan.problems(); len(found) != 3 { // target too, no URL, twice
		t.Error(found)
	}
	plan.Target, plan.Targets = "", []Target{{"a", "http://127.0.0.1:1"}}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"--plan", writePlan(t, plan), "--out", t.TempDir() + "/rows"}, io.Discard, &stderr); code != 2 {
		t.Error(code, &stderr)
	}
}
