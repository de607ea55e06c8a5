package main

import (
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestRootDiskIsFoundBySerial(t *testing.T) {
	sys := t.TempDir()
	write(t, filepath.Join(sys, "vda", "serial"), "artifacts", 0o444)
	write(t, filepath.Join(sys, "vdb", "serial"), rootSerial+"\n", 0o444)
	if got := rootDisk(sys); got != "vdb" {
		t.Errorf("rootDisk = %q, want vdb", got)
	}
	if got := rootDisk(t.TempDir()); got != fallbackRoot {
		t.Errorf("without serials rootDisk = %q, want %q", got, fallbackRoot)
	}
}

func TestAnotherDiskIsFoundBySerialOnly(t *testing.T) {
	sys := t.TempDir()
	write(t, filepath.Join(sys, "vda", "serial"), rootSerial+"\n", 0o444)
	if got := diskBySerial(sys, modulesSerial); got != "" {
		t.Errorf("without the disk diskBySerial = %q", got)
	}
	write(t, filepath.Join(sys, "vdc", "serial"), modulesSerial+"\n", 0o444)
	if got := diskBySerial(sys, modulesSerial); got != "vdc" {
		t.Errorf("diskBySerial = %q, want vdc", got)
	}
}

func TestTextEndsAtTheFirstZero(t *testing.T) {
	if got := text([65]int8{'6', '.', '1', 0, 'x'}); got != "6.1" {
		t.Errorf("text = %q", got)
	}
}

func TestHeartbeatPortIsFoundByName(t *testing.T) {
	class := t.TempDir()
	write(t, filepath.Join(class, "vport1p1", "name"), "other\n", 0o444)
	if got, err := findPort(class); got != "" || err != nil {
		t.Errorf("findPort without ours = %q, %v", got, err)
	}
	write(t, filepath.Join(class, "vport1p2", "name"), portName+"\n", 0o444)
	if got, err := findPort(class); got != "/dev/vport1p2" || err != nil {
		t.Errorf("findPort = %q, %v", got, err)
	}
}

func TestSeedReplacesFilesAndKeepsModes(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, filepath.Join(from, "etc", "ssh", "key"), "new", 0o600)
	write(t, filepath.Join(to, "etc", "ssh", "key"), "old", 0o644)
	write(t, filepath.Join(to, "etc", "kept"), "kept", 0o644)
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(to, "etc", "ssh", "key")
	if got := readWord(key); got != "new" {
		t.Errorf("key = %q", got)
	}
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of key = %v, %v", info.Mode(), err)
	}
	if got := readWord(filepath.Join(to, "etc", "kept")); got != "kept" {
		t.Errorf("kept = %q", got)
	}
	names, _ := filepath.Glob(filepath.Join(to, "etc", "ssh", "*"))
	if len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestNoSeedIsNoError(t *testing.T) {
	if err := copyTree(filepath.Join(t.TempDir(), "absent"), t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

func TestSysctlLines(t *testing.T) {
	got := parseSysctl("# comment = no\n\nkernel.kptr_restrict = 0\n;x=1\nnet.core.bpf_jit_enable=1\nnonsense\n")
	want := map[string]string{"kernel.kptr_restrict": "0", "net.core.bpf_jit_enable": "1"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parseSysctl = %v, want %v", got, want)
	}
}

func TestCgroupOfVersionTwo(t *testing.T) {
	mixed := "12:cpu:/x\n0::/system.slice/lab-ssh.service\n"
	if got := unifiedGroup(mixed); got != "/system.slice/lab-ssh.service" {
		t.Errorf("unifiedGroup = %q", got)
	}
	if got := unifiedGroup("1:name=systemd:/\n"); got != "" {
		t.Errorf("without version 2 unifiedGroup = %q", got)
	}
}

func TestNotifyReachesADatagramSocket(t *testing.T) {
	place := filepath.Join(t.TempDir(), "notify")
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(socket)
	if err := syscall.Bind(socket, &syscall.SockaddrUnix{Name: place}); err != nil {
		t.Fatal(err)
	}
	if err := notify(place, "MAINPID=7\nREADY=1"); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64)
	count, err := syscall.Read(socket, buffer)
	if got := string(buffer[:max(count, 0)]); err != nil || got != "MAINPID=7\nREADY=1" {
		t.Errorf("received %q, %v", got, err)
	}
}
