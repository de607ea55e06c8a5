package gateway

import (
	"net/http"
	"strconv"

	"shop.example/shop/internal/reply"
)

const delayHeader = "X-Lab-Delay-Ns"

// labelled says in every answer which build and form gave it, and that it was
// not delayed: a delayed one says otherwise, and to say it costs both the same.
func (g *Gateway) labelled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.config.BuildID != "" {
			w.Header().Set("X-Lab-Build", g.config.BuildID)
			w.Header().Set(delayHeader, "0")
		}
		if g.config.Form != "" {
			w.Header().Set("X-Lab-Form", g.config.Form)
		}
		next.ServeHTTP(w, r)
	})
}

// disturbed spends the configured delay before handle, says in X-Lab-Delay-Ns
// what it really was, and applies the injected faults. Without any of them it
// is handle itself. The request is passed on as it is, never a copy, so that
// its matched pattern stays visible to whoever wraps the server.
func (g *Gateway) disturbed(handle http.HandlerFunc) http.HandlerFunc {
	if g.injector.Enabled() {
		handle = g.faulty(handle)
	}
	if !g.config.Delay.Enabled() {
		return handle
	}
	return func(w http.ResponseWriter, r *http.Request) {
		spent := g.config.Delay.Spend(r.Context())
		w.Header().Set(delayHeader, strconv.FormatInt(spent.Nanoseconds(), 10))
		handle(w, r)
	}
}

// faulty makes some requests late or fail; X-Lab-Injected marks the failures.
func (g *Gateway) faulty(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault := g.injector.Decide(r.Header.Get("X-Request-Id"))
		if err := fault.Wait(r.Context()); err != nil {
			answer(w, r, 0, nil, err)
			return
		}
		if fault.Fail {
			w.Header().Set("X-Lab-Injected", "error")
			reply.Error(w, http.StatusServiceUnavailable, "injected error")
			return
		}
		handle(w, r)
	}
}
