package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sink is a running program: run() with a real socket and a real file.
type sink struct {
	url, out string
	stop     func() int // as SIGTERM; returns the exit code
}

func start(t *testing.T, extra ...string) *sink {
	t.Helper()
	out := filepath.Join(t.TempDir(), "spans.jsonl.gz")
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- run(ctx, append([]string{"--listen=127.0.0.1:0", "--out", out}, extra...), write, &stderr)
		write.Close()
	}()
	var first struct{ Listening string }
	if err := json.NewDecoder(bufio.NewReader(read)).Decode(&first); err != nil {
		t.Fatalf("no first line: %v, %s", err, &stderr)
	}
	stop := sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	return &sink{url: "http://" + first.Listening, out: out, stop: stop}
}

func (s *sink) post(t *testing.T, path, kind, encoding string, body []byte) (int, string) {
	t.Helper()
	request, err := http.NewRequest("POST", s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

func (s *sink) stats(t *testing.T) (c counts) {
	t.Helper()
	response, err := http.Get(s.url + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func lines(t *testing.T, path string) []span {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var read []span
	for scan := json.NewDecoder(zip); ; {
		var one span
		if err := scan.Decode(&one); err == io.EOF {
			return read
		} else if err != nil {
			t.Fatal(err)
		}
		read = append(read, one)
	}
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func request(spans ...*trace.Span) []byte {
	body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "shop")}},
		ScopeSpans: []*trace.ScopeSpans{{Scope: &common.InstrumentationScope{Name: "net/http"}, Spans: spans}},
	}}})
	if err != nil {
		panic(err)
	}
	return body
}

func one(name string) *trace.Span {
	return &trace.Span{
		TraceId: bytes.Repeat([]byte{0xab}, 16), SpanId: bytes.Repeat([]byte{0xcd}, 8), ParentSpanId: bytes.Repeat([]byte{1}, 8),
		Name: name, Kind: trace.Span_SPAN_KIND_SERVER, StartTimeUnixNano: 1795388043790953854, EndTimeUnixNano: 1795388043790991193,
		Status:     &trace.Status{Code: trace.Status_STATUS_CODE_ERROR},
		Attributes: []*common.KeyValue{text("http.route", "/e"), {Key: "n", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: 1 << 60}}}},
	}
}

func zipped(body []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	zip.Write(body)
	zip.Close()
	return out.Bytes()
}

// wrap puts body into a length-delimited field: number 1 outermost is resource_spans, 2 scope_spans.
func wrap(body []byte) []byte {
	number := byte(2<<3 | 2)
	if bytes.HasPrefix(body, []byte{2<<3 | 2}) && len(body) > 2 && body[1] != 0 {
		number = 1<<3 | 2
	}
	length := []byte{}
	for n := len(body); ; n >>= 7 {
		if n < 0x80 {
			length = append(length, byte(n))
			break
		}
		length = append(length, byte(n)|0x80)
	}
	return append(append([]byte{number}, length...), body...)
}
