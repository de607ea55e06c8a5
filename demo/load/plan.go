package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"regexp"
	"strings"
)

const (
	sequential  = "sequential"
	maxRequests = 5_000_000 // all requests and their rows are held in memory
	maxRateRPS  = 100_000
)

// Plan says what to send, when. It is all that the stream of requests depends on.
type Plan struct {
	Target         string   `json:"target"`  // http://HOST:PORT
	Targets        []Target `json:"targets"` // instead of target: all get the same requests
	Seed           uint64   `json:"seed"`
	RateRPS        float64  `json:"rate_rps"`
	Arrivals       string   `json:"arrivals"` // poisson | uniform | sequential: uniform, and each after the answer before it
	Requests       int      `json:"requests"`
	WarmupRequests int      `json:"warmup_requests"` // sent first, left out of the rows
	MaxInFlight    int      `json:"max_in_flight"`
	TimeoutS       float64  `json:"timeout_s"`
	Traceparent    bool     `json:"traceparent"`
	Mix            []Type   `json:"mix"`
}

// Target is one of several services that get the same requests.
type Target struct {
	Name string `json:"name"`
	URL  string `json:"url"` // http://HOST:PORT
}

// Type is one kind of request. Path and Body may hold {NAME} for each of Params.
type Type struct {
	Name          string            `json:"type"`
	Weight        float64           `json:"weight"`
	Method        string            `json:"method"`
	Path          string            `json:"path"`
	Body          string            `json:"body"`
	Headers       map[string]string `json:"headers"`
	Params        map[string]Param  `json:"params"`
	Status        []int             `json:"status"`    // what counts as expected
	TimeoutS      *float64          `json:"timeout_s"` // null: the plan's
	ExpectTimeout bool              `json:"expect_timeout"`
}

// Param is how a value is drawn: a whole number within Int (both ends in), or one of Choice.
type Param struct {
	Int    []int64  `json:"int,omitempty"`
	Choice []string `json:"choice,omitempty"`
}

var placeholder = regexp.MustCompile(`\{([a-z_][a-z0-9_]*)\}`)

// readPlan reads and checks a plan; the error names every problem found.
func readPlan(path string) (*Plan, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	plan, err := parsePlan(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}

func parsePlan(content []byte) (*Plan, error) {
	plan := &Plan{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(plan); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("more than one JSON value")
	}
	return plan, errors.Join(plan.problems()...)
}

// problems lists all that is wrong with a plan, in the order of its fields.
func (p *Plan) problems() []error {
	var found []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, fmt.Errorf(format, args...))
		}
	}
	targets, known := p.Targets, map[string]bool{}
	if targets == nil {
		targets = []Target{{URL: p.Target}}
	}
	want(len(targets) > 0 && (p.Targets == nil || p.Target == ""), "targets: empty, or target is there too")
	for _, each := range targets {
		target, err := url.Parse(each.URL)
		want(err == nil && target.Scheme == "http" && target.Host != "" && strings.Trim(target.Path, "/") == "",
			"target: %q is not http://HOST:PORT", each.URL)
		want(!known[each.Name], "targets: %q is there twice", each.Name)
		known[each.Name] = true
	}
	want(p.RateRPS > 0 && p.RateRPS <= maxRateRPS, "rate_rps: %v is not above 0 and up to %d", p.RateRPS, maxRateRPS)
	want(p.Arrivals == "poisson" || p.Arrivals == "uniform" || p.Arrivals == sequential,
		"arrivals: %q is neither poisson, uniform nor sequential", p.Arrivals)
	want(p.Requests > 0, "requests: %d is not above 0", p.Requests)
	want(p.WarmupRequests >= 0, "warmup_requests: %d is below 0", p.WarmupRequests)
	want(p.Requests <= maxRequests && p.WarmupRequests <= maxRequests, "requests, warmup_requests: more than %d", maxRequests)
	want(p.MaxInFlight > 0 && p.MaxInFlight <= 65_536, "max_in_flight: %d is not within 1 and 65536", p.MaxInFlight)
	want(seconds(p.TimeoutS), "timeout_s: %v is not above 0 and up to 3600", p.TimeoutS)
	want(len(p.Mix) > 0, "mix: empty")
	names := map[string]bool{}
	for i, each := range p.Mix {
		place := fmt.Sprintf("mix[%d] (%s)", i, each.Name)
		want(!names[each.Name], "%s: the type is there twice", place)
		names[each.Name] = true
		for _, problem := range each.problems() {
			found = append(found, fmt.Errorf("%s: %w", place, problem))
		}
	}
	return found
}

func (t *Type) problems() []error {
	var found []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, fmt.Errorf(format, args...))
		}
	}
	want(t.Name != "" && !strings.ContainsAny(t.Name, ",|\"\n"), "type: %q is empty or holds one of , | \"", t.Name)
	want(t.Weight > 0 && t.Weight <= 1e9, "weight: %v is not above 0", t.Weight)
	want(t.Method != "" && t.Method == strings.ToUpper(t.Method), "method: %q is not an upper-case HTTP method", t.Method)
	want(strings.HasPrefix(t.Path, "/"), "path: %q does not start with /", t.Path)
	want(t.TimeoutS == nil || seconds(*t.TimeoutS), "timeout_s: not above 0 and up to 3600")
	want(len(t.Status) > 0 || t.ExpectTimeout, "status: name at least one expected status")
	used := map[string]bool{}
	for _, match := range placeholder.FindAllStringSubmatch(t.Path+t.Body, -1) {
		used[match[1]] = true
		_, known := t.Params[match[1]]
		want(known, "params: nothing says how to draw {%s}", match[1])
	}
	for _, name := range sortedKeys(t.Params) {
		param := t.Params[name]
		want(used[name], "params: {%s} is used in neither path nor body", name)
		isInt := len(param.Int) == 2 && param.Int[0] <= param.Int[1] && param.Choice == nil
		isChoice := len(param.Choice) > 0 && param.Int == nil
		want(isInt || isChoice, `params.%s: give {"int": [LOW, HIGH]} or {"choice": ["a", ...]}`, name)
	}
	return found
}

func seconds(s float64) bool { return s > 0 && s <= 3600 && !math.IsNaN(s) }
