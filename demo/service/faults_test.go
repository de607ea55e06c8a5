package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDelaysAreRealised: the header says what a request really spent, which is
// at least what was asked for.
func TestDelaysAreRealised(t *testing.T) {
	for _, flag := range []string{"--delay-cpu", "--delay-wait"} {
		const want = 3 * time.Millisecond
		shop := launchAll(t, flag+"="+strconv.Itoa(int(want))+"ns")
		for _, path := range []string{"/venues", "/events/7"} {
			start := time.Now()
			got := ask(t, "GET", shop+path, "")
			took := time.Since(start)
			spent, err := strconv.ParseInt(got.header.Get("X-Lab-Delay-Ns"), 10, 64)
			if err != nil || time.Duration(spent) < want || time.Duration(spent) > took {
				t.Errorf("%s %s: spent %q of %v, want at least %v", flag, path, got.header.Get("X-Lab-Delay-Ns"), took, want)
			}
		}
		if header := ask(t, "GET", shop+"/readyz", "").header; header.Get("X-Lab-Delay-Ns") != "" {
			t.Errorf("%s delays the readiness route", flag)
		}
	}
}

// TestInjectedErrors hit the same requests every time, and not readiness.
func TestInjectedErrors(t *testing.T) {
	pattern := func(seed string) string {
		shop := launchAll(t, "--inject-error-pct=30", "--seed="+seed)
		var hits strings.Builder
		for i := range 60 {
			got := send(t, "GET", shop+"/venues", nil, fmt.Sprint("r", i))
			injected := got.header.Get("X-Lab-Injected") == "error"
			if injected != (got.status == http.StatusServiceUnavailable) {
				t.Errorf("request %d: status %d, injected %v", i, got.status, injected)
			}
			hits.WriteString(strconv.Itoa(got.status) + " ")
		}
		if got := ask(t, "GET", shop+"/readyz", ""); got.status != 200 {
			t.Errorf("readiness is %d", got.status)
		}
		return hits.String()
	}
	first := pattern("1")
	if first != pattern("1") || first == pattern("2") {
		t.Error("the seed does not decide which requests fail")
	}
	if failed := strings.Count(first, "503"); failed < 8 || failed > 30 {
		t.Errorf("%d of 60 requests fail, want about 18", failed)
	}
}

func TestInjectedLatency(t *testing.T) {
	shop := launchAll(t, "--inject-latency=40ms")
	start := time.Now()
	ask(t, "GET", shop+"/venues", "")
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("answered after %v, want at least 20ms", took)
	}
}

// TestCallerTimeout: a caller who gives up is not served on.
func TestCallerTimeout(t *testing.T) {
	shop := launchShop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+shop.addrs[partGateway]+"/slow?ms=30000", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(request); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the request ended with %v", err)
	}
	start := time.Now()
	if err := shop.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 2*time.Second { // a live request would hold it for 3 s
		t.Errorf("stopping took %v: the handler still waited", took)
	}
}

// TestGracefulStop: an open request is answered, a new one is not taken.
func TestGracefulStop(t *testing.T) {
	shop := launchShop(t)
	gateway := "http://" + shop.addrs[partGateway]
	answered := make(chan answer, 1)
	go func() { answered <- ask(t, "GET", gateway+"/slow?ms=600", "") }()
	time.Sleep(200 * time.Millisecond) // the request is under way
	if err := shop.stop(); err != nil {
		t.Error(err)
	}
	if got := <-answered; got.status != 200 {
		t.Errorf("the open request got %d %s", got.status, got.body)
	}
	if _, err := http.Get(gateway + "/venues"); err == nil {
		t.Error("a new request was answered after the stop")
	}
}

// TestStopIsBounded: a request that takes longer than the stop may is cut off.
func TestStopIsBounded(t *testing.T) {
	shop := launchShop(t)
	cut := make(chan error, 1)
	go func() {
		_, err := http.Get("http://" + shop.addrs[partGateway] + "/slow?ms=20000")
		cut <- err
	}()
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	if err := shop.stop(); err != nil {
		t.Errorf("cutting off is no error: %v", err)
	}
	if took := time.Since(start); took > stopTimeout+time.Second {
		t.Errorf("stopping took %v, want at most %v", took, stopTimeout)
	}
	if err := <-cut; err == nil {
		t.Error("the request was not cut off")
	}
}
