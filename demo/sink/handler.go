package main

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	maxBody   = 64 << 20 // bytes on the wire
	maxInflat = 64 << 20 // bytes after gzip
	// maxAtOnce bounds memory: so many bodies are decoded at one time, the others wait unread.
	maxAtOnce = 2
)

var errTooLarge = errors.New("the body is too large")

// newHandler answers /v1/traces, /rotate, /spans, /stats and /healthz.
func newHandler(store *store) http.Handler {
	slots := make(chan struct{}, maxAtOnce)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		slots <- struct{}{}
		defer func() { <-slots }()
		receive(store, w, r)
	})
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, r *http.Request) { rotate(store, w, r) })
	mux.HandleFunc("GET /spans", func(w http.ResponseWriter, r *http.Request) { stream(store, w, r) })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, store.stats()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]bool{"ok": true}) })
	return mux
}

// receive stores one post and answers in the encoding of the request. A body that cannot be read is
// counted and refused with 400, 413 or 415, which exporters do not retry; a full disk is 503.
func receive(store *store, w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	receivedNS := time.Now().UnixNano()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var request *collector.ExportTraceServiceRequest
	if err == nil {
		request, err = decode(body, kind)
	}
	if err != nil {
		store.bad()
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	if err := store.write(spansOf(request, receivedNS), receivedNS); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	reply := []byte("{}") // of the empty response message, and in protobuf: nothing
	if kind != "application/json" {
		reply = nil
	}
	w.Header().Set("Content-Type", kind)
	w.Write(reply)
}

// readBody reads and unzips within the limits.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	wire := http.MaxBytesReader(w, r.Body, maxBody)
	var plain io.Reader = wire
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(wire)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		plain = unzip
	default:
		return nil, fmt.Errorf("%w: content encoding %q", errors.ErrUnsupported, encoding)
	}
	body, err := io.ReadAll(io.LimitReader(plain, maxInflat+1))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(body) > maxInflat {
		return nil, fmt.Errorf("%w: more than %d bytes unzipped", errTooLarge, maxInflat)
	}
	return body, nil
}

// decode reads protobuf or OTLP's JSON.
func decode(body []byte, kind string) (*collector.ExportTraceServiceRequest, error) {
	request := &collector.ExportTraceServiceRequest{}
	switch kind {
	case "application/x-protobuf":
		if err := checkSize(body); err != nil {
			return nil, err
		}
		if err := proto.Unmarshal(body, request); err != nil {
			return nil, fmt.Errorf("protobuf: %w", err)
		}
	case "application/json":
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, request); err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
		if err := fixJSONIDs(request); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: content type %q", errors.ErrUnsupported, kind)
	}
	return request, nil
}

// fixJSONIDs undoes protobuf's reading of ids: OTLP writes them in hex, the library reads base64.
func fixJSONIDs(request *collector.ExportTraceServiceRequest) error {
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				for _, id := range []*[]byte{&s.TraceId, &s.SpanId, &s.ParentSpanId} {
					fixed, err := hex.DecodeString(base64.StdEncoding.EncodeToString(*id))
					if err != nil {
						return fmt.Errorf("json: an id is not hex: %w", err)
					}
					*id = fixed
				}
			}
		}
	}
	return nil
}

func statusOf(err error) int {
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong), errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errors.ErrUnsupported):
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}

// rotate answers with the counts of the closed file.
func rotate(store *store, w http.ResponseWriter, r *http.Request) {
	var order struct {
		Out string `json:"out"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&order)
	if err != nil || order.Out == "" {
		http.Error(w, `the body must be {"out": FILE}`, http.StatusBadRequest)
		return
	}
	closed, err := store.rotate(order.Out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, http.StatusOK, closed)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that hung up is no concern of the sink.
	_ = json.NewEncoder(w).Encode(value)
}
