// Command lab-init is the first process of a lab machine and, later, its pulse.
//
// As /init of the initial RAM disk it loads the drivers, gives the network its
// fixed address, mounts the root disk, copies this machine's seed onto it,
// starts SSH and hands over to systemd. Started again as `lab-init heartbeat`
// it tells the host once a second which boot of which image is alive.
//
// It is built without cgo and imports the standard library only, so that
// building it needs nothing but a Go toolchain.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// roles are what systemd's units, and boot itself, start it as.
var roles = map[string]func() error{
	"heartbeat":  func() error { return heartbeat(forever) },
	"first-beat": firstBeat,
	"ssh":        adoptSSH,
}

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		if err := roles[os.Args[1]](); err != nil {
			fmt.Fprintf(os.Stderr, "lab-init %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "usage: lab-init heartbeat|ssh (or as process 1 of a machine)")
		os.Exit(2)
	}
	if err := boot(); err != nil {
		// The host reads this from the serial log; the pause lets the last
		// bytes leave the port before the kernel panics over a dead init.
		fmt.Println("lab-init: FAILED:", err)
		time.Sleep(time.Second)
		os.Exit(1)
	}
}

// boot does the steps in the order in which each needs the one before, and
// ends by becoming systemd; it only returns on failure.
func boot() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"mount /dev", mountDev},
		{"load drivers", loadModules},
		{"configure network", configureNetwork},
		{"mount root disk", mountRoot},
		{"mount modules", mountModules},
		{"copy seed", copySeed},
		{"mount kernel trees", mountKernelTrees},
		{"set kernel variables", setKernelVariables},
		{"switch root", switchRoot},
		{"start SSH", startSSH},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return syscall.Exec("/sbin/init", []string{"/sbin/init"}, os.Environ())
}
