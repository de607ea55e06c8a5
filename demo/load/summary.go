package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// summary is the last line on stdout.
type summary struct {
	Scheduled       int                       `json:"scheduled"`
	Sent            int                       `json:"sent"`
	Completed       int                       `json:"completed"`
	Late            int                       `json:"late"`
	LateLimitNS     int64                     `json:"late_limit_ns"`
	Errors          map[string]int            `json:"errors"` // "type|status" of what was not expected
	Unexpected      int                       `json:"unexpected"`
	WindowStartNS   int64                     `json:"window_start_ns"`
	WindowEndNS     int64                     `json:"window_end_ns"`
	AchievedRPS     float64                   `json:"achieved_rps"`
	CPUS            float64                   `json:"cpu_s"`
	MaxInFlightSeen int                       `json:"max_in_flight_seen"`
	Headers         map[string]map[string]int `json:"headers"`
	DelayNS         delay                     `json:"delay_ns"`
	ByType          map[string]latencies      `json:"by_type"`
	Interrupted     bool                      `json:"interrupted"`
}

type delay struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
}

// latencies are from the intended time, of completed requests; null where there are too few.
type latencies struct {
	Count int      `json:"count"`
	P50MS *float64 `json:"p50_ms"`
	P90MS *float64 `json:"p90_ms"`
	P99MS *float64 `json:"p99_ms"` // only from 1,000 requests of the type
}

const minForP99 = 1000

// summarise counts the rows. A request that could not leave because max_in_flight was reached is
// scheduled and unexpected, and neither sent nor completed.
func summarise(plan *Plan, out outcome) summary {
	s := summary{
		Scheduled: plan.Requests, CPUS: out.cpuS, MaxInFlightSeen: out.maxInFlight, Interrupted: out.interrupted,
		Errors: map[string]int{}, ByType: map[string]latencies{},
		Headers: map[string]map[string]int{"build": {}, "form": {}},
	}
	var all []int64
	byType := map[string][]int64{}
	var delaySum float64
	for i := range out.rows {
		row := &out.rows[i]
		s.WindowEndNS = max(s.WindowEndNS, row.endNS)
		if !row.notSent {
			s.Sent++
		}
		if !row.expected() {
			s.Unexpected++
			s.Errors[row.kind.Name+"|"+row.outcomeName()]++
		}
		if row.status > 0 {
			s.Headers["build"][row.build]++
			s.Headers["form"][row.form]++
		}
		if row.delayNS >= 0 {
			s.DelayNS.Count++
			delaySum += float64(row.delayNS)
		}
		if row.completed() {
			s.Completed++
			latency := row.endNS - row.intendedNS
			all = append(all, latency)
			byType[row.kind.Name] = append(byType[row.kind.Name], latency)
		}
	}
	if s.DelayNS.Count > 0 {
		s.DelayNS.Mean = delaySum / float64(s.DelayNS.Count)
	}
	if len(out.rows) > 0 {
		s.WindowStartNS = out.rows[0].intendedNS
		s.AchievedRPS = float64(s.Completed) / (float64(s.WindowEndNS-s.WindowStartNS) / float64(time.Second))
	}
	for name, values := range byType {
		s.ByType[name] = latenciesOf(values)
	}
	s.LateLimitNS = int64(time.Millisecond)
	if len(all) > 0 {
		slices.Sort(all)
		s.LateLimitNS = max(s.LateLimitNS, int64(percentile(all, 50)/100))
	}
	for i := range out.rows {
		if row := &out.rows[i]; row.startNS-row.intendedNS > s.LateLimitNS {
			s.Late++
		}
	}
	return s
}

func (r *row) outcomeName() string {
	if r.notSent {
		return "not-sent"
	}
	return strconv.Itoa(r.status)
}

func latenciesOf(values []int64) latencies {
	slices.Sort(values)
	ms := func(p float64) *float64 {
		value := percentile(values, p) / float64(time.Millisecond)
		return &value
	}
	l := latencies{Count: len(values), P50MS: ms(50), P90MS: ms(90)}
	if len(values) >= minForP99 {
		l.P99MS = ms(99)
	}
	return l
}

// percentile interpolates between closest ranks (R's type 7), as the report does when it reads the
// rows again. values is sorted and not empty.
func percentile(values []int64, p float64) float64 {
	place := p / 100 * float64(len(values)-1)
	low := int(place)
	high := min(low+1, len(values)-1)
	return float64(values[low]) + (place-float64(low))*float64(values[high]-values[low])
}

// writeRows writes the gzipped CSV. No field can hold a comma or a quote: names are checked with
// the plan, the rest is made here.
func writeRows(file io.Writer, rows []row) error {
	buffer := bufio.NewWriterSize(file, 64<<10)
	zip := gzip.NewWriter(buffer)
	_, err := io.WriteString(zip, "intended_ns,start_ns,end_ns,status,type,request_id,trace_id,body_sha8\n")
	for i := range rows {
		r := &rows[i]
		if err != nil {
			break
		}
		_, err = fmt.Fprintf(zip, "%d,%d,%d,%d,%s,%s,%s,%s\n",
			r.intendedNS, r.startNS, r.endNS, r.status, r.kind.Name, r.id, r.traceID, r.bodySHA8)
	}
	return errors.Join(err, zip.Close(), buffer.Flush())
}
