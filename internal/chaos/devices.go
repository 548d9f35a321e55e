package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	entdevice "github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// device is a simulated controller, whose doors are at its ports from 1 on.
type device struct {
	*sim.Device
	org      typeid.Organization
	site     typeid.Site
	identity client.Identity
	doors    []typeid.Door
	made     int64 // reports, each with its number
}

// power runs every device until ctx ends. Whenever one links, it is to a node that happens to be there.
func (c *chaos) power(ctx context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", c.anyNode("link").front.address)
		},
	}}
	var running errgroup.Group
	for _, d := range c.devices() {
		d.Device = sim.NewDevice(sim.DeviceConfig{
			BaseURL: "http://localhost", Identity: d.identity, Client: client,
			Longest: 3 * time.Second, Commanded: c.commanded,
		})
		running.Go(func() error {
			err := d.Run(ctx)
			if err != nil {
				c.wrong("%s: %v", d.identity.Device, err)
			}
			return err
		})
	}
	close(c.powered)
	return running.Wait()
}

// commanded notes that a command has come to a device.
func (c *chaos) commanded(command devicelink.Command, acts bool) {
	now := time.Now()
	c.orders.Lock()
	defer c.orders.Unlock()
	if c.received[command.CommandID]++; c.received[command.CommandID] > 1 {
		c.wrong("%s was sent %d times", command.CommandID, c.received[command.CommandID])
	}
	if !acts {
		c.work.late.Add(1)
		return
	}
	c.work.unlocks.Add(1)
	if c.obeyed[command.CommandID]++; c.obeyed[command.CommandID] > 1 {
		c.wrong("%s was carried out %d times", command.CommandID, c.obeyed[command.CommandID])
	}
	if late := now.Sub(command.NotAfter); late >= 0 {
		c.wrong("%s was carried out %v after its deadline", command.CommandID, late)
	}
}

// report has doors open and close, so many times a second, until ctx ends.
func (c *chaos) report(ctx context.Context) {
	const each = 20 * time.Millisecond
	devices := c.devices()
	begun := time.Now()
	ticks := time.NewTicker(each)
	defer ticks.Stop()
	for done := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		due := int(time.Since(begun).Seconds() * float64(c.size.reports))
		for ; done < due; done++ {
			devices[rand.IntN(len(devices))].swing() //nolint:gosec // any door will do
			c.work.reports.Add(1)
		}
	}
}

// swing reports that a door has opened or closed.
func (d *device) swing() {
	d.made++
	r := devicelink.Report{
		Port: rand.IntN(ports) + 1, Event: "door.opened", Position: door.PositionOPEN, //nolint:gosec // any
		Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, d.made)),
	}
	if d.made%2 == 0 {
		r.Event, r.Position = "door.closed", door.PositionCLOSED
	}
	d.Report(r)
}

// audit looks again and again whether what a device has been acknowledged is committed.
func (c *chaos) audit(ctx context.Context) {
	devices := c.devices()
	ctx = actor.NewContext(ctx, actor.System("chaos"))
	for pause(ctx, 5*time.Millisecond) {
		d := devices[rand.IntN(len(devices))] //nolint:gosec // any
		acked := d.State().Acked
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		row, err := c.model.Device.Query().Where(entdevice.ID(d.identity.Device)).Only(asking)
		cancel()
		if err != nil {
			continue
		}
		c.work.audits.Add(1)
		if acked > row.LastSequence {
			c.wrong("%s: acknowledged up to %d, committed up to %d",
				d.identity.Device, acked, row.LastSequence)
		}
	}
}

// drained waits until every report has been acknowledged.
func (c *chaos) drained(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, d := range c.devices() {
		state, err := d.Until(ctx, func(s sim.State) bool { return s.Acked == s.Logged })
		if err != nil {
			c.wrong("%s has %d reports that nobody acknowledges: %v",
				d.identity.Device, state.Logged-state.Acked, err)
			return err
		}
	}
	return nil
}
