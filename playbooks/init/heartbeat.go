package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	portName      = "lab.heartbeat"
	imageIDFile   = "/etc/lab/image-id"
	bootIDFile    = "/proc/sys/kernel/random/boot_id"
	uptimeFile    = "/proc/uptime"
	beatInterval  = time.Second
	forever       = math.MaxInt
	portWait      = 5 * time.Second
	virtioPortDir = "/sys/class/virtio-ports"
)

// Beat is one line on the port. The host tells a live machine from a hung one,
// and a restored snapshot from a reboot, by the first three alone; by SSH,
// whether a login need not wait.
type Beat struct {
	BootID  string  `json:"boot_id"`
	ImageID string  `json:"image_id"`
	UptimeS float64 `json:"uptime_s"`
	SSH     bool    `json:"ssh"`
}

// heartbeat writes so many Beats, one a second, until the port goes away. A
// machine without the port (not made by QEMU) has nobody to tell: success.
func heartbeat(count int) error {
	device, err := findPort(virtioPortDir)
	if err != nil || device == "" {
		return err
	}
	port, err := openPort(device)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	defer syscall.Close(port)
	beat := Beat{BootID: readWord(bootIDFile), ImageID: readWord(imageIDFile)}
	for number := 0; number < count; number++ {
		if number > 0 {
			time.Sleep(beatInterval)
		}
		beat.SSH = listening() != 0
		if beat.UptimeS, err = readUptime(); err != nil {
			return err
		}
		if err := send(port, beat); err != nil {
			return err
		}
	}
	return nil
}

// openPort waits while the first beat has the port, which one process at a
// time may hold. Non-blocking: when nobody reads at the other end the queue
// fills, and a beat that cannot leave now is worthless later.
func openPort(device string) (int, error) {
	for deadline := time.Now().Add(portWait); ; time.Sleep(pollInterval) {
		port, err := syscall.Open(device, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return port, err
		}
	}
}

// send begins with a newline too: a reader that joins in the middle of a line
// resynchronises on the next one and skips what is empty.
func send(port int, beat Beat) error {
	line, err := json.Marshal(beat)
	if err != nil {
		return err
	}
	_, err = syscall.Write(port, append(append([]byte{'\n'}, line...), '\n'))
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// findPort gives the device of the port that the host named portName, or "".
func findPort(class string) (string, error) {
	names, err := filepath.Glob(filepath.Join(class, "*", "name"))
	if err != nil {
		return "", err
	}
	for _, path := range names {
		if readWord(path) == portName {
			return "/dev/" + filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", nil
}

func readWord(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func readUptime() (float64, error) {
	text, err := os.ReadFile(uptimeFile)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return 0, fmt.Errorf("%s is empty", uptimeFile)
	}
	return strconv.ParseFloat(fields[0], 64)
}
