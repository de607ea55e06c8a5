package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	modulesSerial = "lab-modules" // virtio serial of the disk with a kernel's own lib/modules/VERSION
	modulesPlace  = "/usr/lib/modules"
)

// mountModules lays the modules of a kernel that is not the image's where
// modprobe looks for them. An image's own kernel has no such disk.
func mountModules() error {
	name := diskBySerial("/sys/block", modulesSerial)
	if name == "" {
		return nil
	}
	var about syscall.Utsname
	if err := syscall.Uname(&about); err != nil {
		return err
	}
	place := filepath.Join(newRoot, modulesPlace, text(about.Release))
	if err := os.MkdirAll(place, 0o755); err != nil {
		return err
	}
	flags := uintptr(syscall.MS_RDONLY | syscall.MS_NOATIME | syscall.MS_NOSUID | syscall.MS_NODEV)
	if err := syscall.Mount("/dev/"+name, place, "ext4", flags, ""); err != nil {
		return fmt.Errorf("/dev/%s on %s: %w", name, place, err)
	}
	return nil
}

// diskBySerial names the block device with that virtio serial, or "".
func diskBySerial(sysBlock, serial string) string {
	places, _ := filepath.Glob(filepath.Join(sysBlock, "vd*", "serial"))
	for _, path := range places {
		text, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(text)) == serial {
			return filepath.Base(filepath.Dir(path))
		}
	}
	return ""
}

// text is a C string in an array of fixed length.
func text[Char int8 | uint8](chars [65]Char) string {
	var out []byte
	for _, char := range chars {
		if char == 0 {
			break
		}
		out = append(out, byte(char))
	}
	return string(out)
}
