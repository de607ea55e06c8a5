package otelboot

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// --- servers ---------------------------------------------------------------------------------------------------

// served guards Server.Handler while Serve is entered: one Server may serve several listeners at once.
var served sync.Mutex

// handler is otelhttp's, under a type of ours, so that a second Serve of the same Server finds it wrapped already.
type handler struct{ http.Handler }

// WrapServer is called first thing in (*http.Server).Serve. A nil handler means http.DefaultServeMux, as there.
func WrapServer(server *http.Server) {
	served.Lock()
	defer served.Unlock()
	inner := server.Handler
	if _, done := inner.(handler); done {
		return
	}
	if inner == nil {
		inner = http.DefaultServeMux
	}
	server.Handler = handler{otelhttp.NewHandler(inner, "http.server")}
}

// --- clients ---------------------------------------------------------------------------------------------------

// client is the tracing transport, nil until Start: what is sent before main begins goes untraced.
var client atomic.Pointer[otelhttp.Transport]

func startClient() { client.Store(otelhttp.NewTransport(inner{})) }

// insideKey marks the context of a request that is inside the hook already; its value is the *call, nil for the exporter's.
type insideKey struct{}

type call struct{ transport *http.Transport }

// inner ends the tracing transport: it hands the request back to the transport that was asked first.
type inner struct{}

func (inner) RoundTrip(request *http.Request) (*http.Response, error) {
	return request.Context().Value(insideKey{}).(*call).transport.RoundTrip(request)
}

// RoundTrip is called first thing in (*http.Transport).RoundTrip; done=false means: go on as before.
func RoundTrip(transport *http.Transport, request *http.Request) (response *http.Response, err error, done bool) {
	tracing := client.Load()
	if tracing == nil || request.Context().Value(insideKey{}) != nil || exports(request) {
		return nil, nil, false
	}
	ctx := context.WithValue(request.Context(), insideKey{}, &call{transport})
	response, err = tracing.RoundTrip(request.WithContext(ctx))
	return response, err, true
}

// exports tells an OTLP exporter's own request, also one that the service brought itself.
func exports(request *http.Request) bool {
	return strings.HasPrefix(request.Header.Get("User-Agent"), "OTel OTLP Exporter Go")
}
