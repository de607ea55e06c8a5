package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of the sample service: who answered, and the delay it put in on purpose.
const (
	headerBuild   = "X-Lab-Build"
	headerForm    = "X-Lab-Form"
	headerDelay   = "X-Lab-Delay-Ns"
	headerRequest = "X-Request-Id"
)

// Row statuses that are no HTTP status.
const (
	statusError   = 0 // no answer: refused, reset, cut short, or never sent
	statusTimeout = -1
)

// row is one request and what became of it. Times are Unix-epoch nanoseconds of one clock.
type row struct {
	request
	intendedNS, startNS, endNS int64
	status                     int
	notSent                    bool // max_in_flight was reached at its time
	build, form                string
	delayNS                    int64 // -1: no such header
	bodySHA8                   string
}

// expected tells whether the plan wants this outcome of this type.
func (r *row) expected() bool {
	if r.status == statusTimeout {
		return r.kind.ExpectTimeout
	}
	for _, status := range r.kind.Status {
		if status == r.status {
			return true
		}
	}
	return false
}

// completed: the service answered, or did not within a limit that was meant to be hit.
func (r *row) completed() bool {
	return r.status > 0 || (r.status == statusTimeout && r.kind.ExpectTimeout)
}

// clock gives epoch times that never step: one wall reading, then the monotonic clock.
type clock struct {
	anchor time.Time
	wallNS int64
}

func newClock() clock {
	now := time.Now()
	return clock{anchor: now, wallNS: now.UnixNano()}
}

func (c clock) now() int64 { return c.wallNS + int64(time.Since(c.anchor)) }

// sender sends requests over kept connections.
type sender struct {
	transport *http.Transport
	clock     clock
}

func newSender(plan *Plan, clock clock) *sender {
	return &sender{clock: clock, transport: &http.Transport{
		DisableCompression:  true,
		MaxIdleConns:        plan.MaxInFlight,
		MaxIdleConnsPerHost: plan.MaxInFlight,
		IdleConnTimeout:     time.Minute,
	}}
}

// send sends row.request and fills in the rest of row. It uses the transport alone: no redirect is
// followed, no cookie kept.
func (s *sender) send(ctx context.Context, row *row) {
	ctx, cancel := context.WithTimeout(ctx, row.timeout)
	defer cancel()
	row.delayNS = -1
	request, err := http.NewRequestWithContext(ctx, row.kind.Method, row.url, bodyReader(row.body()))
	if err != nil {
		row.startNS = s.clock.now()
		row.endNS = row.startNS
		return
	}
	for name, value := range row.kind.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set(headerRequest, row.id)
	if row.traceID != "" {
		request.Header.Set("Traceparent", "00-"+row.traceID+"-"+row.spanID+"-01")
	}
	row.startNS = s.clock.now()
	response, err := s.transport.RoundTrip(request)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	row.endNS = s.clock.now()
	if err != nil {
		row.status = statusError
		if errors.Is(err, context.DeadlineExceeded) || ctx.Err() == context.DeadlineExceeded {
			row.status = statusTimeout
		}
		return
	}
	row.note(response, body)
}

// note keeps what the answer says; it runs after the end time was taken.
func (r *row) note(response *http.Response, body []byte) {
	r.status = response.StatusCode
	r.build = response.Header.Get(headerBuild)
	r.form = response.Header.Get(headerForm)
	if delay, err := strconv.ParseInt(response.Header.Get(headerDelay), 10, 64); err == nil {
		r.delayNS = delay
	}
	sum := sha256.Sum256(body)
	r.bodySHA8 = hex.EncodeToString(sum[:4])
}

func bodyReader(body string) io.Reader {
	if body == "" {
		return nil
	}
	return strings.NewReader(body)
}
