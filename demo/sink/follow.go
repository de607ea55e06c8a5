package main

import (
	"net/http"
	"time"
)

// followerBatches is how many posts may wait for one follower. One that lags further behind is let go:
// neither memory nor the exporters wait for whoever looks on.
const followerBatches = 256

// follow returns a channel of the lines of every later post. It is closed by unfollow, by the end of
// the store, and when its reader lags behind.
func (s *store) follow() chan []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := make(chan []byte, followerBatches)
	if s.followers == nil { // closing
		close(lines)
		return lines
	}
	s.followers[lines] = true
	return lines
}

func (s *store) unfollow(lines chan []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.let(lines)
}

// endFollowers lets all go and takes no more, so that the server can drain.
func (s *store) endFollowers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lines := range s.followers {
		s.let(lines)
	}
	s.followers = nil
}

// tell hands one post to every follower. The caller has the lock, as for let.
func (s *store) tell(post []byte) {
	for lines := range s.followers {
		select {
		case lines <- post:
		default:
			s.let(lines)
		}
	}
}

func (s *store) let(lines chan []byte) {
	if s.followers[lines] {
		delete(s.followers, lines)
		close(lines)
	}
}

// stream answers with the line of each span that arrives from now on, until the client hangs up.
func stream(store *store, w http.ResponseWriter, r *http.Request) {
	lines := store.follow()
	defer store.unfollow(lines)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the server's is for requests
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	for err := control.Flush(); err == nil; err = control.Flush() {
		select {
		case post, open := <-lines:
			if !open {
				return
			}
			if _, err := w.Write(post); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
