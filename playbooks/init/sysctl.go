package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const sysctlFile = "/etc/sysctl.d/60-lab.conf"

// setKernelVariables applies the one sysctl file that a lab machine has. A variable that this kernel lacks is told, not
// fatal: the machine's checks compare each with the file once it is up.
func setKernelVariables() error {
	text, err := os.ReadFile(filepath.Join(newRoot, sysctlFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for name, value := range parseSysctl(string(text)) {
		path := filepath.Join(newRoot, "proc/sys", strings.ReplaceAll(name, ".", "/"))
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			fmt.Println("lab-init:", err)
		}
	}
	return nil
}

// parseSysctl reads "name = value" lines; comments and anything else are left out.
func parseSysctl(text string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		name, value, found := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if found && name != "" && name[0] != '#' && name[0] != ';' {
			values[name] = strings.TrimSpace(value)
		}
	}
	return values
}
