package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

func TestProtobufGzipAndJSONGiveTheSameLine(t *testing.T) {
	s := start(t)
	asJSON := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
	"scopeSpans":[{"scope":{"name":"net/http"},"spans":[{"traceId":"abababababababababababababababab","spanId":"cdcdcdcdcdcdcdcd",
	"parentSpanId":"0101010101010101","name":"GET /e","kind":2,"startTimeUnixNano":"1795388043790953854","endTimeUnixNano":"1795388043790991193",
	"status":{"code":2},"attributes":[{"key":"http.route","value":{"stringValue":"/e"}},{"key":"n","value":{"intValue":"1152921504606846976"}}]}]}]}]}`
	for _, each := range []struct{ kind, encoding, body string }{
		{"application/x-protobuf", "", string(request(one("GET /e")))},
		{"application/x-protobuf", "gzip", string(zipped(request(one("GET /e"))))},
		{"application/json; charset=utf-8", "", asJSON},
	} {
		if status, reply := s.post(t, "/v1/traces", each.kind, each.encoding, []byte(each.body)); status != 200 {
			t.Fatalf("%s %s: %d %s", each.kind, each.encoding, status, reply)
		}
	}
	if c := s.stats(t); c.Spans != 3 || c.Posts != 3 || c.BadPosts != 0 || c.By["shop|server"] != 3 || c.LastReceivedNS == 0 {
		t.Errorf("%+v", c)
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	want := `{"trace_id":"abababababababababababababababab","span_id":"cdcdcdcdcdcdcdcd","parent_id":"0101010101010101","kind":"server",` +
		`"name":"GET /e","scope":"net/http","service":"shop","start_ns":1795388043790953854,"end_ns":1795388043790991193,` +
		`"status":"error","attributes":{"http.route":"/e","n":1152921504606846976},"received_ns":`
	file, err := os.Open(s.out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(got) != 3 {
		t.Fatalf("%d lines", len(got))
	}
	for _, line := range got {
		if !strings.HasPrefix(line, want) {
			t.Errorf("\n got %s\nwant %s", line, want)
		}
	}
}

func TestHostileBodiesAreRefusedCountedAndSurvived(t *testing.T) {
	s := start(t)
	good := request(one("x"))
	bomb := zipped(make([]byte, maxInflat+1))
	many := bytes.Repeat([]byte{0x12, 0x00}, maxSpans+1) // empty spans: two bytes each, hundreds once decoded
	for _, each := range []struct {
		name, kind, encoding string
		body                 []byte
		status               int
	}{
		{"not gzip", "application/x-protobuf", "gzip", good, 400},
		{"gzip cut short", "application/x-protobuf", "gzip", zipped(good)[:20], 400},
		{"zip bomb", "application/x-protobuf", "gzip", bomb, 413},
		{"protobuf cut short", "application/x-protobuf", "", good[:len(good)-3], 400},
		{"noise", "application/x-protobuf", "", bytes.Repeat([]byte{0xff}, 999), 400},
		{"more bytes than allowed", "application/x-protobuf", "", make([]byte, maxBody+1), 413},
		{"more spans than allowed", "application/x-protobuf", "", wrap(wrap(many)), 413},
		{"bad json", "application/json", "", []byte(`{"resourceSpans":[`), 400},
		{"json id not hex", "application/json", "", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zzzz"}]}]}]}`), 400},
		{"other type", "text/plain", "", good, 415},
		{"other encoding", "application/x-protobuf", "br", good, 415},
	} {
		before := s.stats(t)
		if status, reply := s.post(t, "/v1/traces", each.kind, each.encoding, each.body); status != each.status {
			t.Errorf("%s: status %d %s, want %d", each.name, status, reply, each.status)
		}
		if after := s.stats(t); after.BadPosts != before.BadPosts+1 || after.Spans != 0 {
			t.Errorf("%s: counts %+v", each.name, after)
		}
	}
	if status, _ := s.post(t, "/v1/traces", "application/x-protobuf", "", good); status != 200 || s.stats(t).Spans != 1 {
		t.Error("a good post after the bad ones was not stored")
	}
}
