package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoTelemetry: the shop must stay what it is for, an uninstrumented service.
func TestNoTelemetry(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "google.golang.org/grpc\n") {
		t.Fatal("the list of dependencies is not one")
	}
	for name := range strings.Lines(string(out)) {
		for _, word := range []string{"opentelemetry", "datadog", "DataDog", "prometheus", "otel"} {
			if strings.Contains(name, word) {
				t.Errorf("depends on %s", name)
			}
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	for _, line := range []string{
		"", "shop", "all extra", "all --no-such-flag", "all --http=8080", "pricing --http=127.0.0.1:1",
		"catalog --delay-cpu=1ms", "all --delay-cpu=1ms --delay-wait=1ms", "all --delay-cpu=-1ms", "all --delay-wait=1h",
		"all --inject-error-pct=101", "all --inject-error-pct=NaN", "all --inject-latency=2h", "all --seed=x",
		"orders --stock=-1", "pricing --price-rounds=-1", "version --http=x",
	} {
		err := run(t.Context(), strings.Fields(line), &bytes.Buffer{})
		if usage := (usageError{}); !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") {
			t.Errorf("shop %s: %v; want a usage error of one line", line, err)
		}
	}
}

func TestHelp(t *testing.T) {
	for line, want := range map[string]string{"--help": "usage: shop all|gateway", "all -h": "-delay-cpu", "pricing -h": "-price-rounds"} {
		var out bytes.Buffer
		if err := run(t.Context(), strings.Fields(line), &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), want) {
			t.Errorf("shop %s: %v\n%s", line, err, out.String())
		}
	}
}

// TestStartFailures name the part and end, with what was started stopped again.
func TestStartFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := freeAddrs(t, 1)[0]
	err = run(t.Context(), []string{"all", "--http=" + taken.Addr().String(), "--catalog-http=" + free,
		"--pricing-grpc=127.0.0.1:0", "--orders-grpc=127.0.0.1:0"}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "start gateway") {
		t.Errorf("with its port taken: %v", err)
	}
	if again, err := net.Listen("tcp", free); err != nil {
		t.Errorf("the catalog still listens: %v", err)
	} else {
		again.Close()
	}
	err = run(t.Context(), []string{"catalog", "--catalog-http=127.0.0.1:0", "--db=" + filepath.Join(t.TempDir(), "no", "such.db")}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "start catalog") {
		t.Errorf("with nowhere to keep its data: %v", err)
	}
}

// TestBinary builds the shop as lab does and ends it by SIGTERM.
func TestBinary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "shop")
	build := exec.Command("go", "build", "-trimpath", "-mod=readonly", "-ldflags=-X main.buildID=b42", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(binary, "version").Output(); err != nil || string(out) != "b42\n" {
		t.Errorf("shop version: %q, %v", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	shop := exec.CommandContext(ctx, binary, "all", "--http=127.0.0.1:0", "--catalog-http=127.0.0.1:0",
		"--pricing-grpc=127.0.0.1:0", "--orders-grpc=127.0.0.1:0", "--db="+filepath.Join(t.TempDir(), "shop.db"))
	stdout, err := shop.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shop.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it listens
		t.Errorf("no line on stdout: %v", err)
	}
	if err := shop.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := shop.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0", err)
	}
	if out, err := exec.Command(binary, "nonsense").CombinedOutput(); err == nil || err.Error() != "exit status 2" {
		t.Errorf("shop nonsense: %v\n%s", err, out)
	}
}
