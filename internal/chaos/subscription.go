package main

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
)

// subscription is one that a client holds across any number of sockets. It compares what came with
// what the journal says should: whichever of the two is there first waits for the other.
type subscription struct {
	chaos    *chaos
	name     string
	interest interest

	mu      sync.Mutex
	want    []place  // by the journal
	got     []place  // by the program
	at      int      // how many of them the client has, if it has gone back
	first   string   // cursor
	cursors []string // of the newest of got
	wrong   bool     // told once
}

// remembered is how many cursors a client keeps to go back to.
const remembered = 40

// expect says what has to come next.
func (s *subscription) expect(p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = append(s.want, p)
	if i := len(s.want) - 1; i < len(s.got) {
		s.compare(i, s.got[i])
	}
}

// receive takes what came. A client that has gone back has to hear the same again.
func (s *subscription) receive(p place, cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chaos.work.deliveries.Add(1)
	if s.at < len(s.got) {
		if s.got[s.at] != p {
			s.differ(s.at, s.got[s.at], p)
		}
		s.at++
		s.chaos.work.replayed.Add(1)
		return
	}
	s.got = append(s.got, p)
	s.at = len(s.got)
	if s.cursors = append(s.cursors, cursor); len(s.cursors) > 2*remembered {
		s.cursors = append([]string(nil), s.cursors[remembered:]...)
	}
	if i := s.at - 1; i < len(s.want) {
		s.compare(i, p)
	}
}

func (s *subscription) compare(i int, got place) {
	if s.want[i] != got {
		s.differ(i, s.want[i], got)
	}
}

func (s *subscription) differ(i int, want, got place) {
	if !s.wrong {
		s.chaos.wrong("%s: item %d is event %d %v, should be event %d %v",
			s.name, i+1, got.sequence, got.door, want.sequence, want.door)
	}
	s.wrong = true
}

// resume returns what to ask for: what follows the newest that the client has or, now and then,
// what follows something older.
func (s *subscription) resume() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = len(s.got)
	kept := len(s.cursors)
	if kept > 0 && rand.IntN(20) == 0 { //nolint:gosec // a simulation
		s.at -= rand.IntN(kept) //nolint:gosec // a simulation
	}
	if len(s.got) == 0 {
		return s.interest.request(s.first)
	}
	return s.interest.request(s.cursors[kept-1-(len(s.got)-s.at)])
}

// reached says whether everything up to a number has come, and how much is missing.
func (s *subscription) missing(upTo int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := len(s.want)
	for due > 0 && s.want[due-1].sequence > upTo {
		due--
	}
	return due - min(s.at, due)
}
