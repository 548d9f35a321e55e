package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/devicelink"
)

// handshakeTimeout is how long a device waits for a welcome.
const handshakeTimeout = 10 * time.Second

// writeTimeout is how long a device waits for the server to read.
const writeTimeout = 10 * time.Second

// session is one link, from dialling to its end.
func (d *Device) session(ctx context.Context) error {
	var conn *websocket.Conn
	silence := time.AfterFunc(time.Hour, func() { _ = conn.CloseNow() })
	defer silence.Stop()
	patience := time.Hour

	conn, _, err := websocket.Dial(ctx, d.config.BaseURL+d.config.Identity.LinkURL, //nolint:bodyclose // hijacked
		&websocket.DialOptions{
			HTTPClient: d.config.Client, Subprotocols: []string{devicelink.Subprotocol},
			OnPingReceived: func(context.Context, []byte) bool {
				silence.Reset(patience)
				return true
			},
		})
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.CloseNow() //nolint:errcheck // the end of ends
	conn.SetReadLimit(devicelink.MaxFrame)
	welcome, asked, err := d.shakeHands(ctx, conn)
	if err != nil {
		return d.lost(err)
	}
	// The server pings; when it has missed one ping and nearly another, it is gone.
	patience = time.Duration(welcome.HeartbeatSeconds) * time.Second * 7 / 4
	silence.Reset(patience)
	d.begin(welcome, asked)
	defer d.unlink()

	var heard error
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return d.send(ctx, conn, welcome.Sequence) })
	parts.Go(func() error {
		heard = d.listen(ctx, conn)
		return heard
	})
	parts.Go(func() error {
		<-ctx.Done()
		return conn.Close(websocket.StatusNormalClosure, "")
	})
	// A write may fail before the server's reason is read: what was heard counts.
	err = parts.Wait()
	return d.lost(errors.Join(heard, err))
}

// lost notes how the server ended the link.
func (d *Device) lost(err error) error {
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		return err
	}
	code := devicelink.CloseCode(closed.Code)
	d.mu.Lock()
	d.state.Closed = code
	if code == devicelink.CloseReportRefused {
		d.setAside(closed.Reason)
	}
	d.change()
	d.mu.Unlock()
	if !code.Reconnect() {
		return GoneAwayError{code, closed.Reason}
	}
	return err
}

// shakeHands proves the device's key to the server that it enrolled with, and to no other. It returns
// the welcome, and when that was asked for.
func (d *Device) shakeHands(
	ctx context.Context, conn *websocket.Conn,
) (_ *devicelink.Welcome, asked time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	challenge, err := receive[*devicelink.Challenge](ctx, conn)
	if err != nil {
		return nil, asked, err
	}
	if challenge.ServerName != d.config.Identity.ServerName {
		return nil, asked, fmt.Errorf("challenged by %q", challenge.ServerName)
	}
	d.mu.Lock()
	at := d.clock()
	d.mu.Unlock()
	hello := &devicelink.Hello{
		Version: devicelink.Version, DeviceID: d.config.Identity.Device,
		Nonce: devicelink.NewNonce(), LogEpoch: d.config.LogEpoch, Firmware: Firmware, At: at,
	}
	hello.Sign(d.config.Identity.Key, challenge)
	asked = time.Now()
	if err := write(ctx, conn, hello); err != nil {
		return nil, asked, err
	}
	welcome, err := receive[*devicelink.Welcome](ctx, conn)
	return welcome, asked, err
}

// begin takes over what the welcome says. It may have been long on its way, with an old time in it: the
// time since we asked for it is added, so that our idea of the server's clock is never behind.
func (d *Device) begin(w *devicelink.Welcome, asked time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offset = w.ServerTime.Sub(asked)
	d.state.Linked, d.state.Welcome, d.state.Closed = true, *w, 0
	d.state.Links++
	d.forget(w.Sequence)
	d.resend()
	d.adopt(w.Doors)
	d.change()
}

func (d *Device) unlink() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Linked = false
	d.change()
}

// send writes the log, from the first entry that the server does not have, and then as it grows.
func (d *Device) send(ctx context.Context, conn *websocket.Conn, sent int64) error {
	for {
		entries, changed := d.outgoing(sent)
		for _, entry := range entries {
			if err := write(ctx, conn, entry); err != nil {
				return err
			}
			sent = sequence(entry)
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// listen does what the server says. Of a real device more leniency is asked: see docs/protocol.md.
func (d *Device) listen(ctx context.Context, conn *websocket.Conn) error {
	for {
		frame, err := receive[devicelink.Frame](context.WithoutCancel(ctx), conn)
		if err != nil {
			return err
		}
		d.mu.Lock()
		switch f := frame.(type) {
		case *devicelink.Ack:
			if !d.faults.DropAcks {
				d.forget(f.Sequence)
			}
		case *devicelink.Command:
			d.obey(f)
		case *devicelink.Config:
			d.adopt(f.Doors)
		default:
			err = fmt.Errorf("unexpected %T", f)
		}
		d.change()
		d.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func receive[F devicelink.Frame](ctx context.Context, conn *websocket.Conn) (f F, err error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return f, fmt.Errorf("receive: %w", err)
	}
	frame, err := devicelink.Decode(text)
	if err != nil {
		return f, err
	}
	f, ok := frame.(F)
	if !ok {
		return f, fmt.Errorf("unexpected %T", frame)
	}
	return f, nil
}

func write(ctx context.Context, conn *websocket.Conn, f devicelink.Frame) error {
	text, err := devicelink.Encode(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, text); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}
