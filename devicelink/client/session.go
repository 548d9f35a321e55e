package client

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

// session is one connection, from dialling to its end.
func (l *Link) session(ctx context.Context) (err error) {
	defer func() { err = l.lost(err) }()
	var conn *websocket.Conn
	silence := time.AfterFunc(time.Hour, func() { _ = conn.CloseNow() })
	defer silence.Stop()
	patience := time.Hour

	conn, _, err = websocket.Dial(ctx, l.config.BaseURL+l.config.Identity.LinkURL, //nolint:bodyclose // hijacked
		&websocket.DialOptions{
			HTTPClient: l.config.Client, Subprotocols: []string{devicelink.Subprotocol},
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
	welcome, asked, err := l.shakeHands(ctx, conn)
	if err != nil {
		return err
	}
	// The server pings; when it has missed one ping and nearly another, it is gone.
	patience = time.Duration(welcome.HeartbeatSeconds) * time.Second * 7 / 4
	silence.Reset(patience)
	if err := l.begin(welcome, asked); err != nil {
		return err
	}
	defer l.config.Log.unlink()
	if err := l.offer(ctx, conn); err != nil {
		return err
	}

	var heard error
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return l.send(ctx, conn, welcome.Sequence) })
	parts.Go(func() error {
		heard = l.listen(ctx, conn)
		return heard
	})
	parts.Go(func() error {
		<-ctx.Done()
		return conn.Close(websocket.StatusNormalClosure, "")
	})
	// A write may fail before the server's reason is read: what was heard counts.
	err = parts.Wait()
	return errors.Join(heard, err)
}

// lost heeds how the server ended the link.
func (l *Link) lost(err error) error {
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		l.config.Device.Unlinked(0)
		return err
	}
	code := devicelink.CloseCode(closed.Code)
	if code == devicelink.CloseReportRefused {
		l.config.Log.setAside(closed.Reason)
	}
	l.config.Device.Unlinked(code)
	if !code.Reconnect() && !l.fallBack(code) {
		return GoneAwayError{code, closed.Reason}
	}
	return err
}

// shakeHands proves the device's key to the server that it enrolled with, and to no other, and has the
// server prove its own. It returns the welcome, and when that was asked for.
func (l *Link) shakeHands(
	ctx context.Context, conn *websocket.Conn,
) (_ *devicelink.Welcome, asked time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	challenge, err := receive[*devicelink.Challenge](ctx, conn)
	if err != nil {
		return nil, asked, err
	}
	if challenge.ServerName != l.config.Identity.ServerName {
		return nil, asked, fmt.Errorf("challenged by %q", challenge.ServerName)
	}
	as := l.presents()
	hello := as.Hello(challenge, l.config.Log.Epoch(), l.config.Firmware, l.config.Clock())
	asked = time.Now()
	if err := write(ctx, conn, hello); err != nil {
		return nil, asked, err
	}
	welcome, err := receive[*devicelink.Welcome](ctx, conn)
	if err == nil && !welcome.SignedBy(l.identity.ServerKeys, challenge, hello) {
		err = ErrNotOurServer
	}
	if err == nil {
		err = l.presented()
	}
	return welcome, asked, err
}

// begin takes over what the welcome says.
func (l *Link) begin(w *devicelink.Welcome, asked time.Time) error {
	if err := l.config.Log.link(w.Sequence); err != nil {
		return err
	}
	l.server.begin(w, asked)
	l.orders.begin(w.Epoch)
	l.config.Device.Linked(w)
	return nil
}

// send writes the log, from the first entry that the server does not have, and then as it grows.
func (l *Link) send(ctx context.Context, conn *websocket.Conn, sent int64) error {
	for {
		entries, changed := l.config.Log.outgoing(sent)
		for _, entry := range entries {
			if err := write(ctx, conn, entry); err != nil {
				return err
			}
			sent = Sequence(entry)
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

// listen hands on what the server says.
func (l *Link) listen(ctx context.Context, conn *websocket.Conn) error {
	for {
		frame, err := receive[devicelink.Frame](context.WithoutCancel(ctx), conn)
		if errors.Is(err, devicelink.ErrUnknownFrame) {
			continue
		}
		if err != nil {
			return err
		}
		if l.config.Lossy != nil && l.config.Lossy(frame) {
			continue
		}
		heeded, err := l.heed(ctx, conn, frame)
		if err != nil {
			return err
		}
		if heeded {
			l.config.Device.Heard(frame)
		}
	}
}

// heed does the link's part of what a frame says, and says whether the device shall hear of it.
func (l *Link) heed(
	ctx context.Context, conn *websocket.Conn, frame devicelink.Frame,
) (bool, error) {
	switch f := frame.(type) {
	case *devicelink.Ack:
		l.config.Log.forget(f.Sequence)
		return true, nil
	case devicelink.Order:
		if err := l.orders.heed(f, l.identity, l.ServerClock()); err != nil {
			l.config.Logger.WarnContext(ctx, "order refused",
				"device", l.identity.Device.String(), "error", err)
			return false, l.tellRefused()
		}
		return true, l.obey(ctx, conn, f)
	}
	return false, fmt.Errorf("unexpected %T", frame)
}

// obey does what an order asks of the link.
func (l *Link) obey(ctx context.Context, conn *websocket.Conn, order devicelink.Order) error {
	switch f := order.(type) {
	case *devicelink.Keys:
		l.identity.ServerKeys, l.identity.KeysVersion = f.ServerKeys, f.Version
		return l.keep()
	case *devicelink.Time:
		now := time.Now()
		l.server.heed(f, now)
		return write(ctx, conn, &devicelink.Clock{Answers: f.Sequence, At: l.clock()})
	case *devicelink.Renew:
		return l.renew(ctx, conn)
	case *devicelink.Rotated:
		return l.rotated(f)
	}
	return nil
}

// clock is the device's own, as frames have it.
func (l *Link) clock() time.Time { return l.config.Clock().UTC().Truncate(time.Microsecond) }

// tellRefused logs now and then that orders were refused.
func (l *Link) tellRefused() error {
	told := l.orders.refuse(time.Now())
	if told == nil {
		return nil
	}
	told.At = l.clock()
	return l.config.Log.Append(0, told)
}

func (l *Link) keep() error {
	if l.config.Keep == nil {
		return nil
	}
	if err := l.config.Keep(l.identity); err != nil {
		return fmt.Errorf("keep identity: %w", err)
	}
	return nil
}

func receive[F devicelink.Frame](ctx context.Context, conn *websocket.Conn) (f F, err error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return f, fmt.Errorf("receive: %w", err)
	}
	frame, err := devicelink.DecodeAsDevice(text)
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
