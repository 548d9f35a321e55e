package sim

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/cardea/cardea/devicelink"
)

// Report logs that something happened now, and sends it as soon as there is a link. It fills the
// sequence and the time.
func (d *Device) Report(r devicelink.Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report(r)
	d.change()
}

// Answer logs how far a command has come, as Report does.
func (d *Device) Answer(r devicelink.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer(r)
	d.change()
}

// setAside takes an entry out that can never be recorded; d.mu is held.
func (d *Device) setAside(which string) {
	d.log = slices.DeleteFunc(slices.Clone(d.log), func(entry devicelink.Frame) bool {
		return strconv.FormatInt(sequence(entry), 10) == which
	})
}

// Lose forgets what happens now, as a worn-out memory would: there will be a hole in the log.
func (d *Device) Lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written++
	d.change()
}

// report and answer are Report and Answer with d.mu held.
func (d *Device) report(r devicelink.Report) {
	d.written++
	r.Sequence, r.At, r.Buffered = d.written, d.clock(), !d.state.Linked
	d.log = append(d.log, &r)
}

func (d *Device) answer(r devicelink.Result) {
	d.written++
	r.Sequence, r.At, r.Buffered = d.written, d.clock(), !d.state.Linked
	d.log = append(d.log, &r)
}

// clock is the device's own, right or wrong.
func (d *Device) clock() time.Time {
	return time.Now().Add(d.faults.Clock).UTC().Truncate(time.Microsecond)
}

// serverClock is the server's, as the welcome set it: a wrong clock of our own does not matter.
func (d *Device) serverClock() time.Time { return time.Now().Add(d.offset) }

// acked is the last sequence that the server has; d.mu is held.
func (d *Device) acked() int64 {
	if len(d.log) == 0 {
		return d.written
	}
	return sequence(d.log[0]) - 1
}

// logAfter returns what is in the log after a sequence; d.mu is held.
func (d *Device) logAfter(last int64) []devicelink.Frame {
	at, _ := slices.BinarySearchFunc(d.log, last+1, func(entry devicelink.Frame, s int64) int {
		return cmp.Compare(sequence(entry), s)
	})
	return d.log[at:]
}

// forget drops what is acknowledged; d.mu is held.
func (d *Device) forget(upTo int64) { d.log = d.logAfter(upTo) }

// sendAtOnce bounds how many entries are taken from the log at a time.
const sendAtOnce = 100

// outgoing returns entries after a sequence, and what tells of more.
func (d *Device) outgoing(after int64) ([]devicelink.Frame, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries := d.logAfter(after)
	return slices.Clone(entries[:min(len(entries), sendAtOnce)]), d.changed
}

// resend marks what is in the log when a link opens: it did not happen just now; d.mu is held.
func (d *Device) resend() {
	for i, entry := range d.log {
		switch entry := entry.(type) {
		case *devicelink.Report:
			late := *entry
			late.Buffered, d.log[i] = true, &late
		case *devicelink.Result:
			late := *entry
			late.Buffered, d.log[i] = true, &late
		}
	}
}

func sequence(entry devicelink.Frame) int64 {
	switch entry := entry.(type) {
	case *devicelink.Report:
		return entry.Sequence
	case *devicelink.Result:
		return entry.Sequence
	}
	return 0
}
