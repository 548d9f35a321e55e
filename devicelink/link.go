package devicelink

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

const (
	helloTimeout   = 5 * time.Second
	heartbeatEvery = 20 * time.Second
	heartbeatWait  = 10 * time.Second
	writeTimeout   = 5 * time.Second
	recordTimeout  = 10 * time.Second
)

// link is one device's connection. Its parts end it by calling end with the cause; the first cause
// counts.
type link struct {
	stream.Link // set once the device has proved who it is

	handler *Handler
	conn    *websocket.Conn
	done    <-chan struct{}
	end     context.CancelCauseFunc
	key     ed25519.PublicKey    // which the device has proved
	signer  Signer               // of the newest key that the device knows
	ordered int64                // the last order; with the token of writing
	writing chan struct{}        // holds a token while a frame is written, and until the welcome is
	telling chan struct{}        // holds a token while doors are read and told, the welcome's too
	closed  map[typeid.Door]bool // those that it was told are in lockdown; with the token of writing
	reports chan *access.Report
	stalls  atomic.Int64 // how often reading began or ceased to wait for the recorder: odd, it waits
	clock   clock
	counted atomic.Int64 // reports committed
}

// live is the life of a link, from its first frame to its last.
func (h *Handler) live(node context.Context, conn *websocket.Conn) {
	began := time.Now()
	conn.SetReadLimit(MaxFrame)
	ctx, end := context.WithCancelCause(context.WithoutCancel(node))
	defer context.AfterFunc(node, func() { end(errRestart) })()
	l := &link{
		handler: h, conn: conn, done: ctx.Done(), end: end,
		writing: make(chan struct{}, 1), telling: make(chan struct{}, 1),
		reports: make(chan *access.Report, maxBatch),
	}
	l.writing <- struct{}{}
	l.telling <- struct{}{}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		l.hangUp(context.Cause(ctx))
		close(closed)
	})

	end(l.serve(ctx))

	<-closed
	cause := context.Cause(ctx)
	h.metrics.ended.WithLabelValues(causeLabel(cause)).Inc()
	h.log.LogAttrs(ctx, slog.LevelInfo, "device link ended",
		slog.String("organization", l.Organization.String()),
		slog.String("device", l.Device.String()), slog.Int64("epoch", l.Epoch),
		slog.String("cause", causeLabel(cause)), slog.Any("error", cause),
		slog.Int64("reports", l.counted.Load()), slog.Duration("clock_offset", l.clock.now()),
		slog.Duration("lasted", time.Since(began)))
}

// serve opens the link, serves it until it ends, and takes it down. It returns why it ended.
func (l *link) serve(ctx context.Context) error {
	challenged := schema.Now()
	challenge, hello, device, err := l.greet(ctx)
	if err != nil {
		return err
	}
	l.clock.begin(aheadBy(hello.At, challenged, schema.Now()))
	ctx = actor.NewContext(ctx, actor.Device(device.OrgID, device.ID))
	state, err := l.open(ctx, hello, challenged)
	if err != nil {
		return err
	}
	l.Link = stream.Link{
		Organization: device.OrgID, Device: device.ID, Epoch: state.Epoch,
		Node: l.handler.router.node,
	}
	defer l.takeDown(ctx)

	l.handler.metrics.open.Inc()
	defer l.handler.metrics.open.Dec()
	l.handler.router.add(ctx, l)
	defer l.handler.router.remove(ctx, l)

	if err := l.welcome(ctx, state, challenge, hello); err != nil {
		return err
	}
	if err := l.introduce(hello); err != nil {
		return err
	}
	if access.ClockWrong(l.clock.now()) { // which the welcome may have mended
		if err := l.send(&Time{}); err != nil {
			return err
		}
	}
	<-l.writing
	<-l.telling

	var parts sync.WaitGroup
	parts.Go(func() { l.record(ctx) })
	parts.Go(func() { l.heartbeat(ctx) })
	err = l.read(ctx)
	l.end(err)
	close(l.reports)
	parts.Wait()
	return err
}

// welcome tells the device where it stands. Its doors are read now that the link can be found: who
// changes them after that tells the device, behind the welcome.
func (l *link) welcome(
	ctx context.Context, state *access.LinkState, challenge *Challenge, hello *Hello,
) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	rows, err := l.handler.access.DoorsOf(ctx)
	if err != nil {
		return err
	}
	welcome := &Welcome{
		Epoch: state.Epoch, Sequence: state.Sequence, ServerTime: schema.Now(),
		HeartbeatSeconds: int(heartbeatEvery / time.Second), Doors: frameDoors(rows),
	}
	l.signer.Welcome(welcome, challenge, hello)
	if err := l.send(welcome); err != nil {
		return err
	}
	if err := l.handler.access.RecordConfigured(ctx, rows); err != nil {
		l.handler.log.WarnContext(ctx, "welcome not recorded; the device will be told again",
			"device", l.Device.String(), "error", err)
	}
	return nil
}

// introduce gives the device the server's keys of now, if it has others. They are signed with one that
// it has; what follows is signed with the newest.
func (l *link) introduce(hello *Hello) error {
	keys := l.handler.keys
	if keys.areKnown(hello.KeyIDs) {
		return nil
	}
	err := l.send(&Keys{Version: hello.KeysVersion + 1, ServerKeys: keys.Public()})
	l.signer = keys.Newest()
	return err
}

// greet challenges the device and returns its hello once it has proved its key. Who does not exist
// and who cannot prove it get the same answer.
func (l *link) greet(ctx context.Context) (*Challenge, *Hello, *ent.Device, error) {
	late := time.AfterFunc(helloTimeout, func() { l.end(errHelloTimeout) })
	defer late.Stop()
	challenge := &Challenge{
		Version: Version, ServerName: l.handler.serverName, Nonce: NewNonce(),
	}
	if err := l.send(challenge); err != nil {
		return nil, nil, nil, err
	}
	frame, err := l.receive()
	if err != nil {
		return nil, nil, nil, err
	}
	hello, ok := frame.(*Hello)
	if !ok {
		return nil, nil, nil, closing{CloseProtocol, "want a hello"}
	}
	l.Device = hello.DeviceID
	ctx = actor.NewContext(ctx, actor.System("devicelink"))
	device, err := l.handler.access.DeviceForLink(ctx, hello.DeviceID)
	if access.IsCode(err, access.CodeNotFound) {
		return nil, nil, nil, errUnknownDevice
	}
	if err != nil {
		return nil, nil, nil, err
	}
	var known bool
	if l.key, known = proven(l.handler.access.DeviceKeys(device), hello, challenge); !known {
		return nil, nil, nil, fmt.Errorf("wrong signature: %w", errUnknownDevice)
	}
	if l.signer, known = l.handler.keys.Signer(hello.KeyIDs); !known {
		return nil, nil, nil, errNoCommonKey
	}
	return challenge, hello, device, nil
}

// open counts a new link of the device. An end of the link meanwhile does not undo it half-way.
func (l *link) open(
	ctx context.Context, hello *Hello, challenged time.Time,
) (*access.LinkState, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return l.handler.access.OpenLink(ctx, access.OpenLinkInput{
		LogEpoch: hello.LogEpoch, Firmware: hello.Firmware, Challenged: challenged,
		Key: l.key, ClockOffset: l.clock.now(),
	})
}

// read takes in what the device says, until the connection ends or the device errs.
func (l *link) read(ctx context.Context) error {
	for {
		frame, err := l.receive()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case logEntry:
			err = l.hand(ctx, f.report())
		case *Clock:
			err = l.heardClock(ctx, f)
		case *Rotate:
			err = l.rotate(ctx, f)
		default:
			err = closing{CloseProtocol, "only report, result, clock and rotate follow a hello"}
		}
		if err != nil {
			return err
		}
	}
}

// hand gives a report to the recorder. While the recorder is full nothing is read, so the device's
// writes come to wait; its answers to heartbeats wait too and are not missed.
func (l *link) hand(ctx context.Context, r *access.Report) error {
	select {
	case l.reports <- r:
		return nil
	default:
	}
	l.stalls.Add(1)
	defer l.stalls.Add(1)
	select {
	case l.reports <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// heartbeat ends the link when the peer is gone without a word, and tells it the time.
func (l *link) heartbeat(ctx context.Context) {
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for beats := 1; ; beats++ {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		if beats%timeEvery == 0 {
			_ = l.tellTime() // it has ended the link, if it could not
		}
		stalls := l.stalls.Load()
		answer, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeatWait)
		err := l.conn.Ping(answer)
		cancel()
		listened := stalls%2 == 0 && stalls == l.stalls.Load()
		if err != nil && listened {
			l.end(errSilent)
			return
		}
	}
}

// receive returns the device's next frame.
func (l *link) receive() (Frame, error) {
	kind, text, err := l.conn.Read(context.Background())
	switch {
	case err == nil && kind == websocket.MessageText:
		return Decode(text)
	case err == nil:
		return nil, closing{CloseProtocol, "frames are text"}
	case errors.Is(err, websocket.ErrMessageTooBig), websocket.CloseStatus(err) != -1:
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errLost, err)
}

// write sends a frame in its turn, unless notAfter, if it is not zero, has come by then. It sends no
// unlock of a door after the device was told that the door is in lockdown, and none to a device whose
// clock is far off.
func (l *link) write(f Frame, notAfter time.Time) error {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-l.done:
		return errLost
	}
	if !notAfter.IsZero() && !schema.Now().Before(notAfter) {
		return errExpired
	}
	if c, ok := f.(*Command); ok && c.Verb == command.VerbUNLOCK {
		if err := l.mayUnlock(c.DoorID); err != nil {
			return err
		}
	}
	return l.send(f)
}

func (l *link) mayUnlock(id typeid.Door) error {
	if l.closed[id] {
		return errLockdown
	}
	if l.clock.now().Abs() > farOff {
		return errClock
	}
	return nil
}

// remember takes note of the doors that the device is about to be told are in lockdown.
func (l *link) remember(doors []Door) {
	l.closed = map[typeid.Door]bool{}
	for _, d := range doors {
		if d.Mode == door.ModeLOCKDOWN {
			l.closed[d.DoorID] = true
		}
	}
}

// send writes a frame; an order is signed as the link's next. After an error the peer has not received
// it whole, and the link ends.
func (l *link) send(f Frame) error {
	if o, ok := f.(Order); ok {
		l.ordered++
		if t, ok := f.(*Time); ok {
			l.clock.ask(t, l.ordered)
		}
		l.signer.Order(o, l.Device, l.Epoch, l.ordered)
	}
	text, err := Encode(f)
	if err != nil {
		return err
	}
	switch told := f.(type) {
	case *Welcome:
		l.remember(told.Doors)
	case *Config:
		l.remember(told.Doors)
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	err = l.conn.Write(ctx, websocket.MessageText, text)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", errLost, err)
	if ctx.Err() != nil {
		err = errSlow
	}
	l.end(err)
	return err
}

// hangUp closes the connection, and tells the device why if it is there to be told.
func (l *link) hangUp(cause error) {
	if told, ok := toldDevice(cause); ok {
		_ = l.conn.Close(websocket.StatusCode(told.code), told.reason) // it may have gone
		return
	}
	_ = l.conn.CloseNow()
}

// takeDown records the end of the link, whatever ended it.
func (l *link) takeDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := l.handler.access.CloseLink(ctx, l.Epoch)
	if err != nil && !errors.Is(err, access.ErrStaleEpoch) {
		l.handler.log.ErrorContext(ctx, "device link's end not recorded; the reaper will",
			"device", l.Device.String(), "epoch", l.Epoch, "error", err)
	}
}

func frameDoors(rows []*ent.Door) []Door {
	doors := make([]Door, len(rows))
	for i, row := range rows {
		doors[i] = Door{
			Port: *row.DevicePort, DoorID: row.ID, Mode: door.Mode(row.EffectiveMode),
			RelockSeconds: row.RelockSeconds, HeldOpenSeconds: row.HeldOpenSeconds,
		}
	}
	return doors
}
