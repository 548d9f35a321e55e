package devicelink_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/typeid"
)

// attempts is how often each property is tried.
const attempts = 10_000

// link is a handshake as both sides saw it.
type link struct {
	challenge *devicelink.Challenge
	hello     *devicelink.Hello
	welcome   *devicelink.Welcome
}

// shaken is an honest handshake of the golden device with a server.
func shaken(name string, ring *devicelink.Keyring, as typeid.Device, key ed25519.PrivateKey) link {
	c := &devicelink.Challenge{
		Version: devicelink.Version, ServerName: name, Nonce: devicelink.NewNonce(),
	}
	h := &devicelink.Hello{
		Version: devicelink.Version, DeviceID: as, Nonce: devicelink.NewNonce(), LogEpoch: 1,
		At: goldenTime, KeysVersion: 1, KeyIDs: devicelink.KeyIDs(goldenServer.Public()),
	}
	h.Sign(key, c)
	w := &devicelink.Welcome{
		Epoch: 1, ServerTime: goldenTime, HeartbeatSeconds: 20,
		Doors: goldenFrames()["welcome"].(*devicelink.Welcome).Doors,
	}
	ring.Newest().Welcome(w, c, h)
	return link{c, h, w}
}

// TestHandshakesAreWorthNothingElsewhere replays, relays, reflects and talks down what was signed in
// other handshakes, in random mixtures of their parts: none proves anybody.
func TestHandshakesAreWorthNothingElsewhere(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(32, 1))
	ours := goldenServer.Public()
	public := goldenKey.Public().(ed25519.PublicKey)
	_, otherKey, err := ed25519.GenerateKey(nil)
	must(t, err)
	other := mustRing(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	recorded := []link{
		shaken(serverName, goldenServer, goldenDevice, goldenKey),
		shaken("doors.example.org", goldenServer, goldenDevice, goldenKey),
		shaken(serverName, other, goldenDevice, goldenKey),
		shaken(serverName, goldenServer, typeid.New[typeid.Device](), otherKey),
	}
	some := func() link { return recorded[random.IntN(len(recorded))] }
	for range attempts {
		fresh := shaken(serverName, goldenServer, goldenDevice, goldenKey)
		if !fresh.hello.SignedBy(public, fresh.challenge) ||
			!fresh.welcome.SignedBy(ours, fresh.challenge, fresh.hello) {
			t.Fatal("an honest handshake is refused")
		}
		// What comes in answer to the fresh challenge, and to the fresh hello.
		hello, welcome := *some().hello, *some().welcome
		if random.IntN(2) == 0 { // spliced
			hello.Nonce, hello.Version = fresh.hello.Nonce, random.IntN(3)
			hello.DeviceID = goldenDevice
			welcome.Epoch, welcome.ServerTime = fresh.welcome.Epoch, fresh.welcome.ServerTime
			welcome.KeyID = ours[0].ID
		}
		switch random.IntN(4) {
		case 0: // reflected
			hello.Signature, welcome.Signature = fresh.welcome.Signature, fresh.hello.Signature
		case 1:
			hello.Signature, welcome.Signature = welcome.Signature, hello.Signature
		}
		challenge := *fresh.challenge
		if random.IntN(4) == 0 { // talked down
			challenge.Version = random.IntN(3) - 1
			if challenge.Version == devicelink.Version {
				challenge.Version++
			}
			welcome = *fresh.welcome
		}
		if hello.SignedBy(public, fresh.challenge) {
			t.Fatalf("a hello of another link is taken: %+v", hello)
		}
		if welcome.SignedBy(ours, &challenge, fresh.hello) {
			t.Fatalf("a welcome of another link is taken: %+v", welcome)
		}
	}
}

// TestNothingSignedCanBeAltered alters what servers sign, field by field, at random.
func TestNothingSignedCanBeAltered(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(32, 2))
	frames := goldenFrames()
	challenge, hello := frames["challenge"].(*devicelink.Challenge), frames["hello"].(*devicelink.Hello)
	proves := func(f devicelink.Frame) bool {
		if w, ok := f.(*devicelink.Welcome); ok {
			return w.SignedBy(goldenServer.Public(), challenge, hello)
		}
		return devicelink.SignedBy(f.(devicelink.Order), goldenServer.Public(), goldenDevice)
	}
	read := 0
	for _, name := range []string{"welcome", "command", "config", "keys", "time", "rotated"} {
		honest, err := devicelink.Encode(frames[name])
		must(t, err)
		if !proves(frames[name]) {
			t.Fatalf("an honest %s is refused", name)
		}
		for range attempts / 5 {
			text := altered(t, random, honest)
			f, err := devicelink.Decode(text)
			if err != nil {
				continue
			}
			same, err := devicelink.Encode(f)
			must(t, err)
			if bytes.Equal(same, honest) {
				continue
			}
			if read++; proves(f) {
				t.Fatalf("altered, and taken:\n%s\n%s", honest, text)
			}
		}
	}
	if read < attempts/2 {
		t.Errorf("only %d of %d could be read at all", read, attempts)
	}
}

// altered gives one to three fields of a frame other values of their kind.
func altered(t *testing.T, random *rand.Rand, text []byte) []byte {
	t.Helper()
	var fields map[string]any
	must(t, json.Unmarshal(text, &fields))
	delete(fields, "type")
	for range 1 + random.IntN(3) {
		names := slices.Sorted(maps.Keys(fields))
		name := names[random.IntN(len(names))]
		fields[name] = other(random, name, fields[name])
	}
	var kind struct {
		Type string `json:"type"`
	}
	must(t, json.Unmarshal(text, &kind))
	fields["type"] = kind.Type
	out, err := json.Marshal(fields)
	must(t, err)
	return out
}

// other is another value of a field.
func other(random *rand.Rand, name string, value any) any {
	switch value := value.(type) {
	case float64:
		return float64(1 + random.IntN(255))
	case []any:
		if len(value) > 1 && random.IntN(2) == 0 {
			return value[:1+random.IntN(len(value)-1)]
		}
		item, ok := value[random.IntN(len(value))].(map[string]any)
		if !ok {
			return value
		}
		names := slices.Sorted(maps.Keys(item))
		field := names[random.IntN(len(names))]
		item[field] = other(random, field, item[field])
		return value
	}
	switch name {
	case "commandId":
		return typeid.New[typeid.Command]().String()
	case "organizationId":
		return typeid.New[typeid.Organization]().String()
	case "deviceId":
		return typeid.New[typeid.Device]().String()
	case "doorId":
		return typeid.New[typeid.Door]().String()
	case "verb":
		return []string{"LOCK", "UNLOCK"}[random.IntN(2)]
	case "mode":
		return []string{"CONTROLLED", "UNLOCKED", "LOCKED", "LOCKDOWN"}[random.IntN(4)]
	case "issuedAt", "notAfter", "serverTime":
		return goldenTime.Add(time.Duration(random.Int64N(1e12))).Format(time.RFC3339Nano)
	case "signature":
		var s devicelink.Signature
		text, _ := value.(string)
		_ = s.UnmarshalText([]byte(text))
		s[random.IntN(len(s))] ^= 1 << random.IntN(8)
		return s
	}
	return value
}
