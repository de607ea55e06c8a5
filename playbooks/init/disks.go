package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"time"
	"unsafe"
)

const (
	moduleDir    = "/m"
	newRoot      = "/r"
	seedDir      = "/seed"
	rootSerial   = "lab-root" // virtio serial of the disk that holds the root file system
	fallbackRoot = "vda"
	rootWait     = 30 * time.Second
	pollInterval = 5 * time.Millisecond
)

func mountDev() error {
	for _, dir := range []string{"/dev", "/sys", newRoot} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := mount("dev", "/dev", "devtmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	return mount("sysfs", "/sys", "sysfs", 0, "")
}

// mount treats "already mounted" as done, for kernels that mount /dev themselves.
func mount(source, target, kind string, flags uintptr, options string) error {
	err := syscall.Mount(source, target, kind, flags, options)
	if err != nil && !errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%s on %s: %w", kind, target, err)
	}
	return nil
}

// loadModules loads /m/NN-name.ko in name order, which is dependency order.
// One driver that will not load (another kernel's, or built in) is told and
// passed over: whether the machine can live without it shows when its root
// disk is looked for.
func loadModules() error {
	names, err := filepath.Glob(filepath.Join(moduleDir, "*.ko"))
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, name := range names {
		if err := loadModule(name); err != nil {
			fmt.Println("lab-init: driver", filepath.Base(name)+":", err)
		}
	}
	return nil
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	noOptions := []byte{0}
	_, _, errno := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(&noOptions[0])), 0)
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

// mountRoot waits for the root disk: virtio devices appear some milliseconds
// after their driver.
func mountRoot() error {
	deadline := time.Now().Add(rootWait)
	for {
		name := rootDisk("/sys/block")
		err := syscall.Mount("/dev/"+name, newRoot, "ext4", syscall.MS_NOATIME, "")
		if err == nil {
			return nil
		}
		absent := errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV)
		if !absent || time.Now().After(deadline) {
			return fmt.Errorf("/dev/%s: %w", name, err)
		}
		time.Sleep(pollInterval)
	}
}

// rootDisk names the block device whose virtio serial is rootSerial, or the
// first disk where the host gave no serials.
func rootDisk(sysBlock string) string {
	if name := diskBySerial(sysBlock, rootSerial); name != "" {
		return name
	}
	return fallbackRoot
}

// mountKernelTrees mounts what BPF tools need at the places where systemd would: what it finds there already costs
// it no process of its own (a third of a second each under emulation), and whoever logs in before systemd is that far
// finds it too. A locked-down kernel may refuse some: told, not fatal, since the machine's checks name what is missing.
func mountKernelTrees() error {
	_ = syscall.Unmount("/sys", 0) // ours; the machine gets its own
	for _, tree := range []struct{ kind, place, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"debugfs", "/sys/kernel/debug", ""},
		{"tracefs", "/sys/kernel/tracing", ""},
		{"securityfs", "/sys/kernel/security", ""},
		{"bpf", "/sys/fs/bpf", "mode=700"},
		{"cgroup2", "/sys/fs/cgroup", "nsdelegate,memory_recursiveprot"},
	} {
		flags := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC)
		if err := mount(tree.kind, newRoot+tree.place, tree.kind, flags, tree.options); err != nil {
			fmt.Println("lab-init:", err)
		}
	}
	return nil
}

func switchRoot() error {
	if err := syscall.Mount("/dev", newRoot+"/dev", "", syscall.MS_MOVE, ""); err != nil {
		return err
	}
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return err
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}
