package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is one request, ready to be sent but for its body.
type request struct {
	kind    *Type
	hand    []float64 // of each parameter's value, in the order of their names, the place in its range
	url     string
	id      string
	traceID string // "" when the plan asks for no traceparent
	spanID  string
	timeout time.Duration
}

// to is the request as this target gets it; url is its path before.
func (r request) to(target Target) request {
	r.url = strings.TrimRight(target.URL, "/") + r.url
	return r
}

// stream makes requests. The n-th depends on the seed, the mix, how many are planned and n, and on
// nothing else, so every form gets the same work and a request can be made again alone.
type stream struct {
	plan  *Plan
	kinds []int32     // the n-th request's place in the mix, the warm-up's included
	hands [][]float64 // and for each of its parameters, in the order of their names, the place in its range: 0 to 1
}

// Streams of one seed that must not follow each other get different second halves of the state.
const (
	arrivalStream = 0xa11a << 48
	onceStream    = 0x0ce0 << 48
	warmupDeal    = 0xdea1 << 48
	windowDeal    = 0xdea2 << 48
)

func newStream(plan *Plan) *stream {
	made := &stream{plan: plan}
	deal := func(count int, name uint64) {
		kinds := dealt(plan.Mix, count)
		random := rand.New(rand.NewPCG(plan.Seed, name))
		random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		made.kinds = append(made.kinds, kinds...)
		made.hands = append(made.hands, hands(plan.Mix, kinds, random)...)
	}
	deal(plan.WarmupRequests, warmupDeal)
	deal(plan.Requests, windowDeal)
	return made
}

// hands deals the parameters: the range of each is cut into as many parts as there are requests of the type, and each
// request gets a place in one of them, by lot. Values that are drawn differ from seed to seed, and the work with them:
// a page far behind costs more than the first.
func hands(mix []Type, kinds []int32, random *rand.Rand) [][]float64 {
	dealt := make([][]float64, len(kinds))
	for i := range mix {
		var mine []int
		for at, kind := range kinds {
			if int(kind) == i {
				mine = append(mine, at)
			}
		}
		for range mix[i].Params {
			for part, turn := range random.Perm(len(mine)) {
				place := (float64(part) + random.Float64()) / float64(len(mine))
				dealt[mine[turn]] = append(dealt[mine[turn]], place)
			}
		}
	}
	return dealt
}

// dealt shares count requests out by weight: each type gets the whole part of its share, and the types
// with the largest remainders get one more. A mix that is drawn differs from seed to seed, and the work
// with it.
func dealt(mix []Type, count int) []int32 {
	total := 0.0
	for i := range mix {
		total += mix[i].Weight
	}
	given, left := make([]int, len(mix)), count
	order, remainder := make([]int, len(mix)), make([]float64, len(mix))
	for i := range mix {
		whole, part := math.Modf(mix[i].Weight / total * float64(count))
		given[i], remainder[i], order[i] = int(whole), part, i
		left -= given[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder[b], remainder[a]) })
	for i := range left {
		given[order[i%len(order)]]++
	}
	kinds := make([]int32, 0, count)
	for i, times := range given {
		kinds = append(kinds, slices.Repeat([]int32{int32(i)}, times)...)
	}
	return kinds
}

// at returns the n-th request of the plan, the warm-up's included.
func (s *stream) at(n uint64) request {
	return s.fill(&s.plan.Mix[s.kinds[n]], s.hands[n], rand.New(rand.NewPCG(s.plan.Seed, n)))
}

// single returns the n-th request of one type out of a stream of its own, so that a canary is never
// mistaken for one of the plan's requests.
func (s *stream) single(name string, n uint64) (request, error) {
	for i := range s.plan.Mix {
		if kind := &s.plan.Mix[i]; kind.Name == name {
			hash := fnv.New32a()
			hash.Write([]byte(name))
			random := rand.New(rand.NewPCG(s.plan.Seed^uint64(hash.Sum32()), onceStream+n))
			return s.fill(kind, hands([]Type{*kind}, []int32{0}, random)[0], random), nil
		}
	}
	return request{}, fmt.Errorf("the mix has no type %q", name)
}

func (s *stream) fill(kind *Type, hand []float64, random *rand.Rand) request {
	path, query, asked := strings.Cut(kind.Path, "?")
	path = filled(path, kind, hand, url.PathEscape) // a plus is a space in a query only
	if asked {
		path += "?" + filled(query, kind, hand, url.QueryEscape)
	}
	r := request{kind: kind, hand: hand, url: strings.TrimRight(s.plan.Target, "/") + path}
	r.id = fmt.Sprintf("%016x", random.Uint64())
	if s.plan.Traceparent {
		r.traceID = fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()|1)
		r.spanID = fmt.Sprintf("%016x", random.Uint64()|1)
	}
	timeoutS := s.plan.TimeoutS
	if kind.TimeoutS != nil {
		timeoutS = *kind.TimeoutS
	}
	r.timeout = time.Duration(timeoutS * float64(time.Second))
	return r
}

// body is made when the request leaves: those of a whole plan can be more than the machine has memory for.
func (r *request) body() string {
	return filled(r.kind.Body, r.kind, r.hand, func(value string) string { return value })
}

// filled puts in the parameters in the order of their names: a map has none.
func filled(text string, kind *Type, hand []float64, escape func(string) string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	for i, name := range sortedKeys(kind.Params) {
		text = strings.ReplaceAll(text, "{"+name+"}", escape(kind.Params[name].at(hand[i])))
	}
	return text
}

// at is the value at this place in its range, from 0 to 1.
func (p Param) at(place float64) string {
	if len(p.Choice) > 0 {
		return p.Choice[min(int(place*float64(len(p.Choice))), len(p.Choice)-1)]
	}
	first, last := p.Int[0], p.Int[1]
	offset := uint64(place * (float64(uint64(last-first)) + 1)) // rounded, where the range is beyond 2^53
	return strconv.FormatInt(first+int64(min(offset, uint64(last-first))), 10)
}

// arrivals returns when each request is to leave, counted from the start. Uniform: one every 1/rate.
// Poisson: gaps drawn from the exponential distribution with that mean.
func arrivals(plan *Plan) []time.Duration {
	gap := float64(time.Second) / plan.RateRPS
	random := rand.New(rand.NewPCG(plan.Seed, arrivalStream))
	times := make([]time.Duration, plan.WarmupRequests+plan.Requests)
	at := 0.0
	for i := range times {
		times[i] = time.Duration(at)
		if plan.Arrivals == "poisson" {
			at += random.ExpFloat64() * gap
		} else {
			at = float64(i+1) * gap
		}
	}
	return times
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
