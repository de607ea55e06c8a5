package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// counts are what happened since the current file was opened.
type counts struct {
	Spans             int64            `json:"spans"`
	Posts             int64            `json:"posts"`
	BadPosts          int64            `json:"bad_posts"`
	LastReceivedNS    int64            `json:"last_received_ns"`
	By                map[string]int64 `json:"by"` // "service|kind"
	Dropped           int64            `json:"dropped"`
	DroppedBySource   map[string]int64 `json:"dropped_by_source"`
	DroppedAttributes int64            `json:"dropped_attributes"`
}

func newCounts() counts {
	return counts{By: map[string]int64{}, DroppedBySource: map[string]int64{}}
}

// store writes spans to one gzip file at a time. All methods may be called at once.
type store struct {
	mu      sync.Mutex
	path    string
	file    *os.File
	buffer  *bufio.Writer
	zip     *gzip.Writer
	counts  counts
	maxSpan int

	followers map[chan []byte]bool // nil: takes none any more
}

var errClosed = errors.New("the sink is closing")

// openStore creates path, which must not exist: a run's evidence is never written over.
func openStore(path string, maxSpan int) (*store, error) {
	s := &store{maxSpan: maxSpan, followers: map[chan []byte]bool{}}
	if err := s.open(path); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *store) open(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.path, s.file, s.counts = path, file, newCounts()
	s.buffer = bufio.NewWriterSize(file, 64<<10)
	// The fastest level: the sink shares the machine with what is measured.
	s.zip, err = gzip.NewWriterLevel(s.buffer, gzip.BestSpeed)
	return err
}

// write appends the spans of one post, whole or (on a disk error) as counted drops.
func (s *store) write(spans []span, receivedNS int64) error {
	lines, cut, err := encode(spans, s.maxSpan)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return errClosed
	}
	if err == nil {
		_, err = s.zip.Write(lines)
	}
	if err != nil {
		for _, each := range spans {
			s.counts.Dropped++
			s.counts.DroppedBySource[each.Service]++
		}
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	s.tell(lines)
	s.counts.Posts++
	s.counts.DroppedAttributes += cut
	s.counts.LastReceivedNS = max(s.counts.LastReceivedNS, receivedNS)
	for _, each := range spans {
		s.counts.Spans++
		s.counts.By[each.Service+"|"+each.Kind]++
	}
	return nil
}

// encode makes the lines outside the lock; cut counts the spans written without their attributes.
func encode(spans []span, maxSpan int) (lines []byte, cut int64, err error) {
	var out bytes.Buffer
	for _, each := range spans {
		line, err := json.Marshal(each)
		if err == nil && len(line) > maxSpan {
			each.Attributes = map[string]any{}
			each.Name = each.Name[:min(len(each.Name), 256)]
			cut++
			line, err = json.Marshal(each)
		}
		if err != nil {
			return nil, 0, err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes(), cut, nil
}

// bad counts a post that could not be read.
func (s *store) bad() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.BadPosts++
}

// stats returns a copy of the counts.
func (s *store) stats() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := s.counts
	copied.By = maps.Clone(s.counts.By)
	copied.DroppedBySource = maps.Clone(s.counts.DroppedBySource)
	return copied
}

// rotate goes on in path and returns the counts of the file it closed. When path cannot be created
// nothing changes.
func (s *store) rotate(path string) (counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return counts{}, errClosed
	}
	next := &store{maxSpan: s.maxSpan}
	if err := next.open(path); err != nil {
		return counts{}, err
	}
	closed := s.counts
	err := s.finish()
	s.path, s.file, s.buffer, s.zip, s.counts = next.path, next.file, next.buffer, next.zip, next.counts
	return closed, err
}

// close ends the file; later writes are refused. A second call does nothing.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.finish()
	s.file = nil
	return err
}

// finish writes the gzip end and makes the file and its name durable.
func (s *store) finish() error {
	err := errors.Join(s.zip.Close(), s.buffer.Flush(), s.file.Sync(), s.file.Close())
	folder, openErr := os.Open(filepath.Dir(s.path))
	if openErr == nil {
		openErr = errors.Join(folder.Sync(), folder.Close())
	}
	return errors.Join(err, openErr)
}
