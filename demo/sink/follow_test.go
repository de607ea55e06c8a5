package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSpansAreStreamedAsTheyArriveAndTheStreamEndsWithTheSink(t *testing.T) {
	s := start(t)
	response, err := http.Get(s.url + "/spans")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for _, name := range []string{"first", "second"} {
		body := strings.ReplaceAll(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",
			"spanId":"0102030405060708","name":"NAME","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`, "NAME", name)
		if code, said := s.post(t, "/v1/traces", "application/json", "", []byte(body)); code != 200 {
			t.Fatal(code, said)
		}
		var got span
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &got) != nil || got.Name != name || got.ReceivedNS == 0 {
			t.Fatalf("%q instead of %s", lines.Bytes(), name)
		}
	}
	began := time.Now()
	if code := s.stop(); code != 0 || time.Since(began) > drainLimit/2 {
		t.Errorf("exit code %d after %v", code, time.Since(began))
	}
	if lines.Scan() {
		t.Errorf("more came: %q", lines.Bytes())
	}
}

func TestAFollowerThatLagsIsLetGoAndHoldsNobodyUp(t *testing.T) {
	store, err := openStore(t.TempDir()+"/spans.gz", 1024)
	if err != nil {
		t.Fatal(err)
	}
	slow := store.follow()
	for range followerBatches + 1 {
		if err := store.write([]span{{Name: "a"}}, 1); err != nil {
			t.Fatal(err)
		}
	}
	got := 0
	for range slow {
		got++
	}
	if got != followerBatches || store.stats().Spans != followerBatches+1 {
		t.Errorf("%d posts, %+v", got, store.stats())
	}
	store.unfollow(slow)
	store.endFollowers()
	if _, open := <-store.follow(); open {
		t.Error("a store that ends takes followers")
	}
}
