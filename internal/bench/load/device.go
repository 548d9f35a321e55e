package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/internal/bench/tally"
)

// device is a link with nothing behind it: no bolt, no log that would survive it.
type device struct {
	tally.Clock // from a report to its acknowledgement
	conn        *websocket.Conn

	mu       sync.Mutex
	sequence int64
	ports    int         // that report in turn, from the second on; 0: the first does
	sent     []time.Time // when, of the reports on the way; a ring by sequence
	acked    int64
	room     chan struct{} // told after an acknowledgement
}

// handshakeTime is in which a link must be up.
const handshakeTime = 30 * time.Second

func dial(ctx context.Context, url string, as client.Identity, ring int) (*device, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+as.LinkURL, //nolint:bodyclose // hijacked
		&websocket.DialOptions{Subprotocols: []string{devicelink.Subprotocol}})
	if err != nil {
		return nil, err
	}
	d := &device{conn: conn, sent: make([]time.Time, ring), room: make(chan struct{}, 1)}
	if as.Device.IsZero() {
		return d, nil
	}
	if err := d.shakeHands(ctx, as); err != nil {
		return nil, errors.Join(err, conn.CloseNow())
	}
	return d, nil
}

func (d *device) shakeHands(ctx context.Context, as client.Identity) error {
	first, err := d.read(ctx)
	challenge, ok := first.(*devicelink.Challenge)
	if !ok {
		return errors.Join(fmt.Errorf("want a challenge, got %T", first), err)
	}
	now := time.Now().UTC()
	hello := as.Hello(challenge, now.UnixMilli(), sim.Firmware, now)
	if err := d.write(ctx, hello); err != nil {
		return err
	}
	second, err := d.read(ctx)
	if _, ok := second.(*devicelink.Welcome); !ok {
		return errors.Join(fmt.Errorf("want a welcome, got %T", second), err)
	}
	return nil
}

// listen counts what is acknowledged, and answers every command with its success.
func (d *device) listen() error {
	for {
		frame, err := d.read(context.Background())
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *devicelink.Ack:
			d.forget(f.Sequence)
		case *devicelink.Command:
			err = d.log(func(sequence int64, at time.Time) devicelink.Frame {
				return &devicelink.Result{
					Sequence: sequence, At: at, CommandID: f.CommandID, Port: f.Port,
					Stage: command.StageCONFIRMED, Confirmation: command.ConfirmationLOCK_STATE,
					LockState: door.LockStateUNLOCKED,
				}
			})
		}
		if err != nil {
			return err
		}
	}
}

func (d *device) forget(upTo int64) {
	now := time.Now()
	d.mu.Lock()
	for ; d.acked < upTo; d.acked++ {
		d.Add(now.Sub(d.sent[(d.acked+1)%int64(len(d.sent))]), 0)
	}
	d.mu.Unlock()
	select {
	case d.room <- struct{}{}:
	default:
	}
}

// log sends the next entry of the device's log.
func (d *device) log(entry func(sequence int64, at time.Time) devicelink.Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	frame := entry(d.sequence+1, now.UTC().Truncate(time.Microsecond))
	d.sequence++
	d.sent[d.sequence%int64(len(d.sent))] = now
	return d.write(context.Background(), frame)
}

// report tells that a door was opened or, every other time, closed.
func (d *device) report() error {
	return d.log(func(sequence int64, at time.Time) devicelink.Frame {
		r := devicelink.Report{Sequence: sequence, At: at, Port: 1, Event: "door.opened"}
		r.Position = door.PositionOPEN
		turn := sequence
		if d.ports > 0 {
			r.Port, turn = 2+int(sequence)%d.ports, sequence/int64(d.ports)
		}
		if turn%2 == 0 {
			r.Event, r.Position = "door.closed", door.PositionCLOSED
		}
		return &r
	})
}

// pipeline reports without waiting while fewer than window reports are on the way.
func (d *device) pipeline(ctx context.Context, window int) error {
	for ctx.Err() == nil {
		d.mu.Lock()
		full := d.sequence-d.acked >= int64(window)
		d.mu.Unlock()
		if !full {
			if err := d.report(); err != nil {
				return err
			}
			continue
		}
		select {
		case <-d.room:
		case <-ctx.Done():
		}
	}
	return nil
}

func (d *device) tick(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := d.report(); err != nil {
				return err
			}
		}
	}
}

func (d *device) read(ctx context.Context) (devicelink.Frame, error) {
	_, text, err := d.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	return devicelink.Decode(text)
}

func (d *device) write(ctx context.Context, f devicelink.Frame) error {
	text, err := devicelink.Encode(f)
	if err != nil {
		return err
	}
	return d.conn.Write(ctx, websocket.MessageText, text)
}
