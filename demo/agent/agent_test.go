package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestExplainNamesTheOneThingToDo(t *testing.T) {
	root := facts{lockdown: "none", goVersion: "go1.26.1"}
	lacking := root
	lacking.lackCaps = []string{"CAP_SYS_PTRACE"}
	noConfig := root
	noConfig.lackConfig = []string{"CONFIG_UPROBE_EVENTS"}
	locked := root
	locked.lockdown = "integrity"
	unknown := root
	unknown.lockdown = ""
	stripped := root
	stripped.stripped = true
	for _, each := range []struct {
		err  error
		f    facts
		want string
	}{
		{errInstrumented, root, "other agent"},
		{errors.New("the Linux Kernel doesn't support context propagation"), locked, "--off google.golang.org/grpc:client"},
		{errors.New("program of this type cannot use helper bpf_probe_write_user#36"), locked, "go.opentelemetry.io/otel/trace"},
		{os.ErrPermission, lacking, "CAP_SYS_PTRACE"},
		{errors.New("x"), noConfig, "CONFIG_UPROBE_EVENTS"},
		{errors.New("operation not permitted"), unknown, "mount -t securityfs"},
		{errors.New("operation not permitted"), locked, "lockdown [integrity]"},
		{errors.New(`failed to find offset for "std:x"`), stripped, "without -s and -w"},
		{errors.New(`failed to find offset for "std:x"`), root, "go1.26.1"},
		{errors.New("not a Go executable"), facts{}, "not a Go program"},
		{errors.New("no instrumentation for target process"), root, "nothing this agent can see"},
		{errors.New("?"), root, "--debug"},
	} {
		if got := explain(each.err, each.f); !strings.Contains(got, each.want) {
			t.Errorf("%v with %+v: %q lacks %q", each.err, each.f, got, each.want)
		}
	}
}

func TestFactParsers(t *testing.T) {
	if got := parseLockdown("none [integrity] confidentiality\n"); got != "integrity" {
		t.Errorf("lockdown %q", got)
	}
	if got := parseLockdown("<html>"); got != "" {
		t.Errorf("lockdown %q", got)
	}
	if got := missingCaps("Name:\tx\nCapEff:\t0000000000000000\n"); !slices.Equal(got, []string{"CAP_SYS_PTRACE", "CAP_SYS_ADMIN"}) {
		t.Errorf("no capability: missing %v", got)
	}
	if got := missingCaps("CapEff:\t000001ffffffffff\n"); got != nil {
		t.Errorf("all capabilities: missing %v", got)
	}
	config := "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_EVENTS=y\nCONFIG_PERF_EVENTS=y\nCONFIG_UPROBES=y\n# CONFIG_UPROBE_EVENTS is not set\n"
	if got := missingConfig(strings.NewReader(config)); !slices.Equal(got, []string{"CONFIG_UPROBE_EVENTS"}) {
		t.Errorf("missing %v", got)
	}
	if got := missingConfig(strings.NewReader("")); got != nil {
		t.Errorf("an empty config says %v", got)
	}
}

func TestOffSwitches(t *testing.T) {
	for list, want := range map[string]int{"": 0, "net/http": 2, "net/http:server, database/sql": 2, "google.golang.org/grpc:client": 1} {
		if got, err := parseOff(list); err != nil || len(got) != want {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"grpc", "net/http:both", "net/http,x"} {
		if _, err := parseOff(list); err == nil {
			t.Errorf("%q was accepted", list)
		}
	}
}

func TestUsageAndMissingTarget(t *testing.T) {
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	gone := strconv.Itoa(child.Process.Pid)
	ready := filepath.Join(t.TempDir(), "ready")
	for _, each := range []struct {
		args []string
		code int
	}{
		{nil, exitUsage},
		{[]string{"--pid", "1"}, exitUsage},
		{[]string{"--pid", gone, "--ready", ready, "--off", "nope"}, exitUsage},
		{[]string{"--pid", gone, "--ready", ready}, exitNoTarget},
	} {
		var stderr bytes.Buffer
		if code := run(each.args, &stderr); code != each.code {
			t.Errorf("%v: exit %d, want %d", each.args, code, each.code)
		}
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		var last failure
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Error == "" || last.Hint == "" {
			t.Errorf("%v: last line %q, %v", each.args, lines[len(lines)-1], err)
		}
	}
}

func TestTargetEndIsSeen(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	watched, err := openTarget(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer watched.close()
	if watched.gone() {
		t.Error("a running process is told as gone")
	}
	child.Process.Kill()
	child.Wait()
	select {
	case <-watched.exited:
	case <-time.After(5 * time.Second):
		t.Error("the end was not seen")
	}
}

func TestClaimsExcludeEachOther(t *testing.T) {
	first, err := claimTarget(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claimTarget(os.Getpid()); !errors.Is(err, errInstrumented) {
		t.Errorf("a second claim: %v", err)
	}
	first.release()
	again, err := claimTarget(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	again.release()
}

func TestMapHolderAndStaleFolder(t *testing.T) {
	proc := t.TempDir()
	info := filepath.Join(proc, "42", "fdinfo")
	if err := os.MkdirAll(info, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(info, "7"), []byte("pos:\t0\nmap_id:\t9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mapHolder(proc, map[string]bool{"9": true}); got != "42" {
		t.Errorf("holder %q", got)
	}
	if got := mapHolder(proc, map[string]bool{"8": true}); got != "" {
		t.Errorf("holder %q", got)
	}
	if err := clearStale(proc, 43); err != nil {
		t.Errorf("nothing to clear: %v", err)
	}
}
