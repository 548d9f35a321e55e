package client_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

const (
	serverName = "doors.example.com"
	patience   = 20 * time.Second
)

// server is one that a test has every frame of, honest or not.
type server struct {
	tb    testing.TB
	keys  *devicelink.Keyring
	url   string
	links chan *conn
}

// conn is a device's connection to it.
type conn struct {
	*server
	ws    *websocket.Conn
	ended chan struct{}
}

func newServer(tb testing.TB, seed byte) *server {
	tb.Helper()
	s := &server{tb: tb, keys: ring(tb, seed), links: make(chan *conn)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r,
			&websocket.AcceptOptions{Subprotocols: []string{devicelink.Subprotocol}})
		if err != nil {
			return
		}
		c := &conn{server: s, ws: ws, ended: make(chan struct{})}
		select {
		case s.links <- c:
			<-c.ended
		case <-tb.Context().Done():
		}
		_ = ws.CloseNow()
	}))
	tb.Cleanup(front.Close)
	s.url = front.URL
	return s
}

func ring(tb testing.TB, seed byte) *devicelink.Keyring {
	tb.Helper()
	k, err := devicelink.NewKeyring(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	must(tb, err)
	return k
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// link waits for a device's connection; it ends with the test.
func (s *server) link() *conn {
	s.tb.Helper()
	select {
	case c := <-s.links:
		s.tb.Cleanup(c.end)
		return c
	case <-time.After(patience):
		s.tb.Fatal("no device has come")
		return nil
	}
}

func (c *conn) end() {
	select {
	case <-c.ended:
	default:
		close(c.ended)
	}
}

func (c *conn) send(f devicelink.Frame) {
	c.tb.Helper()
	text, err := devicelink.Encode(f)
	must(c.tb, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(c.tb, c.ws.Write(ctx, websocket.MessageText, text))
}

// next is the device's next frame, or nil once it has closed.
func (c *conn) next() devicelink.Frame {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, text, err := c.ws.Read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			c.tb.Error("the device neither speaks nor closes")
		}
		return nil
	}
	f, err := devicelink.Decode(text)
	must(c.tb, err)
	return f
}

// handshake is one as far as the hello.
func (c *conn) handshake() (*devicelink.Challenge, *devicelink.Hello) {
	c.tb.Helper()
	challenge := &devicelink.Challenge{
		Version: devicelink.Version, ServerName: serverName, Nonce: devicelink.NewNonce(),
	}
	c.send(challenge)
	hello, ok := c.next().(*devicelink.Hello)
	if !ok {
		c.tb.Fatal("no hello")
	}
	return challenge, hello
}

var gate = devicelink.Door{
	Port: 1, DoorID: typeid.New[typeid.Door](), Mode: door.ModeCONTROLLED, RelockSeconds: 5,
	HeldOpenSeconds: 30,
}

// opened is a door that stands unlocked.
func opened() devicelink.Door {
	is := gate
	is.Mode = door.ModeUNLOCKED
	return is
}

func welcome(epoch int64, is devicelink.Door) *devicelink.Welcome {
	return &devicelink.Welcome{
		Epoch: epoch, ServerTime: time.Now().UTC(), HeartbeatSeconds: 20,
		Doors: []devicelink.Door{is},
	}
}

// power runs a device that has enrolled with the server.
func (s *server) power() (*sim.Device, client.Identity) {
	s.tb.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	must(s.tb, err)
	as := client.Identity{
		Device: typeid.New[typeid.Device](), Organization: typeid.New[typeid.Organization](),
		LinkURL: devicelink.LinkPath, ServerName: serverName, Key: key,
		ServerKeys: s.keys.Public(), KeysVersion: 1,
	}
	d := sim.NewDevice(sim.DeviceConfig{
		BaseURL: s.url, Identity: as, Movement: time.Millisecond, Longest: 10 * time.Millisecond,
	})
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	s.tb.Cleanup(func() {
		stop()
		<-ran
	})
	return d, as
}

// TestHostileHandshakes: a device closes, and does nothing, whatever is wrong with whom it reached.
func TestHostileHandshakes(t *testing.T) {
	t.Parallel()
	stranger := ring(t, 2)
	for name, attack := range map[string]func(c *conn){
		"a stranger's welcome": func(c *conn) {
			challenge, hello := c.handshake()
			w := welcome(1, opened())
			stranger.Newest().Welcome(w, challenge, hello)
			c.send(w)
		},
		"a stranger's, under our key's name": func(c *conn) {
			challenge, hello := c.handshake()
			w := welcome(1, opened())
			stranger.Newest().Welcome(w, challenge, hello)
			w.KeyID = c.keys.Public()[0].ID
			c.send(w)
		},
		"altered": func(c *conn) {
			challenge, hello := c.handshake()
			w := welcome(1, gate)
			c.keys.Newest().Welcome(w, challenge, hello)
			w.Doors[0].Mode = door.ModeUNLOCKED
			c.send(w)
		},
		"replayed": func(c *conn) {
			challenge, hello := c.handshake()
			w := welcome(1, opened())
			hello.Nonce = devicelink.NewNonce() // of an earlier link
			c.keys.Newest().Welcome(w, challenge, hello)
			c.send(w)
		},
		"reflected": func(c *conn) {
			_, hello := c.handshake()
			w := welcome(1, opened())
			w.KeyID, w.Signature = c.keys.Public()[0].ID, hello.Signature
			c.send(w)
		},
		"relayed from another device's link": func(c *conn) {
			challenge, hello := c.handshake()
			w := welcome(1, opened())
			hello.DeviceID = typeid.New[typeid.Device]()
			c.keys.Newest().Welcome(w, challenge, hello)
			c.send(w)
		},
		"relayed from another server": func(c *conn) {
			challenge := &devicelink.Challenge{
				Version: devicelink.Version, ServerName: "doors.example.org",
				Nonce: devicelink.NewNonce(),
			}
			c.send(challenge)
		},
		"talked down": func(c *conn) {
			text := `{"type":"challenge","version":0,"serverName":"` + serverName +
				`","nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`
			_ = c.ws.Write(context.Background(), websocket.MessageText, []byte(text))
		},
		"no handshake": func(c *conn) {
			c.send(&devicelink.Ack{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, 1)
			d, _ := s.power()
			for range 2 {
				c := s.link()
				attack(c)
				if f := c.next(); f != nil {
					t.Errorf("the device goes on with a %T", f)
				}
				c.end()
			}
			if state := d.State(); state.Links != 0 || len(state.Doors) != 0 {
				t.Errorf("it is linked: %+v", state)
			}
		})
	}
}

// TestHostileOrders sends a device that is linked what its server did not sign, or not for now. What
// the server did sign comes through in between.
func TestHostileOrders(t *testing.T) {
	t.Parallel()
	s, stranger := newServer(t, 1), ring(t, 2)
	d, as := s.power()
	c := s.link()
	challenge, hello := c.handshake()
	w := welcome(7, gate)
	s.keys.Newest().Welcome(w, challenge, hello)
	c.send(w)
	order := func() *devicelink.Command {
		now := time.Now().UTC().Truncate(time.Microsecond)
		return &devicelink.Command{
			CommandID: typeid.New[typeid.Command](), OrganizationID: as.Organization,
			DeviceID: as.Device, DoorID: gate.DoorID, Port: 1, Verb: command.VerbUNLOCK, Seconds: 5,
			IssuedAt: now, NotAfter: now.Add(10 * time.Second),
		}
	}
	signed := func(f devicelink.Order, epoch, sequence int64) devicelink.Order {
		s.keys.Newest().Order(f, as.Device, epoch, sequence)
		return f
	}
	first, late, foreign := order(), order(), order()
	late.IssuedAt, late.NotAfter = late.IssuedAt.Add(-20*time.Second), late.NotAfter.Add(-20*time.Second)
	foreign.OrganizationID = typeid.New[typeid.Organization]()
	forged := order()
	stranger.Newest().Order(forged, as.Device, 7, 5)
	open := &devicelink.Config{Doors: []devicelink.Door{opened()}}
	stranger.Newest().Order(open, as.Device, 7, 5)
	last := order()
	for _, f := range []devicelink.Order{
		signed(first, 7, 1), first, order(), forged, open, signed(order(), 6, 2),
		signed(foreign, 7, 2), signed(late, 7, 3), signed(order(), 7, 3), signed(last, 7, 4),
	} {
		if c.tb.Failed() {
			break
		}
		if devicelink.SignedOf(f).KeyID == "" { // a frame must name some key to be one
			stranger.Newest().Order(f, as.Device, 7, 9)
			f.(*devicelink.Command).Signature = devicelink.Signature{}
		}
		c.send(f)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	state, err := d.Until(ctx, func(s sim.State) bool { return len(s.Obeyed) == 2 })
	must(t, err)
	if state.Obeyed[0] != first.CommandID || state.Obeyed[1] != last.CommandID ||
		len(state.Late) != 1 || state.Late[0] != late.CommandID ||
		state.Doors[1].Door.Mode != door.ModeCONTROLLED {
		t.Errorf("%+v", state)
	}
	var said []string
	for len(said) < 6 { // the door as it is; two unlocks with two results each; one late; one refusal
		switch f := c.next().(type) {
		case *devicelink.Report:
			said = append(said, f.Event)
		case *devicelink.Result:
			said = append(said, string(f.Stage))
		default:
			t.Fatalf("%T after %v", f, said)
		}
	}
	if all := strings.Join(said, " "); strings.Count(all, "device.order_refused") != 1 {
		t.Errorf("said %s", all)
	}
}

// TestServerKeysAreReplaced: the device keeps the new keys before it heeds what they sign.
func TestServerKeysAreReplaced(t *testing.T) {
	t.Parallel()
	s, next := newServer(t, 1), ring(t, 2)
	var kept []client.Identity
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	heard := make(chan devicelink.Frame, 10)
	as := client.Identity{
		Device: typeid.New[typeid.Device](), ServerName: serverName, Key: key,
		ServerKeys: s.keys.Public(), KeysVersion: 1,
	}
	link := client.New(client.Config{
		BaseURL: s.url, Identity: as, Log: client.NewLog(1), Device: listener{heard},
		Longest: 10 * time.Millisecond, Keep: func(now client.Identity) error {
			kept = append(kept, now)
			return nil
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- link.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ran
	})
	c := s.link()
	challenge, hello := c.handshake()
	w := welcome(1, gate)
	s.keys.Newest().Welcome(w, challenge, hello)
	c.send(w)
	given := &devicelink.Keys{Version: 2, ServerKeys: next.Public()}
	s.keys.Newest().Order(given, as.Device, 1, 1)
	config := &devicelink.Config{Doors: []devicelink.Door{gate}}
	next.Newest().Order(config, as.Device, 1, 2)
	c.send(given)
	c.send(config)
	<-heard
	if f, ok := (<-heard).(*devicelink.Config); !ok {
		t.Errorf("heard %T", f)
	}
	if len(kept) != 1 || kept[0].KeysVersion != 2 || kept[0].ServerKeys[0] != next.Public()[0] {
		t.Errorf("kept %+v", kept)
	}
	c.end()
	_, hello = s.link().handshake()
	if hello.KeysVersion != 2 || hello.KeyIDs[0] != next.Public()[0].ID {
		t.Errorf("hello %+v", hello)
	}
}

// listener hears what a link says.
type listener struct{ heard chan devicelink.Frame }

func (listener) Linked(*devicelink.Welcome)      {}
func (l listener) Heard(f devicelink.Frame)      { l.heard <- f }
func (listener) Unlinked(_ devicelink.CloseCode) {}
