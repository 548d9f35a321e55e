package sim

import (
	"time"

	"github.com/cardea/cardea/devicelink"
)

// panel is the device as its link knows it: client.Device.
type panel struct{ d *Device }

func (p panel) Linked(w *devicelink.Welcome) {
	p.d.with(func() {
		p.d.state.Linked, p.d.state.Welcome, p.d.state.Closed = true, *w, 0
		p.d.state.Links++
		p.d.adopt(w.Doors)
	})
}

func (p panel) Heard(f devicelink.Frame) {
	p.d.with(func() {
		switch f := f.(type) {
		case *devicelink.Command:
			p.d.obey(f)
		case *devicelink.Config:
			p.d.adopt(f.Doors)
		}
	})
}

func (p panel) Unlinked(code devicelink.CloseCode) {
	p.d.with(func() {
		p.d.state.Linked = false
		if code != 0 {
			p.d.state.Closed = code
		}
	})
}

// loses says whether a frame from the server is lost on its way here.
func (d *Device) loses(f devicelink.Frame) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ack := f.(*devicelink.Ack)
	return ack && d.faults.DropAcks
}

// Report logs that something happened now, and sends it as soon as there is a link. It fills the
// sequence and the time.
func (d *Device) Report(r devicelink.Report) { d.with(func() { d.report(r) }) }

// Answer logs how far a command has come, as Report does.
func (d *Device) Answer(r devicelink.Result) { d.with(func() { d.answer(r) }) }

// Lose forgets what happens now, as a worn-out memory would: there will be a hole in the log.
func (d *Device) Lose() { d.with(func() { _ = d.log.Lose(0, 1) }) } // in memory

// report and answer are Report and Answer with d.mu held.
func (d *Device) report(r devicelink.Report) {
	r.At = d.clock()
	_ = d.log.Append(0, &r) // in memory
}

func (d *Device) answer(r devicelink.Result) {
	r.At = d.clock()
	_ = d.log.Append(0, &r) // in memory
}

// Clock is the device's own, right or wrong.
func (d *Device) Clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock()
}

func (d *Device) clock() time.Time {
	return time.Now().Add(d.faults.Clock).UTC().Truncate(time.Microsecond)
}
