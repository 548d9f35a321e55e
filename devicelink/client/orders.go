package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/typeid"
)

const (
	// longestOrder is how long a command may be good for.
	longestOrder = 30 * time.Second
	// seenFor is how long after its deadline a command's identifier is remembered.
	seenFor = time.Minute
	// tellRefused is how often refused orders are told of, at most.
	tellRefused = time.Minute
)

// ErrNotOurServer says that a welcome is not signed by the server that the device enrolled with.
var ErrNotOurServer = errors.New("the welcome is not signed by our server")

// orders judges orders. Over all connections of a link it remembers which commands came.
type orders struct {
	epoch int64 // of the connection
	last  int64 // order of it that was heeded
	seen  map[typeid.Command]time.Time

	refused int64 // since it was told
	told    time.Time
}

// begin begins a connection.
func (o *orders) begin(epoch int64) { o.epoch, o.last = epoch, 0 }

// heed takes note of an order, or says why it is to be passed over as if it had not come. A command
// whose deadline has passed is none of these: the device answers that.
func (o *orders) heed(f devicelink.Order, as Identity, now time.Time) error {
	s := devicelink.SignedOf(f)
	switch {
	case !devicelink.SignedBy(f, as.ServerKeys, as.Device):
		return errors.New("not signed by our server for us")
	case s.Epoch != o.epoch:
		return fmt.Errorf("of link %d, not %d", s.Epoch, o.epoch)
	case s.Sequence <= o.last:
		return fmt.Errorf("number %d after %d", s.Sequence, o.last)
	}
	if err := o.heedOne(f, as, now); err != nil {
		return err
	}
	o.last = s.Sequence
	return nil
}

func (o *orders) heedOne(f devicelink.Order, as Identity, now time.Time) error {
	switch f := f.(type) {
	case *devicelink.Command:
		return o.command(f, as, now)
	case *devicelink.Keys:
		if f.Version <= as.KeysVersion {
			return fmt.Errorf("keys of version %d after %d", f.Version, as.KeysVersion)
		}
	}
	return nil
}

func (o *orders) command(c *devicelink.Command, as Identity, now time.Time) error {
	for id, until := range o.seen {
		if now.After(until) {
			delete(o.seen, id)
		}
	}
	_, again := o.seen[c.CommandID]
	switch {
	case c.DeviceID != as.Device || c.OrganizationID != as.Organization:
		return errors.New("for another device")
	case c.NotAfter.Sub(c.IssuedAt) > longestOrder:
		return errors.New("good for too long")
	case again:
		return errors.New("a command that came before")
	}
	if o.seen == nil {
		o.seen = map[typeid.Command]time.Time{}
	}
	o.seen[c.CommandID] = c.NotAfter.Add(seenFor)
	return nil
}

// refuse counts a refused order. It returns what is to be told of those since the last time, or nil.
func (o *orders) refuse(now time.Time) *devicelink.Report {
	o.refused++
	if now.Sub(o.told) < tellRefused {
		return nil
	}
	data, _ := json.Marshal(map[string]int64{"count": o.refused}) // never fails
	o.refused, o.told = 0, now
	return &devicelink.Report{Event: "device.order_refused", Data: data}
}
