// Prints as JSON what a Go binary was made from: modules, and files that a weaver wrote into.
//
// -trimpath names a module's files "path@version/file", and a weaver marks what it puts in with //line directives, so
// that a woven function has code of its own file beside code of the mark. The linker drops what nothing calls: counted
// is what the program can run. A call that was merely turned to another function leaves no code of its own, so the
// woven files are a lower bound. null: the binary does not say.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"debug/gosym"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"slices"
	"sort"
)

const mark = "<generated>" // what Orchestrion injects has no line of anybody's source

var module = regexp.MustCompile(`^(.+?)@v[^/]+/`)

type set map[string]bool

type madeOf struct {
	Modules []string `json:"modules"`
	Woven   []string `json:"woven"`
}

// A body is a function's own code, or that of one call that was inlined into it.
type body struct {
	ranges  [][2]uint64
	files   set
	inlined []*body
}

func main() {
	var found madeOf
	if file, err := elf.Open(os.Args[1]); err == nil {
		found.Modules = modules(file)
		found.Woven = woven(file)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}

// modules have no versions; a replaced one bears the path that was asked for.
func modules(file *elf.File) []string {
	functions, text := file.Section(".gopclntab"), file.Section(".text")
	if functions == nil || text == nil {
		return nil
	}
	data, err := functions.Data()
	if err != nil {
		return nil
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil || len(table.Funcs) == 0 {
		return nil
	}
	names := set{}
	for name := range table.Files {
		if match := module.FindStringSubmatch(name); match != nil {
			names[match[1]] = true
		}
	}
	return listed(names)
}

// woven lists the own file of each body that has code of the mark.
func woven(file *elf.File) []string {
	data, err := file.DWARF()
	if err != nil || file.Section(".gopclntab") == nil || file.Section(".debug_info") == nil {
		return nil
	}
	names := set{}
	entries := data.Reader()
	for {
		unit, err := entries.Next()
		if err != nil {
			return nil
		}
		if unit == nil {
			return listed(names)
		}
		lines, err := data.LineReader(unit)
		if err != nil {
			return nil
		}
		if lines == nil || !slices.ContainsFunc(lines.Files(), isMark) {
			entries.SkipChildren()
			continue
		}
		functions, err := bodies(data, entries)
		if err != nil || place(lines, functions) != nil {
			return nil
		}
		for _, each := range functions {
			each.gather(names)
		}
	}
}

func isMark(file *dwarf.LineFile) bool { return file != nil && file.Name == mark }

// bodies reads what is below the entry that was read last.
func bodies(data *dwarf.Data, entries *dwarf.Reader) ([]*body, error) {
	var found []*body
	for {
		entry, err := entries.Next()
		if err != nil || entry == nil || entry.Tag == 0 {
			return found, err
		}
		var below []*body
		if entry.Children {
			if below, err = bodies(data, entries); err != nil {
				return nil, err
			}
		}
		ranges, err := data.Ranges(entry)
		if err != nil {
			return nil, err
		}
		code := entry.Tag == dwarf.TagSubprogram || entry.Tag == dwarf.TagInlinedSubroutine
		if code && len(ranges) > 0 {
			found = append(found, &body{ranges: ranges, files: set{}, inlined: below})
		} else {
			found = append(found, below...)
		}
	}
}

// place notes in each body the files that its code comes from.
func place(lines *dwarf.LineReader, functions []*body) error {
	start := func(i int) uint64 { return functions[i].ranges[0][0] }
	sort.Slice(functions, func(i, j int) bool { return start(i) < start(j) })
	var line, next dwarf.LineEntry
	for {
		err := lines.Next(&next)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for address := line.Address; line.File != nil && !line.EndSequence && address < next.Address; address++ {
			after := sort.Search(len(functions), func(i int) bool { return start(i) > address })
			if after > 0 {
				functions[after-1].note(address, line.File.Name)
			}
		}
		line = next
	}
}

// note is true where the address is in this body, or in one inlined into it.
func (b *body) note(address uint64, name string) bool {
	inside := func(r [2]uint64) bool { return r[0] <= address && address < r[1] }
	if !slices.ContainsFunc(b.ranges, inside) {
		return false
	}
	if !slices.ContainsFunc(b.inlined, func(each *body) bool { return each.note(address, name) }) {
		b.files[name] = true
	}
	return true
}

func (b *body) gather(names set) {
	if b.files[mark] {
		for name := range b.files {
			if name != mark {
				names[name] = true
			}
		}
	}
	for _, each := range b.inlined {
		each.gather(names)
	}
}

func listed(names set) []string {
	out := []string{}
	for name := range names {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
