package conform

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/door"
)

// peer is a connection of the device.
type peer struct {
	kit       *Kit
	conn      *websocket.Conn
	number    int
	challenge *devicelink.Challenge
	hello     *devicelink.Hello
	signer    devicelink.Signer
	ordered   int64
	logged    int64 // the last entry that came over it
	ended     chan struct{}
	end       error // once it has ended
}

const heartbeat = 20 * time.Second

// challenges sends a challenge, as altered.
func (p *peer) challenges(alter func(*devicelink.Challenge)) error {
	p.challenge = &devicelink.Challenge{
		Version: devicelink.Version, ServerName: serverName, Nonce: devicelink.NewNonce(),
	}
	if alter != nil {
		alter(p.challenge)
	}
	return p.write(p.challenge)
}

// greets takes the device's hello, before anything else has come.
func (p *peer) greets(key ed25519.PublicKey) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, text, err := p.conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("no hello: %w", err)
	}
	frame, err := devicelink.Decode(text)
	if err != nil {
		return err
	}
	hello, ok := frame.(*devicelink.Hello)
	if !ok {
		return fmt.Errorf("want a hello, not %s", text)
	}
	p.hello = hello
	if hello.DeviceID != p.kit.device {
		return fmt.Errorf("it says that it is %s", hello.DeviceID)
	}
	if !hello.SignedBy(key, p.challenge) {
		return errors.New("the signature is none of its key over this transcript")
	}
	return nil
}

// closes waits for the device to close the connection, which it does without a word.
func (p *peer) closes(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	defer p.conn.CloseNow() //nolint:errcheck // it has gone
	_, text, err := p.conn.Read(ctx)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("it has not closed within %s", within)
	case err == nil:
		return fmt.Errorf("it said %s", text)
	}
	return nil
}

// standing is the door as the kit binds it.
func (k *Kit) standing(mode door.Mode) []devicelink.Door {
	return []devicelink.Door{{
		Port: k.config.Port, DoorID: k.door, Mode: mode, RelockSeconds: 1, HeldOpenSeconds: 30,
	}}
}

// welcomes sends a welcome, as altered before and after it is signed.
func (p *peer) welcomes(mode door.Mode, before, after func(*devicelink.Welcome)) error {
	if p.hello == nil {
		return errors.New("it has not said hello")
	}
	p.kit.mu.Lock()
	last := p.kit.last
	p.kit.mu.Unlock()
	w := &devicelink.Welcome{
		Epoch: int64(p.number), Sequence: last, ServerTime: now(),
		HeartbeatSeconds: int(heartbeat / time.Second), Doors: p.kit.standing(mode),
	}
	if before != nil {
		before(w)
	}
	p.signer.Welcome(w, p.challenge, p.hello)
	if after != nil {
		after(w)
	}
	p.logged = w.Sequence
	return p.write(w)
}

// listen takes in what the device says, until the connection ends.
func (p *peer) listen() {
	defer close(p.ended)
	for {
		kind, text, err := p.conn.Read(context.Background())
		if err != nil {
			p.end = err
			p.kit.hear(nil, p)
			return
		}
		frame, err := devicelink.Decode(text)
		if kind != websocket.MessageText {
			err = errors.New("a binary message")
		}
		if err != nil {
			p.kit.fault(fmt.Sprintf("%v: %s", err, text))
			_ = p.conn.Close(websocket.StatusCode(devicelink.CloseProtocol), "see the report")
			continue
		}
		if ack := p.kit.hear(frame, p); ack > 0 {
			_ = p.write(&devicelink.Ack{Sequence: ack})
		}
	}
}

// beat pings as often as servers do, until the connection ends or stop is closed.
func (p *peer) beat(every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_ = p.conn.Ping(ctx)
		cancel()
	}
}

// hear takes note of a frame, and returns what is to be acknowledged of the log.
func (k *Kit) hear(f devicelink.Frame, over *peer) (ack int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() {
		close(k.changed)
		k.changed = make(chan struct{})
	}()
	if f == nil {
		return 0
	}
	k.heard = append(k.heard, said{f, time.Now(), over.number})
	sequence, entry := entryOf(f)
	if sequence == 0 {
		return 0
	}
	skipped := over.logged + 1
	if skipped == k.aside {
		skipped++
	}
	if sequence != over.logged+1 && sequence != skipped {
		k.faults = append(k.faults, fmt.Errorf("entry %d of the log after %d", sequence, over.logged))
	}
	if before, again := k.log[sequence]; again && before != entry {
		k.faults = append(k.faults, fmt.Errorf("entry %d was %s and is %s", sequence, before, entry))
	}
	over.logged, k.log[sequence] = sequence, entry
	if k.withhold {
		return 0
	}
	k.last = max(k.last, sequence)
	return k.last
}

// entryOf returns the number of a log entry, and its text without what changes when it is sent again.
func entryOf(f devicelink.Frame) (int64, string) {
	var text []byte
	var sequence int64
	switch f := f.(type) {
	case *devicelink.Report:
		own := *f
		own.Buffered, sequence = false, f.Sequence
		text, _ = json.Marshal(own) // it came as JSON
	case *devicelink.Result:
		own := *f
		own.Buffered, sequence = false, f.Sequence
		text, _ = json.Marshal(own) // likewise
	}
	return sequence, string(text)
}

// order signs an order as the link's next, and sends it.
func (p *peer) order(o devicelink.Order) error {
	p.ordered++
	p.signer.Order(o, p.kit.device, int64(p.number), p.ordered)
	return p.write(o)
}

func (p *peer) write(f devicelink.Frame) error {
	text, err := devicelink.Encode(f)
	if err != nil {
		return err
	}
	return p.writeText(text)
}

func (p *peer) writeText(text []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return fmt.Errorf("the link has ended: %w", err)
	}
	return nil
}

func (p *peer) close(code devicelink.CloseCode, reason string) {
	_ = p.conn.Close(websocket.StatusCode(code), reason)
}
