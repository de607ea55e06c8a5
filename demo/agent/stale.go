package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
)

const bpffsRoot = "/sys/fs/bpf"

var errInstrumented = errors.New("already instrumented by a live agent")

// pinFolder is where the agent pins the maps of one target.
func pinFolder(root string, pid int) string { return filepath.Join(root, strconv.Itoa(pid)) }

// clearStale removes the pin folder that a killed agent left for pid (with it there, no agent can
// attach again), unless some live process still holds one of the pinned maps: then that process is
// an agent at work, ours or not.
func clearStale(root string, pid int) error {
	folder := pinFolder(root, pid)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an earlier agent's pins: %w", err)
	}
	pinned := map[string]bool{}
	for _, entry := range entries {
		id, err := pinnedMapID(filepath.Join(folder, entry.Name()))
		if err != nil {
			return fmt.Errorf("read the pinned map %s: %w", entry.Name(), err)
		}
		pinned[id] = true
	}
	if holder := mapHolder("/proc", pinned); holder != "" {
		return fmt.Errorf("pid %d: %w (process %s)", pid, errInstrumented, holder)
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove what a killed agent left: %w", err)
	}
	return nil
}

// pinnedMapID returns the kernel's number for a pinned map.
func pinnedMapID(path string) (string, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return "", err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return "", err
	}
	id, ok := info.ID()
	if !ok {
		return "", errors.New("the kernel tells no map id")
	}
	return strconv.FormatUint(uint64(id), 10), nil
}

// mapHolder returns the pid of a process with an open descriptor on one of the maps, or "".
// Processes that end, or that may not be read, while it looks are passed over.
func mapHolder(proc string, mapIDs map[string]bool) string {
	if len(mapIDs) == 0 {
		return ""
	}
	self := strconv.Itoa(os.Getpid())
	infos, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fdinfo", "*"))
	if err != nil {
		return ""
	}
	for _, path := range infos {
		holder := filepath.Base(filepath.Dir(filepath.Dir(path)))
		if holder != self && mapIDs[mapIDOf(path)] {
			return holder
		}
	}
	return ""
}

// mapIDOf reads the map id from an fdinfo file; "" when the descriptor is no map.
func mapIDOf(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "map_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}
