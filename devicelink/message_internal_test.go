package devicelink

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/typeid"
)

// TestMessagesAreGolden: nodes of two releases talk to each other while one replaces the other.
func TestMessagesAreGolden(t *testing.T) {
	t.Parallel()
	device, _ := typeid.Parse[typeid.Device]("device_01k9e6x0v2e8h9rq4m7c3w5z1t")
	org, _ := typeid.Parse[typeid.Organization]("org_01k9e6x0v1d7g8qp3k6b2v4y0s")
	door, _ := typeid.Parse[typeid.Door]("door_01k9e6x0v3f0rbn5tq8s2y6d4g")
	ordered, _ := typeid.Parse[typeid.Command]("cmd_01k9e72k5ye3prcz6d8f1h3n7q")
	issued := time.Date(2026, 3, 2, 9, 1, 58, 125_000_000, time.UTC)
	for name, m := range map[string]message{
		"dispatch": {Ask: askDispatch, Device: device, Dispatch: &access.Dispatch{
			Organization: org, Device: device, Command: ordered, Door: door, Port: 1,
			Verb: command.VerbUNLOCK, Seconds: 5, IssuedAt: issued,
			NotAfter: issued.Add(10 * time.Second),
		}},
		"configure":  {Ask: askConfigure, Device: device},
		"renew":      {Ask: askRenew, Device: device},
		"disconnect": {Ask: askDisconnect, Device: device},
		"supersede":  {Ask: askSupersede, Device: device, Epoch: 18},
	} {
		text, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile("testdata/messages/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, file); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, want.Bytes()) {
			t.Errorf("%s encodes to\n%s\nwant\n%s", name, text, want.Bytes())
		}
		decoded, err := decodeMessage(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again, _ := decoded.encode(); !bytes.Equal(again, text) {
			t.Errorf("%s becomes %s", text, again)
		}
	}
	for name, text := range map[string]string{
		"a later version":     `{"version":2,"ask":"SUPERSEDE","deviceId":"` + device.String() + `"}`,
		"dispatch of nothing": `{"version":1,"ask":"DISPATCH","deviceId":"` + device.String() + `"}`,
		"nobody's":            `{"version":1,"ask":"CONFIGURE"}`,
		"with something more": `{"version":1,"ask":"CONFIGURE","deviceId":"` + device.String() + `","x":1}`,
		"not even a message":  `unlock`,
	} {
		if m, err := decodeMessage([]byte(text)); err == nil {
			t.Errorf("%s: decoded as %+v", name, m)
		}
	}
}
