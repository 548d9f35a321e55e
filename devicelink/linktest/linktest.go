// Package linktest puts devices under a test's control, as httptest does for HTTP: Start runs a
// whole device, Dial opens a link by hand, frame by frame, for what no honest device would do.
//
// The device itself is devicelink/sim's, which `cardea sim` runs too: what the tests prove and what
// a person sees in the demo is the same code.
//
// The package imports devicelink, devicelink/sim and the WebSocket library. Only tests import it.
package linktest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
)

// Patience is how long anything here waits for a server that does its work.
const Patience = 20 * time.Second

// Enrol claims the place of a claim code.
func Enrol(tb testing.TB, baseURL, claimCode string) client.Identity {
	tb.Helper()
	identity, err := client.Enrol(tb.Context(), baseURL, claimCode,
		client.Hardware{Serial: "T-1", Model: "linktest", Firmware: sim.Firmware})
	if err != nil {
		tb.Fatal(err)
	}
	return identity
}

// Device is a running device.
type Device struct {
	*sim.Device
	tb    testing.TB
	stop  context.CancelFunc
	ended chan error
}

// Start runs a device until the test ends, and returns once it is linked.
func Start(tb testing.TB, cfg sim.DeviceConfig) *Device {
	tb.Helper()
	d := Launch(tb, cfg)
	d.Until(func(s sim.State) bool { return s.Linked })
	return d
}

// Launch runs a device until the test ends.
func Launch(tb testing.TB, cfg sim.DeviceConfig) *Device {
	tb.Helper()
	return run(tb, sim.NewDevice(cfg))
}

// Restart gives a stopped device power again; its log is as it was.
func Restart(tb testing.TB, d *Device) *Device {
	tb.Helper()
	return run(tb, d.Device)
}

func run(tb testing.TB, device *sim.Device) *Device {
	tb.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	d := &Device{Device: device, tb: tb, stop: stop, ended: make(chan error, 1)}
	go func() { d.ended <- d.Run(ctx) }()
	tb.Cleanup(func() { _ = d.Stop() })
	return d
}

// Stop switches the device off and returns what ended it.
func (d *Device) Stop() error {
	d.stop()
	return d.Ended()
}

// Ended waits until the device has ended by itself, and returns why.
func (d *Device) Ended() error {
	d.tb.Helper()
	select {
	case err := <-d.ended:
		d.ended <- err
		return err
	case <-time.After(Patience):
		d.tb.Error("the device did not end")
		return nil
	}
}

// Until waits until the device's state is as wanted.
func (d *Device) Until(wanted func(sim.State) bool) sim.State {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.tb.Context()), Patience)
	defer cancel()
	state, err := d.Device.Until(ctx, wanted)
	if err != nil {
		d.tb.Fatalf("%v; the device's state: %+v", err, state)
	}
	return state
}

// Conn is a link by hand.
type Conn struct {
	Challenge *devicelink.Challenge
	Identity  client.Identity

	tb     testing.TB
	conn   *websocket.Conn
	closed error // what ended reading
}

// Dial opens a link as far as the challenge.
func Dial(tb testing.TB, baseURL string, as client.Identity) *Conn {
	tb.Helper()
	conn, _, err := websocket.Dial(tb.Context(), baseURL+as.LinkURL,
		&websocket.DialOptions{Subprotocols: []string{devicelink.Subprotocol}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(devicelink.MaxFrame)
	c := &Conn{Identity: as, tb: tb, conn: conn}
	c.Challenge = Receive[*devicelink.Challenge](c)
	return c
}

// Hello returns a hello that answers the challenge, signed.
func (c *Conn) Hello() *devicelink.Hello {
	return c.Identity.Hello(c.Challenge, 1, sim.Firmware, time.Now())
}

// Link opens a link as far as the welcome, for the device's first log.
func Link(tb testing.TB, baseURL string, as client.Identity) (*Conn, *devicelink.Welcome) {
	tb.Helper()
	c := Dial(tb, baseURL, as)
	hello := c.Hello()
	c.Send(hello)
	welcome := Receive[*devicelink.Welcome](c)
	if !welcome.SignedBy(as.ServerKeys, c.Challenge, hello) {
		tb.Error("the welcome is not signed by the server")
	}
	return c, welcome
}

// Welcomed waits for the welcome; false if the server closes the link instead.
func (c *Conn) Welcomed() (*devicelink.Welcome, bool) {
	c.tb.Helper()
	text, err := c.read()
	if err != nil {
		c.closed = err
		return nil, false
	}
	frame, err := devicelink.Decode(text)
	welcome, ok := frame.(*devicelink.Welcome)
	if !ok {
		c.tb.Fatalf("want a welcome, got %s, %v", text, err)
	}
	return welcome, true
}

// Send writes a frame.
func (c *Conn) Send(f devicelink.Frame) {
	c.tb.Helper()
	text, err := devicelink.Encode(f)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.SendText(text)
}

// SendText writes whatever a test likes.
func (c *Conn) SendText(text []byte) {
	c.tb.Helper()
	if err := c.conn.Write(c.tb.Context(), websocket.MessageText, text); err != nil {
		c.tb.Fatal(err)
	}
}

// TrySend writes a frame, if the link has not ended.
func (c *Conn) TrySend(f devicelink.Frame) error {
	text, err := devicelink.Encode(f)
	if err != nil {
		return err
	}
	return c.conn.Write(c.tb.Context(), websocket.MessageText, text)
}

// Drain reads what comes until the link ends, however it does.
func (c *Conn) Drain() {
	for {
		if _, err := c.read(); err != nil {
			return
		}
	}
}

// Cut drops the connection without a word.
func (c *Conn) Cut() { _ = c.conn.CloseNow() }

// Receive returns the next frame, which must be an F.
func Receive[F devicelink.Frame](c *Conn) (f F) {
	c.tb.Helper()
	text, err := c.read()
	if err != nil {
		c.tb.Fatalf("want %T, got %v", f, err)
	}
	frame, err := devicelink.Decode(text)
	if err != nil {
		c.tb.Fatal(err)
	}
	f, ok := frame.(F)
	if !ok {
		c.tb.Fatalf("want %T, got %s", f, text)
	}
	return f
}

// Closed waits for the server to close the link, and returns how it did.
func (c *Conn) Closed() (devicelink.CloseCode, string) {
	c.tb.Helper()
	for {
		text, err := c.read()
		if err == nil {
			c.tb.Logf("before the close: %s", text)
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) {
			c.tb.Fatalf("want a close frame, got %v", err)
		}
		return devicelink.CloseCode(closed.Code), closed.Reason
	}
}

func (c *Conn) read() ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.tb.Context(), Patience)
	defer cancel()
	if c.closed != nil {
		return nil, c.closed
	}
	_, text, err := c.conn.Read(ctx)
	return text, err
}
