package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	sshServer  = "/usr/sbin/sshd"
	sshPIDFile = "/run/sshd.pid" // written by sshd once it listens
	selfPath   = "/usr/lib/lab/lab-init"
	// RLIMIT_NLIMITS of asm-generic/resource.h, which both processors use
	resourceLimits = 16
	softFiles      = 1024 // systemd's default, which programs that use select(2) rely on
	sshWait        = 60 * time.Second
	searchPath     = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// startSSH starts the SSH server and the first beat beside systemd's own
// start, which takes a second and a half on an emulated processor and half the
// processors of a machine. Both are children of process 1 and so of systemd,
// which takes the server into its unit by adoptSSH. What fails here is told
// only: the units start both again.
func startSSH() error {
	flags := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_STRICTATIME)
	if err := mount("tmpfs", "/run", "tmpfs", flags, "mode=0755,size=20%,nr_inodes=800k"); err != nil {
		fmt.Println("lab-init:", err)
		return nil
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		fmt.Println("lab-init:", err)
		return nil
	}
	for _, argv := range [][]string{{sshServer, "-D"}, {selfPath, "first-beat"}} {
		child := exec.Command(argv[0], argv[1:]...)
		child.Env = []string{searchPath}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			fmt.Println("lab-init:", err)
		}
	}
	return nil
}

// firstBeat tells the host that SSH listens, as soon as it does.
func firstBeat() error {
	for deadline := time.Now().Add(sshWait); listening() == 0; time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not listen after %s", sshServer, sshWait)
		}
	}
	return heartbeat(1)
}

// adoptSSH moves the server that startSSH started into the cgroup of the unit
// that runs this and tells systemd that it is the unit's process now; where
// none runs (any more) this becomes one, which tells systemd itself.
func adoptSSH() error {
	pid := listening()
	if pid == 0 {
		return syscall.Exec(sshServer, []string{sshServer, "-D"}, os.Environ())
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	members := filepath.Join("/sys/fs/cgroup", unifiedGroup(string(own)), "cgroup.procs")
	if err := os.WriteFile(members, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return err
	}
	if err := giveLimits(pid); err != nil {
		return err
	}
	return notify(os.Getenv("NOTIFY_SOCKET"), fmt.Sprintf("MAINPID=%d\nREADY=1", pid))
}

// giveLimits sets each resource limit of a process to this one's own, which
// the unit gave: what was started before systemd has the kernel's.
func giveLimits(pid int) error {
	for resource := range resourceLimits {
		var own syscall.Rlimit
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, uintptr(resource), 0, uintptr(unsafe.Pointer(&own)), 0, 0)
		if resource == syscall.RLIMIT_NOFILE {
			own.Cur = min(softFiles, own.Max) // Go has raised its own
		}
		if errno == 0 {
			_, _, errno = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), uintptr(resource), uintptr(unsafe.Pointer(&own)), 0, 0, 0)
		}
		if errno != 0 {
			return fmt.Errorf("resource limit %d: %w", resource, errno)
		}
	}
	return nil
}

// notify sends systemd one message, as sd_notify(3) does.
func notify(place, message string) error {
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	return syscall.Sendto(socket, []byte(message), 0, &syscall.SockaddrUnix{Name: place})
}

// unifiedGroup is the path in a process's cgroup file that belongs to cgroup v2.
func unifiedGroup(text string) string {
	for _, line := range strings.Split(text, "\n") {
		if group, found := strings.CutPrefix(line, "0::"); found {
			return group
		}
	}
	return ""
}

// listening is the process id of the SSH server that listens, or 0. The file
// outlives a server that was killed, and its number may be another's by then.
func listening() int {
	pid, err := strconv.Atoi(readWord(sshPIDFile))
	if err != nil || readWord(fmt.Sprintf("/proc/%d/comm", pid)) != filepath.Base(sshServer) {
		return 0
	}
	return pid
}
