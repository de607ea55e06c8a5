package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func mixedPlan() *Plan {
	plan := planFor("http://127.0.0.1:1")
	plan.Mix = []Type{
		{Name: "browse", Weight: 3, Method: "GET", Path: "/events?page={page}", Status: []int{200},
			Params: map[string]Param{"page": {Int: []int64{1, 5}}}},
		{Name: "buy", Weight: 1, Method: "POST", Path: "/checkout", Body: `{"who":"{who}","n":{n}}`, Status: []int{200},
			Params: map[string]Param{"who": {Choice: []string{"ann", "bob"}}, "n": {Int: []int64{1, 9}}}},
	}
	return plan
}

func TestNthRequestDependsOnSeedMixCountAndNOnly(t *testing.T) {
	one, other := mixedPlan(), mixedPlan()
	other.Target, other.RateRPS, other.Arrivals = "http://127.0.0.1:2", 9, "poisson"
	one.Requests, other.Requests = 500, 500
	first, second := newStream(one), newStream(other)
	for n := range uint64(500) {
		a, b := first.at(n), second.at(499-n) // out of order on purpose
		c := second.at(n)
		if a.kind.Name != c.kind.Name || a.body() != c.body() || a.id != c.id ||
			strings.TrimPrefix(a.url, one.Target) != strings.TrimPrefix(c.url, other.Target) {
			t.Fatalf("request %d differs: %+v, %+v", n, a, c)
		}
		if n != 499-n && a.id == b.id {
			t.Fatalf("requests %d and %d share an id", n, 499-n)
		}
	}
	other.Seed++
	if newStream(other).at(0).id == first.at(0).id {
		t.Error("another seed gave the same request")
	}
}

func TestGoldenRequests(t *testing.T) {
	// These values may change only with a note in the change log: old runs cannot be repeated then.
	stream := newStream(mixedPlan())
	var got []string
	for n := range uint64(3) {
		r := stream.at(n)
		got = append(got, r.kind.Name+" "+r.url[len("http://127.0.0.1:1"):]+" "+r.body()+" "+r.id)
	}
	want := []string{
		`buy /checkout {"who":"bob","n":4} 44ffd670373170de`,
		`buy /checkout {"who":"bob","n":6} 9e2fb1ae31686d3d`,
		"browse /events?page=5  a0478edb161b8564",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("request %d is now %q, was %q", i, got[i], want[i])
		}
	}
}

func TestWeightsAndPlaceholders(t *testing.T) {
	plan, browse := mixedPlan(), 0
	plan.WarmupRequests, plan.Requests = 10, 3991
	stream := newStream(plan)
	for n := range uint64(4001) {
		r := stream.at(n)
		if strings.Contains(r.url+strings.Trim(r.body(), "{}"), "{") {
			t.Fatalf("a placeholder is left: %s %s", r.url, r.body())
		}
		if r.kind.Name == "browse" {
			browse++
		}
	}
	if browse != 8+2993 { // of 10 and of 3991, weight 3 of 4: 7.5 and 2993.25, the first with the larger remainder
		t.Errorf("browse came %d times", browse)
	}
}

func TestAValueIsEncodedForItsPlace(t *testing.T) {
	plan := planFor("http://127.0.0.1:1")
	plan.Mix[0].Path, plan.Mix[0].Body = "/items/{name}?of={name}", "{name}"
	for value, want := range map[string]string{
		"two words": "/items/two%20words?of=two+words",
		"a+b":       "/items/a+b?of=a%2Bb",
		"a/b?c#d%":  "/items/a%2Fb%3Fc%23d%25?of=a%2Fb%3Fc%23d%25",
	} {
		plan.Mix[0].Params = map[string]Param{"name": {Choice: []string{value}}}
		r := newStream(plan).at(0)
		if got := strings.TrimPrefix(r.url, plan.Target); got != want || r.body() != value {
			t.Errorf("%q became %q with body %q, want %q", value, got, r.body(), want)
		}
	}
}

func TestRequestsThatWaitHoldNoBody(t *testing.T) {
	plan := planFor("http://127.0.0.1:1")
	plan.Mix[0].Method, plan.Mix[0].Body = "POST", strings.Repeat("x", 100_000)+"{n}"
	plan.Mix[0].Params = map[string]Param{"n": {Int: []int64{1, 9}}}
	stream := newStream(plan)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	requests := make([]request, 100)
	for n := range requests {
		requests[n] = stream.at(uint64(n))
	}
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > 1_000_000 {
		t.Errorf("100 requests of 100 kB took %d bytes before any was sent", made)
	}
	if body := requests[99].body(); len(body) != 100_001 {
		t.Errorf("the body has %d bytes", len(body))
	}
}

func TestCanaryIsRepeatableAndApart(t *testing.T) {
	stream := newStream(mixedPlan())
	a, err := stream.single("buy", 3)
	b, _ := stream.single("buy", 3)
	c, _ := stream.single("buy", 4)
	if err != nil || a.id != b.id || a.id == c.id || a.kind.Name != "buy" {
		t.Errorf("canaries %+v %+v %+v, %v", a, b, c, err)
	}
	if _, err := stream.single("nothing", 0); err == nil {
		t.Error("an unknown type was accepted")
	}
}

func TestArrivals(t *testing.T) {
	plan := planFor("http://127.0.0.1:1")
	plan.RateRPS, plan.Requests = 100, 20000
	uniform := arrivals(plan)
	if uniform[0] != 0 || uniform[1] != 10*time.Millisecond || uniform[100] != time.Second {
		t.Errorf("uniform: %v %v %v", uniform[0], uniform[1], uniform[100])
	}
	plan.Arrivals = "poisson"
	random := arrivals(plan)
	var sum, squares float64
	for i := 1; i < len(random); i++ {
		gap := (random[i] - random[i-1]).Seconds()
		sum, squares = sum+gap, squares+gap*gap
	}
	count := float64(len(random) - 1)
	mean := sum / count
	deviation := math.Sqrt(squares/count - mean*mean)
	// An exponential distribution has its mean as standard deviation.
	if math.Abs(mean/0.01-1) > 0.03 || math.Abs(deviation/mean-1) > 0.05 {
		t.Errorf("poisson gaps: mean %v s, standard deviation %v s, want 0.01 for both", mean, deviation)
	}
	if again := arrivals(plan); again[19999] != random[19999] {
		t.Error("the same plan gave other times")
	}
}

func TestEveryTypeGetsItsShareInAnOrderOfTheSeed(t *testing.T) {
	mix := []Type{{Weight: 55}, {Weight: 10}, {Weight: 15}, {Weight: 2}, {Weight: 12}, {Weight: 2}, {Weight: 1}, {Weight: 1}, {Weight: 1}, {Weight: 1}}
	given := make([]int, len(mix))
	for _, kind := range dealt(mix, 60) {
		given[kind]++
	}
	if want := []int{33, 6, 9, 1, 7, 1, 1, 1, 1, 0}; !slices.Equal(given, want) { // the largest remainders of 60 %
		t.Errorf("60 requests are shared out as %v, want %v", given, want)
	}
	one, again, other := mixedPlan(), mixedPlan(), mixedPlan()
	one.Requests, again.Requests, other.Requests, other.Seed = 40, 40, 40, 99
	if !slices.Equal(newStream(one).kinds, newStream(again).kinds) {
		t.Error("one seed gave two orders")
	}
	if slices.Equal(newStream(one).kinds, newStream(other).kinds) {
		t.Error("two seeds gave one order of 40 requests")
	}
}

func TestEveryValueOfAParameterComesAsOftenAsAnyOther(t *testing.T) {
	plan, came := mixedPlan(), map[string]int{}
	plan.WarmupRequests, plan.Requests = 7, 400 // 300 browse, 100 buy
	stream := newStream(plan)
	for n := uint64(7); n < 407; n++ {
		r := stream.at(n)
		came[r.kind.Name+r.url[len(plan.Target):]]++
		if r.kind.Name == "buy" {
			came[r.body()[:len(`{"who":"ann"`)]]++
		}
	}
	for page := range 5 {
		if key := fmt.Sprintf("browse/events?page=%d", page+1); came[key] != 60 {
			t.Errorf("%s came %d times of 300", key, came[key])
		}
	}
	if came[`{"who":"ann"`] != 50 || came[`{"who":"bob"`] != 50 {
		t.Errorf("100 names came as %v", came)
	}
}

func TestARangeHasItsEnds(t *testing.T) {
	for _, param := range []Param{{Int: []int64{-1 << 40, 1 << 40}}, {Int: []int64{-3, -3}}, {Choice: []string{"a", "b"}}} {
		low, high := param.at(0), param.at(1)
		if len(param.Int) > 0 && (low != fmt.Sprint(param.Int[0]) || high != fmt.Sprint(param.Int[1])) {
			t.Errorf("%v goes from %s to %s", param, low, high)
		}
	}
}
