package devicelink_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")

	c, welcome := linktest.Link(t, n.url, identity)
	if c.Challenge.ServerName != serverName || c.Challenge.Nonce == (devicelink.Nonce{}) {
		t.Errorf("challenge %+v", c.Challenge)
	}
	want := devicelink.Door{
		Port: 1, DoorID: gate.ID, Mode: door.ModeCONTROLLED, RelockSeconds: 1, HeldOpenSeconds: 30,
	}
	if welcome.Epoch != 1 || welcome.Sequence != 0 || len(welcome.Doors) != 1 ||
		welcome.Doors[0] != want || time.Since(welcome.ServerTime).Abs() > time.Minute {
		t.Errorf("welcome %+v", welcome)
	}
	if !b.online(identity.Device) {
		t.Error("the device is not online")
	}
	c.Cut()
	eventually(t, "offline", func() bool { return !b.online(identity.Device) })
	wantEvents(t, b.events(identity.Device), "device.disconnected")
}

func TestRefusedHellos(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	stranger, _ := b.newDevice(n, "Store")
	unknown := identity
	unknown.Device = typeid.New[typeid.Device]()

	var recorded *devicelink.Hello // of an earlier link
	{
		c := linktest.Dial(t, n.url, identity)
		recorded = c.Hello()
		c.Send(recorded)
		linktest.Receive[*devicelink.Welcome](c)
		c.Cut()
		eventually(t, "offline", func() bool { return !b.online(identity.Device) })
	}
	before := b.device(identity.Device).Epoch

	tests := map[string]struct {
		as    client.Identity
		alter func(*linktest.Conn, *devicelink.Hello)
		want  devicelink.CloseCode
	}{
		"unknown device": {unknown, nil, devicelink.CloseUnknownDevice},
		"another's key": {identity, func(c *linktest.Conn, h *devicelink.Hello) {
			h.Sign(stranger.Key, c.Challenge)
		}, devicelink.CloseUnknownDevice},
		"another's name": {stranger, func(_ *linktest.Conn, h *devicelink.Hello) {
			h.DeviceID = identity.Device
		}, devicelink.CloseUnknownDevice},
		"no signature": {identity, func(_ *linktest.Conn, h *devicelink.Hello) {
			h.Signature = devicelink.Signature{}
		}, devicelink.CloseUnknownDevice},
		"for another server": {identity, func(c *linktest.Conn, h *devicelink.Hello) {
			other := *c.Challenge
			other.ServerName = "doors.example.org"
			h.Sign(identity.Key, &other)
		}, devicelink.CloseUnknownDevice},
		"for another nonce": {identity, func(c *linktest.Conn, h *devicelink.Hello) {
			other := *c.Challenge
			other.Nonce[0]++
			h.Sign(identity.Key, &other)
		}, devicelink.CloseUnknownDevice},
		"own nonce changed": {identity, func(_ *linktest.Conn, h *devicelink.Hello) {
			h.Nonce[0]++
		}, devicelink.CloseUnknownDevice},
		"replayed": {identity, func(_ *linktest.Conn, h *devicelink.Hello) {
			*h = *recorded
		}, devicelink.CloseUnknownDevice},
		"other keys of ours named": {identity, func(_ *linktest.Conn, h *devicelink.Hello) {
			h.KeysVersion++
		}, devicelink.CloseUnknownDevice},
		"no key of ours": {identity, func(c *linktest.Conn, h *devicelink.Hello) {
			h.KeyIDs = []string{"00000000"}
			h.Sign(identity.Key, c.Challenge)
		}, devicelink.CloseNoCommonKey},
		"another version": {identity, func(c *linktest.Conn, h *devicelink.Hello) {
			h.Version = 2
			h.Sign(identity.Key, c.Challenge)
		}, devicelink.CloseProtocol},
		"log of before": {identity, func(_ *linktest.Conn, h *devicelink.Hello) {
			h.LogEpoch = 0
		}, devicelink.CloseProtocol},
	}
	for name, test := range tests {
		c := linktest.Dial(t, n.url, test.as)
		hello := c.Hello()
		if test.alter != nil {
			test.alter(c, hello)
		}
		c.Send(hello)
		if code, reason := c.Closed(); code != test.want {
			t.Errorf("%s: closed with %s: %s", name, code, reason)
		}
	}
	if now := b.device(identity.Device).Epoch; now != before {
		t.Errorf("%d refused hellos opened links", now-before)
	}
}

// TestRelayedHello: what a device answers one server's challenge with opens no link to another server,
// nor to the same one through another connection.
func TestRelayedHello(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, _ := b.newDevice(here, "Gate")
	for _, to := range []*node{here, there} {
		victim, relay := linktest.Dial(t, here.url, identity), linktest.Dial(t, to.url, identity)
		relay.Send(victim.Hello())
		if code, _ := relay.Closed(); code != devicelink.CloseUnknownDevice {
			t.Errorf("to %s: closed with %s", to.name, code)
		}
	}
	if epoch := b.device(identity.Device).Epoch; epoch != 0 {
		t.Errorf("%d links", epoch)
	}
}

// TestServerKeysRotate: a device that links while an old key stands beside the new one knows the new
// one from then on; one that does not is told that it has to be enrolled anew.
func TestServerKeysRotate(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	old, fresh := bytes.Repeat([]byte{1}, ed25519.SeedSize), bytes.Repeat([]byte{2}, ed25519.SeedSize)
	serve := func(name string, keys ...[]byte) *node {
		b.keys = mustRing(keys...)
		return b.serve(name)
	}
	before := serve("before", old)
	identity, gate := b.newDevice(before, "Gate")
	absent, _ := b.newDevice(before, "Cellar")
	between := serve("between", fresh, old)
	var kept client.Identity
	d := linktest.Start(t, sim.DeviceConfig{
		BaseURL: between.url, Identity: identity, Keep: func(now client.Identity) error {
			kept = now
			return nil
		},
	})
	b.unlockThrough(between, d, gate)
	must(t, d.Stop())
	if kept.KeysVersion != 2 || len(kept.ServerKeys) != 2 {
		t.Fatalf("kept %+v", kept)
	}
	d = linktest.Start(t, sim.DeviceConfig{BaseURL: before.url, Identity: kept}) // a node not yet changed
	b.unlockThrough(before, d, gate)
	must(t, d.Stop())

	after := serve("after", fresh)
	d = linktest.Start(t, sim.DeviceConfig{BaseURL: after.url, Identity: kept})
	b.unlockThrough(after, d, gate)
	away, _ := errors.AsType[client.GoneAwayError](
		linktest.Launch(t, sim.DeviceConfig{BaseURL: after.url, Identity: absent}).Ended())
	if away.Code != devicelink.CloseNoCommonKey {
		t.Errorf("the absent one was told %s", away.Code)
	}
}

func TestOlderLogIsRefused(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	greet := func(logEpoch int64) *linktest.Conn {
		c := linktest.Dial(t, n.url, identity)
		hello := c.Hello()
		hello.LogEpoch = logEpoch
		c.Send(hello)
		return c
	}
	linktest.Receive[*devicelink.Welcome](greet(7))
	if code, _ := greet(6).Closed(); code != devicelink.CloseStaleLog || code.Reconnect() {
		t.Errorf("closed with %s", code)
	}
	linktest.Receive[*devicelink.Welcome](greet(8))
}

func TestProtocolErrors(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	report := func(rest string) string {
		return `{"type":"report","sequence":1,"at":"2026-03-02T09:00:59Z",` + rest + `}`
	}
	tooLarge := `{"type":"` + strings.Repeat("x", devicelink.MaxFrame) + `"}`
	for name, test := range map[string]struct {
		text  string
		hello bool // after the handshake
		want  devicelink.CloseCode
	}{
		"not JSON":            {"open sesame", false, devicelink.CloseProtocol},
		"report before hello": {report(`"event":"door.opened"`), false, devicelink.CloseProtocol},
		"malformed":           {`{"type":"report","sequence":1`, true, devicelink.CloseProtocol},
		"unknown type":        {`{"type":"open","doorId":"x"}`, true, devicelink.CloseProtocol},
		"unknown field":       {report(`"event":"door.opened","pin":"1234"`), true, devicelink.CloseProtocol},
		"a server's frame":    {`{"type":"ack","sequence":1}`, true, devicelink.CloseProtocol},
		"too large":           {tooLarge, true, devicelink.CloseTooBig},
		"too large a hello":   {tooLarge, false, devicelink.CloseTooBig},
		"type not reportable": {report(`"event":"key.created"`), true, devicelink.CloseReportRefused},
		"type of no event":    {report(`"event":"door.sang"`), true, devicelink.CloseReportRefused},
	} {
		identity, _ := b.newDevice(n, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := linktest.Dial(t, n.url, identity)
			if test.hello {
				c.Send(c.Hello())
				linktest.Receive[*devicelink.Welcome](c)
			}
			c.SendText([]byte(test.text))
			code, reason := c.Closed()
			if code != test.want || strings.Contains(reason, "1234") {
				t.Errorf("closed with %s: %s", code, reason)
			}
			if rows := b.device(identity.Device).LastSequence; rows != 0 {
				t.Errorf("recorded up to %d", rows)
			}
		})
	}
}

func TestClaimCodeIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	place, err := b.office.CreateDevice(b.admin,
		access.CreateDeviceInput{SiteID: b.site, Name: "Gate"})
	must(t, err)
	as := client.Hardware{Serial: "S-1", Model: "L4", Firmware: "1.0"}
	for _, code := range []string{"0000-0000-0000-0000", "no such code"} {
		wantRefusal(t, n.url, code, as, http.StatusNotFound, "NOT_FOUND")
	}
	identity, err := client.Enrol(t.Context(), n.url, place.ClaimCode, as)
	must(t, err)
	if identity.Device != place.Device.ID || identity.ServerName != serverName ||
		identity.LinkURL != devicelink.LinkPath {
		t.Errorf("enrolled as %+v", identity)
	}
	wantRefusal(t, n.url, place.ClaimCode, as, http.StatusNotFound, "NOT_FOUND")
	linktest.Link(t, n.url, identity)
}

func wantRefusal(t *testing.T, url, code string, as client.Hardware, status int, want access.Code) {
	t.Helper()
	_, err := client.Enrol(t.Context(), url, code, as)
	var refused client.RefusedError
	if !errors.As(err, &refused) || refused.Status != status || refused.Code != want {
		t.Errorf("code %q: %v", code, err)
	}
}

func TestMalformedEnrolments(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	place, err := b.office.CreateDevice(b.admin,
		access.CreateDeviceInput{SiteID: b.site, Name: "Gate"})
	must(t, err)
	claim := devicelink.Enrolment{
		ClaimCode: place.ClaimCode, Serial: "S-1", Model: "L4", Firmware: "1.0",
	}
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	claim.Sign(key)
	unproved, nameless := claim, claim
	unproved.PublicKey[0] ^= 1
	nameless.Serial = ""
	good, err := json.Marshal(claim)
	must(t, err)
	for _, body := range map[string]any{
		"not JSON":      json.RawMessage(`"claim"`),
		"unknown field": json.RawMessage(strings.Replace(string(good), "{", `{"admin":true,`, 1)),
		"wrong proof":   unproved,
		"no serial":     nameless,
		"too large":     json.RawMessage(`{"serial":"` + strings.Repeat("x", 8<<10) + `"}`),
	} {
		text, err := json.Marshal(body)
		must(t, err)
		wantStatus(t, http.MethodPost, n.url+devicelink.EnrolPath, string(text), nil,
			http.StatusBadRequest)
	}
	wantStatus(t, http.MethodGet, n.url+devicelink.EnrolPath, "", nil, http.StatusMethodNotAllowed)
	wantStatus(t, http.MethodGet, n.url+"/devices/v1/other", "", nil, http.StatusNotFound)
	wantStatus(t, http.MethodPost, n.url+devicelink.EnrolPath, string(good),
		http.Header{"Origin": {"https://page.example"}}, http.StatusForbidden)
	wantStatus(t, http.MethodPost, n.url+devicelink.EnrolPath, string(good), nil,
		http.StatusCreated) // what was refused above burnt no code
}

func TestWhoMayUpgrade(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	link := n.url + devicelink.LinkPath
	wantStatus(t, http.MethodGet, link, "", nil, http.StatusBadRequest)
	wantStatus(t, http.MethodGet, link, "", upgrade, http.StatusBadRequest)
	upgrade.Set("Sec-Websocket-Protocol", "graphql-transport-ws, "+devicelink.Subprotocol)
	wantStatus(t, http.MethodGet, link, "", upgrade, http.StatusSwitchingProtocols)
	upgrade.Set("Origin", n.url)
	wantStatus(t, http.MethodGet, link, "", upgrade, http.StatusForbidden)
	upgrade.Del("Origin")
	n.stop()
	wantStatus(t, http.MethodGet, link, "", upgrade, http.StatusServiceUnavailable)
}

func wantStatus(t *testing.T, method, url, body string, header http.Header, want int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	if header != nil {
		request.Header = header
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	must(t, err)
	defer response.Body.Close() //nolint:errcheck // a test
	if response.StatusCode != want {
		text := []byte("…")
		if want != http.StatusSwitchingProtocols {
			text, _ = io.ReadAll(response.Body)
		}
		t.Errorf("%s %s: %d, want %d: %s", method, url, response.StatusCode, want, text)
	}
}
