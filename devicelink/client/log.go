package client

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cardea/cardea/devicelink"
)

// Log is what a device has to tell, numbered, until the server has it. A log without a file is in
// memory alone. Beside its entries it keeps a mark: how far the owner has got with what it makes
// entries of.
type Log struct {
	mu      sync.Mutex
	epoch   int64              // which life of the log this is
	entries []devicelink.Frame // what is not acknowledged, by sequence
	written int64              // the last sequence that was ever logged
	mark    int64
	linked  bool
	changed chan struct{} // closed and replaced at every change
	file    *file         // nil: in memory
}

// errBehind says that the server has entries that this log does not know: its file was put back.
var errBehind = errors.New("the server has more of this log than there is: it begins anew")

// NewLog returns an empty log in memory. Its epoch must be greater than that of all logs before;
// zero means the present instant.
func NewLog(epoch int64) *Log {
	if epoch == 0 {
		epoch = time.Now().UnixMilli()
	}
	return &Log{epoch: epoch, changed: make(chan struct{})}
}

// Append logs entries, which belong together: with a file, all of them are kept or none. They are
// numbered, and sent as soon as there is a link. Mark is where the owner has got with them; 0 leaves
// it as it is.
func (l *Log) Append(mark int64, entries ...devicelink.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, entry := range entries {
		number(entry, l.written+1+int64(i), !l.linked)
	}
	return l.add(line{Mark: mark}, entries)
}

// Lose leaves a hole of so many entries, of what happened and cannot be told.
func (l *Log) Lose(mark, entries int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(line{Mark: mark, Lost: entries}, nil)
}

// add takes a line over once the file has it; l.mu is held.
func (l *Log) add(next line, entries []devicelink.Frame) error {
	if l.file != nil {
		next.Entries = record(entries)
		if err := l.file.append(next); err != nil {
			return fmt.Errorf("write log: %w", err)
		}
	}
	l.entries = append(l.entries, entries...)
	l.written += next.Lost + int64(len(entries))
	if next.Mark != 0 {
		l.mark = next.Mark
	}
	l.change()
	return nil
}

// Mark is what was given last with an entry.
func (l *Log) Mark() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mark
}

// Epoch is which life of the log this is.
func (l *Log) Epoch() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// Written is the last sequence that was logged, Acked the last that was acknowledged.
func (l *Log) Written() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written
}

// Acked is the last sequence that was acknowledged.
func (l *Log) Acked() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return l.written
	}
	return Sequence(l.entries[0]) - 1
}

// Entries returns what is not acknowledged.
func (l *Log) Entries() []devicelink.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// link begins a link to a server that has the log up to a sequence: what is left of it did not happen
// just now. A server that has more than there is knows another life of the log: this one begins anew,
// with what is left.
func (l *Log) link(has int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if has > l.written {
		return errors.Join(errBehind, l.renew())
	}
	l.linked = true
	l.entries = l.after(has)
	for i, entry := range l.entries {
		l.entries[i] = copied(entry)
		number(l.entries[i], Sequence(entry), true)
	}
	l.change()
	return nil
}

// renew begins another life of the log, with the entries of this one; l.mu is held.
func (l *Log) renew() error {
	l.epoch, l.written = max(l.epoch+1, time.Now().UnixMilli()), 0
	for i, entry := range l.entries {
		l.written++
		l.entries[i] = copied(entry)
		number(l.entries[i], l.written, true)
	}
	return l.compact()
}

func (l *Log) unlink() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.linked = false
	l.change()
}

// after returns what is in the log after a sequence; l.mu is held.
func (l *Log) after(last int64) []devicelink.Frame {
	at, _ := slices.BinarySearchFunc(l.entries, last+1, func(entry devicelink.Frame, s int64) int {
		return cmp.Compare(Sequence(entry), s)
	})
	return l.entries[at:]
}

// forget drops what is acknowledged.
func (l *Log) forget(upTo int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = l.after(upTo)
	if l.file != nil && l.file.long() {
		_ = l.compact() // the long one is as good
	}
	l.change()
}

// setAside takes an entry out that can never be recorded.
func (l *Log) setAside(which string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.DeleteFunc(slices.Clone(l.entries), func(entry devicelink.Frame) bool {
		return strconv.FormatInt(Sequence(entry), 10) == which
	})
	_ = l.compact() // else it is refused once more after a restart
	l.change()
}

// sendAtOnce bounds how many entries are taken from the log at a time.
const sendAtOnce = 100

// outgoing returns entries after a sequence, and what tells of more.
func (l *Log) outgoing(after int64) ([]devicelink.Frame, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.after(after)
	return slices.Clone(entries[:min(len(entries), sendAtOnce)]), l.changed
}

func (l *Log) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Sequence is the number of a log entry.
func Sequence(entry devicelink.Frame) int64 {
	switch entry := entry.(type) {
	case *devicelink.Report:
		return entry.Sequence
	case *devicelink.Result:
		return entry.Sequence
	}
	return 0
}

// number gives an entry its number, and says if it did not happen just now.
func number(entry devicelink.Frame, sequence int64, late bool) {
	switch entry := entry.(type) {
	case *devicelink.Report:
		entry.Sequence, entry.Buffered = sequence, entry.Buffered || late
	case *devicelink.Result:
		entry.Sequence, entry.Buffered = sequence, entry.Buffered || late
	}
}

func copied(entry devicelink.Frame) devicelink.Frame {
	switch entry := entry.(type) {
	case *devicelink.Report:
		own := *entry
		return &own
	case *devicelink.Result:
		own := *entry
		return &own
	}
	return entry
}
