package main

import (
	"strings"
	"testing"
)

const goodPlan = `{"target":"http://127.0.0.1:1","seed":1,"rate_rps":10,"arrivals":"poisson","requests":5,
"warmup_requests":0,"max_in_flight":4,"timeout_s":1,"traceparent":false,
"mix":[{"type":"browse","weight":1,"method":"GET","path":"/e?p={p}","body":"","headers":{},
"params":{"p":{"int":[1,5]}},"status":[200],"timeout_s":null,"expect_timeout":false}]}`

func TestPlanAsWrittenByTheGuestIsRead(t *testing.T) {
	plan, err := parsePlan([]byte(goodPlan))
	if err != nil {
		t.Fatal(err)
	}
	if plan.RateRPS != 10 || plan.Mix[0].Params["p"].Int[1] != 5 {
		t.Fatalf("read as %+v", plan)
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	_, err := parsePlan([]byte(`{"target":"ftp://x","rate_rps":0,"arrivals":"bursty","requests":0,"warmup_requests":-1,
	"max_in_flight":0,"timeout_s":0,"mix":[
	{"type":"a","weight":0,"method":"get","path":"e/{q}","params":{"z":{"int":[2,1]}},"status":[]},
	{"type":"a","weight":1,"method":"GET","path":"/","status":[200]}]}`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"target:", "rate_rps:", "arrivals:", "requests:", "warmup_requests:", "max_in_flight:", "timeout_s:",
		"weight:", "method:", "path:", "status:", "draw {q}", "{z} is used", "params.z:", "mix[1] (a): the type is there twice"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %q in:\n%v", part, err)
		}
	}
}

func TestUnknownKeyAndTrailingTextAreRefused(t *testing.T) {
	for _, content := range []string{strings.Replace(goodPlan, `"seed"`, `"sead"`, 1), goodPlan + "{}", "", "[]"} {
		if _, err := parsePlan([]byte(content)); err == nil {
			t.Errorf("accepted: %.40s", content)
		}
	}
}
