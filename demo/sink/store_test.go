package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRotationUnderConcurrentPostsLosesNothing(t *testing.T) {
	s := start(t)
	const posters, each = 8, 60
	var posting sync.WaitGroup
	for p := range posters {
		posting.Go(func() {
			for i := range each {
				body := request(one(fmt.Sprintf("%d-%d", p, i)), one(fmt.Sprintf("%d-%d-b", p, i)))
				if status, reply := s.post(t, "/v1/traces", "application/x-protobuf", "", body); status != 200 {
					t.Errorf("%d %s", status, reply)
				}
			}
		})
	}
	paths, told := []string{s.out}, int64(0)
	for i := range 10 {
		next := filepath.Join(filepath.Dir(s.out), fmt.Sprintf("next-%d.gz", i))
		status, reply := s.post(t, "/rotate", "application/json", "", fmt.Appendf(nil, `{"out":%q}`, next))
		var closed counts
		if err := json.Unmarshal([]byte(reply), &closed); err != nil || status != 200 {
			t.Fatalf("rotate: %d %s", status, reply)
		}
		if got := int64(len(lines(t, paths[i]))); got != closed.Spans {
			t.Errorf("closed file %d holds %d spans, told %d", i, got, closed.Spans)
		}
		told += closed.Spans
		paths = append(paths, next)
	}
	posting.Wait()
	told += s.stats(t).Spans
	if code := s.stop(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	names := map[string]int{}
	for _, path := range paths {
		for _, one := range lines(t, path) {
			names[one.Name]++
		}
	}
	if len(names) != 2*posters*each || told != 2*posters*each {
		t.Errorf("%d different spans on disk, %d told, want %d", len(names), told, 2*posters*each)
	}
}

func TestRotateRefusesAnExistingFileAndGoesOn(t *testing.T) {
	s := start(t)
	if status, _ := s.post(t, "/rotate", "application/json", "", fmt.Appendf(nil, `{"out":%q}`, s.out)); status != 409 {
		t.Errorf("status %d", status)
	}
	if status, _ := s.post(t, "/rotate", "application/json", "", []byte("{}")); status != 400 {
		t.Errorf("status %d", status)
	}
	s.post(t, "/v1/traces", "application/x-protobuf", "", request(one("x")))
	s.stop()
	if got := lines(t, s.out); len(got) != 1 {
		t.Errorf("%d lines", len(got))
	}
}

func TestOverlongSpanLosesAttributesNotItself(t *testing.T) {
	s := start(t, "--max-span-bytes=1024")
	big := one("big")
	big.Attributes = append(big.Attributes, text("blob", strings.Repeat("x", 5000)))
	big.ParentSpanId = make([]byte, 8)
	s.post(t, "/v1/traces", "application/x-protobuf", "", request(big))
	c := s.stats(t)
	s.stop()
	got := lines(t, s.out)
	if c.DroppedAttributes != 1 || len(got) != 1 || len(got[0].Attributes) != 0 || got[0].ParentID != "" {
		t.Errorf("%+v %+v", c, got)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"--out"}, {"--out", "x", "--max-span-bytes", "1"}, {"--out", "x", "y"}, {"--nope"}} {
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), args, &stdout, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%v: exit %d %q", args, code, &stderr)
		}
	}
}
