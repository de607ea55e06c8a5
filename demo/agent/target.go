package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// target is the process to instrument, held by a pidfd so that a reused pid is never taken for it.
type target struct {
	pid    int
	fd     int
	wake   *os.File      // closing it ends the watch
	exited chan struct{} // closed when the process has ended
	done   chan struct{} // closed when the watch has ended
}

// openTarget fails when no such process runs (a zombie does not count).
func openTarget(pid int) (*target, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("no process %d: %w", pid, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	t := &target{pid: pid, fd: fd, wake: write, exited: make(chan struct{}), done: make(chan struct{})}
	if t.gone() {
		read.Close()
		write.Close()
		unix.Close(fd)
		return nil, fmt.Errorf("process %d has already ended", pid)
	}
	go t.watch(read)
	return t, nil
}

// watch closes exited when the process ends, and returns when close is called.
func (t *target) watch(wake *os.File) {
	defer close(t.done)
	defer wake.Close()
	polled := []unix.PollFd{
		{Fd: int32(t.fd), Events: unix.POLLIN},
		{Fd: int32(wake.Fd()), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(polled, -1)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return
		case polled[0].Revents != 0:
			close(t.exited)
			return
		case polled[1].Revents != 0:
			return
		}
	}
}

// gone reports whether the process has ended, at this moment.
func (t *target) gone() bool {
	polled := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(polled, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

func (t *target) close() {
	t.wake.Close()
	<-t.done
	unix.Close(t.fd)
}

// claim marks a process as instrumented by this agent. The kernel drops it with the agent, however
// that dies, so a claim is never stale.
type claim struct{ listener *net.UnixListener }

// claimTarget fails when another lab-agent holds pid.
func claimTarget(pid int) (*claim, error) {
	name := fmt.Sprintf("@lab-agent-%d", pid) // @: abstract, no file to leave behind
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("pid %d: %w", pid, errInstrumented)
	}
	if err != nil {
		return nil, fmt.Errorf("claim pid %d: %w", pid, err)
	}
	return &claim{listener}, nil
}

func (c *claim) release() { c.listener.Close() }

// writeReady publishes report at path: readers see the whole file or none.
func writeReady(path string, report ready) error {
	content, err := json.Marshal(report)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(content, '\n'))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	return nil
}
