package main

import (
	"bufio"
	"compress/gzip"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// facts are what decides whether this agent can attach to this target here. Empty means unknown.
type facts struct {
	lackCaps   []string // capabilities attaching needs and this process has not
	lackConfig []string // kernel options attaching needs and the running kernel has not
	lockdown   string   // none, integrity, confidentiality; "" when securityfs cannot be read
	goVersion  string   // of the target; "" when it is no Go program
	stripped   bool     // the target carries no DWARF
}

// neededCaps by bit number: ptrace allocates memory in the target; the others load programs.
var neededCaps = []struct {
	name string
	bit  uint
}{{"CAP_SYS_PTRACE", 19}, {"CAP_SYS_ADMIN", 21}}

var neededConfig = []string{"CONFIG_BPF_SYSCALL", "CONFIG_BPF_EVENTS", "CONFIG_PERF_EVENTS", "CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS"}

// writers are the probes that pass a context on by writing into the target's memory.
const writers = "google.golang.org/grpc:client,github.com/segmentio/kafka-go:producer,go.opentelemetry.io/auto,go.opentelemetry.io/otel/trace,go.opentelemetry.io/otel/internal/global"

// explain turns a failed attach into one thing to do. It is pure: the same error and facts give the
// same advice.
func explain(err error, f facts) string {
	text := err.Error()
	denied := errors.Is(err, os.ErrPermission) || strings.Contains(text, "not permitted") || strings.Contains(text, "permission denied")
	switch {
	case errors.Is(err, errInstrumented):
		return "stop the other agent (SIGTERM) and wait for it, or instrument another process"
	case strings.Contains(text, "context propagation"), strings.Contains(text, "bpf_probe_write_user"):
		return fmt.Sprintf("the kernel is in lockdown [%s]: leave out the probes that write into the target with --off %s, or boot without lockdown", f.lockdown, writers)
	case len(f.lackConfig) > 0:
		return "use a kernel built with " + strings.Join(f.lackConfig, ", ")
	case denied && len(f.lackCaps) > 0:
		return "run as root, or grant " + strings.Join(f.lackCaps, ", ")
	case f.goVersion == "":
		return "the target is not a Go program built with modules: give the pid of the service itself"
	case strings.Contains(text, "failed to find offset") && f.stripped:
		return fmt.Sprintf("the target (%s) is stripped and its versions are not in the agent's offset table: build it without -s and -w, or with the pinned versions", f.goVersion)
	case strings.Contains(text, "failed to find offset"):
		return fmt.Sprintf("the agent does not know the data layout of the target's %s or of one of its modules: build it with the pinned versions", f.goVersion)
	case strings.Contains(text, "no instrumentation for target"):
		return "the target calls nothing this agent can see (net/http, database/sql, grpc, kafka-go)"
	case denied && f.lockdown == "":
		return "mount securityfs so that a kernel lockdown can be seen: mount -t securityfs securityfs /sys/kernel/security"
	case denied:
		return fmt.Sprintf("the kernel (lockdown [%s]) or a security module refuses: read the kernel log", f.lockdown)
	}
	return "run again with --debug and read the log"
}

// readFacts looks at this machine and at the target. What cannot be read stays unknown.
func readFacts(pid int) facts {
	exe := fmt.Sprintf("/proc/%d/exe", pid)
	var f facts
	if content, err := os.ReadFile("/proc/self/status"); err == nil {
		f.lackCaps = missingCaps(string(content))
	}
	if content, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil {
		f.lockdown = parseLockdown(string(content))
	}
	if config, err := openKernelConfig(); err == nil {
		f.lackConfig = missingConfig(config)
		config.Close()
	}
	if info, err := buildinfo.ReadFile(exe); err == nil {
		f.goVersion = info.GoVersion
	}
	if file, err := elf.Open(exe); err == nil {
		f.stripped = file.Section(".debug_info") == nil && file.Section(".zdebug_info") == nil
		file.Close()
	}
	return f
}

// missingCaps reads the CapEff line of a /proc/PID/status file.
func missingCaps(status string) []string {
	for line := range strings.Lines(status) {
		text, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			return nil
		}
		var missing []string
		for _, capability := range neededCaps {
			if bits&(1<<capability.bit) == 0 {
				missing = append(missing, capability.name)
			}
		}
		return missing
	}
	return nil
}

// parseLockdown takes the word in brackets from "none [integrity] confidentiality".
func parseLockdown(content string) string {
	_, after, found := strings.Cut(content, "[")
	word, _, closed := strings.Cut(after, "]")
	if !found || !closed {
		return ""
	}
	return word
}

// missingConfig returns the needed options that a kernel config does not set. A text that holds no
// options at all says nothing, so nothing is missing then.
func missingConfig(config io.Reader) []string {
	set := map[string]bool{}
	lines := bufio.NewScanner(config)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && (value == "y" || value == "m") {
			set[name] = true
		}
	}
	if len(set) == 0 || lines.Err() != nil {
		return nil
	}
	var missing []string
	for _, name := range neededConfig {
		if !set[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// openKernelConfig opens the running kernel's options, from the kernel itself or from /boot.
func openKernelConfig() (io.ReadCloser, error) {
	if file, err := os.Open("/proc/config.gz"); err == nil {
		return gzip.NewReader(file)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, err
	}
	return os.Open("/boot/config-" + unix.ByteSliceToString(name.Release[:]))
}
