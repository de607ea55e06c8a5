package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// process is one running shop, as a process would be but in this one.
type process struct {
	addrs map[string]string // part to address
	stop  func() error      // asks it to end, and waits
}

// launch runs `shop args…` until the test ends or stop is called.
func launch(t *testing.T, args ...string) process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, write)
		write.CloseWithError(io.EOF)
		done <- err
	}()
	var line struct{ Listening map[string]string }
	if err := json.NewDecoder(read).Decode(&line); err != nil {
		cancel()
		t.Fatalf("shop %v did not start: %v", args, <-done)
	}
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("shop %v: %v", args, err)
		}
	})
	return process{line.Listening, stop}
}

// launchAll runs all parts in one process and returns the gateway's URL.
func launchAll(t *testing.T, args ...string) string {
	t.Helper()
	return "http://" + launchShop(t, args...).addrs[partGateway]
}

func launchShop(t *testing.T, args ...string) process {
	t.Helper()
	return launch(t, append([]string{
		partsAll, "--http=127.0.0.1:0", "--catalog-http=127.0.0.1:0", "--pricing-grpc=127.0.0.1:0", "--orders-grpc=127.0.0.1:0",
	}, args...)...)
}

// launchSplit runs every part by itself and returns the gateway's URL.
func launchSplit(t *testing.T, args ...string) string {
	t.Helper()
	work := t.TempDir()
	orders := launch(t, partOrders, "--orders-grpc=127.0.0.1:0", "--db="+filepath.Join(work, "orders.db"))
	pricing := launch(t, partPricing, "--pricing-grpc=127.0.0.1:0")
	catalog := launch(t, partCatalog, "--catalog-http=127.0.0.1:0", "--db="+filepath.Join(work, "catalog.db"))
	gateway := launch(t, append([]string{
		partGateway, "--http=127.0.0.1:0",
		"--catalog-http=" + catalog.addrs[partCatalog],
		"--pricing-grpc=" + pricing.addrs[partPricing],
		"--orders-grpc=" + orders.addrs[partOrders],
	}, args...)...)
	return "http://" + gateway.addrs[partGateway]
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url, body string) answer {
	t.Helper()
	return send(t, method, url, strings.NewReader(body), "")
}

func send(t *testing.T, method, url string, body io.Reader, requestID string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Request-Id", requestID)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// routes is every request type, and hostile ones, with what must come back.
var routes = []struct {
	name, method, path, body string
	status                   int
	contains                 string
}{
	{"ready", "GET", "/readyz", "", 200, `"ready":true`},
	{"browse", "GET", "/events", "", 200, `"title"`},
	{"browse page", "GET", "/events?page=20", "", 200, `"title"`},
	{"browse past the end", "GET", "/events?page=21", "", 200, "[]"},
	{"get", "GET", "/events/7", "", 200, `"unit_cents":35910`},
	{"search", "GET", "/search?q=kernels", "", 200, `"topic":"kernels"`},
	{"search-nplus1", "GET", "/search?q=kernels&variant=nplus1", "", 200, `"topic":"kernels"`},
	{"checkout", "POST", "/checkout", `{"event":7,"quantity":10,"customer":"Ada"}`, 201, `"total_cents":323190`},
	{"report", "GET", "/report", "", 200, `"cents"`},
	{"venues", "GET", "/venues", "", 200, `"Aarhus"`},
	{"slow", "GET", "/slow?ms=5", "", 200, `"waited_ms":5`},
	{"fail", "GET", "/fail", "", 500, "on purpose"},

	{"bad-id", "GET", "/events/abc", "", 400, "event id"},
	{"missing", "GET", "/events/999999", "", 404, "no such event"},
	{"huge page", "GET", "/events?page=99999999999999999999", "", 400, "page"},
	{"negative page", "GET", "/events?page=-1", "", 400, "page"},
	{"no query", "GET", "/search", "", 400, "q must be"},
	{"long query", "GET", "/search?q=" + strings.Repeat("x", 65), "", 400, "q must be"},
	{"wildcard query", "GET", "/search?q=%25", "", 200, "[]"},
	{"quote in query", "GET", "/search?q=%27%3B+DROP+TABLE+events", "", 200, "[]"},
	{"unknown variant", "GET", "/search?q=x&variant=nplus2", "", 400, "variant"},
	{"slow for ever", "GET", "/slow?ms=99999999", "", 400, "ms"},
	{"negative quantity", "POST", "/checkout", `{"event":7,"quantity":-1,"customer":"Ada"}`, 400, "quantity"},
	{"checkout of nothing", "POST", "/checkout", `{"event":999999,"quantity":1,"customer":"Ada"}`, 404, "no such event"},
	{"giant body", "POST", "/checkout", strings.Repeat(" ", 1<<20), 413, "4 KiB"},
	{"giant tail", "POST", "/checkout", `{"event":7,"quantity":1,"customer":"Ada"}` + strings.Repeat(" ", 1<<20), 413, "4 KiB"},
	{"no body", "POST", "/checkout", "", 400, "not as expected"},
	{"wrong method", "DELETE", "/events/7", "", 405, ""},
	{"unknown route", "GET", "/catalog/events", "", 404, ""},
}

// TestRoutes asks everything of both topologies.
func TestRoutes(t *testing.T) {
	for name, start := range map[string]func(*testing.T, ...string) string{"all": launchAll, "split": launchSplit} {
		t.Run(name, func(t *testing.T) {
			shop := start(t)
			for _, route := range routes {
				got := ask(t, route.method, shop+route.path, route.body)
				if got.status != route.status || !strings.Contains(got.body, route.contains) {
					t.Errorf("%s: %d %.200s; want %d with %q", route.name, got.status, got.body, route.status, route.contains)
				}
				if build := got.header.Get("X-Lab-Build"); build != buildID {
					t.Errorf("%s: X-Lab-Build is %q", route.name, build)
				}
				if delay := got.header.Get("X-Lab-Delay-Ns"); delay != "0" {
					t.Errorf("%s: X-Lab-Delay-Ns is %q without a delay", route.name, delay)
				}
			}
		})
	}
}

func TestFormIsShown(t *testing.T) {
	t.Setenv("LAB_FORM", "twin")
	if got := ask(t, "GET", launchAll(t)+"/venues", "").header.Get("X-Lab-Form"); got != "twin" {
		t.Errorf("X-Lab-Form is %q", got)
	}
}

// TestSeedDecidesTheData: equal for equal seeds, in both topologies of answers
// that do not depend on history.
func TestSeedDecidesTheData(t *testing.T) {
	everything := func(seed int) string {
		var all bytes.Buffer
		shop := launchAll(t, fmt.Sprintf("--seed=%d", seed))
		for _, path := range []string{"/events?page=3", "/events/11", "/search?q=Days", "/report", "/venues"} {
			all.WriteString(ask(t, "GET", shop+path, "").body)
		}
		all.WriteString(ask(t, "POST", shop+"/checkout", `{"event":9,"quantity":3,"customer":"Ada"}`).body)
		return all.String()
	}
	first := everything(5)
	if first != everything(5) {
		t.Error("seed 5 gives different answers the second time")
	}
	if first == everything(6) {
		t.Error("seeds 5 and 6 give the same answers")
	}
}

func TestSoldOut(t *testing.T) {
	shop, order := launchAll(t, "--stock=3"), `{"event":7,"quantity":2,"customer":"Ada"}`
	for i, want := range []int{201, 409, 409} {
		if got := ask(t, "POST", shop+"/checkout", order); got.status != want {
			t.Errorf("order %d: %d %s; want %d", i+1, got.status, got.body, want)
		}
	}
}

// TestReadyOnlyWithEveryPart: the gateway alone is not a shop.
func TestReadyOnlyWithEveryPart(t *testing.T) {
	addrs := freeAddrs(t, 3)
	gateway := launch(t, partGateway, "--http=127.0.0.1:0",
		"--catalog-http="+addrs[0], "--pricing-grpc="+addrs[1], "--orders-grpc="+addrs[2])
	url := "http://" + gateway.addrs[partGateway] + "/readyz"
	rest := [][]string{
		{partCatalog, "--catalog-http=" + addrs[0]},
		{partPricing, "--pricing-grpc=" + addrs[1]},
		{partOrders, "--orders-grpc=" + addrs[2]},
	}
	for _, args := range rest {
		if got := ask(t, "GET", url, ""); got.status != 503 {
			t.Errorf("ready is %d before %s runs", got.status, args[0])
		}
		launch(t, args...)
	}
	if got := ask(t, "GET", url, ""); got.status != 200 {
		t.Errorf("ready is %d %s with every part running", got.status, got.body)
	}
}

// freeAddrs returns addresses nobody listens at.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() // all open until the last is chosen
		addrs[i] = listener.Addr().String()
	}
	return addrs
}
