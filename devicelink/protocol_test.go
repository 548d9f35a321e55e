package devicelink_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

var update = flag.Bool("update", false, "write the golden files and the document anew")

// The golden device has the key of RFC 8032, test 1, and nonces that nobody draws.
var (
	goldenKey = ed25519.NewKeyFromSeed([]byte{
		0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
		0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
	})
	// The golden server has that of test 2.
	goldenServer = mustRing([]byte{
		0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
		0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
	})
	// The golden device's next key is that of test 3.
	goldenNextKey = ed25519.NewKeyFromSeed([]byte{
		0xc5, 0xaa, 0x8d, 0xf4, 0x3f, 0x9f, 0x83, 0x7b, 0xed, 0xb7, 0x44, 0x2f, 0x31, 0xdc, 0xb7, 0xb1,
		0x66, 0xd3, 0x85, 0x35, 0x07, 0x6f, 0x09, 0x4b, 0x85, 0xce, 0x3a, 0x2e, 0x0b, 0x44, 0x58, 0xf7,
	})
	goldenOrg     = mustParse[typeid.Organization]("org_01k9e6x0v19q1vmfn0dx3h8r5c")
	goldenDevice  = mustParse[typeid.Device]("device_01k9e6x0v2e8h9rq4m7c3w5z1t")
	goldenDoor    = mustParse[typeid.Door]("door_01k9e6x0v3f0rbn5tq8s2y6d4g")
	goldenDoor2   = mustParse[typeid.Door]("door_01k9e6x0v3f0rbn5tq8s2y6d4h")
	goldenUser    = mustParse[typeid.User]("user_01k9e6x0v4fpgs7xa1vw4k8j2m")
	goldenCommand = mustParse[typeid.Command]("cmd_01k9e72k5ye3prcz6d8f1h3n7q")
	goldenTime    = time.Date(2026, 3, 2, 8, 59, 59, 125_000_000, time.UTC)
)

func mustParse[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](text string) (v T) {
	if err := P(&v).UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return v
}

func mustRing(seeds ...[]byte) *devicelink.Keyring {
	ring, err := devicelink.NewKeyring(seeds...)
	if err != nil {
		panic(err)
	}
	return ring
}

func goldenNonce(first byte) (n devicelink.Nonce) {
	for i := range n {
		n[i] = first + byte(i)
	}
	return n
}

func goldenFrames() map[string]devicelink.Frame {
	challenge := &devicelink.Challenge{
		Version: 1, ServerName: "doors.example.com", Nonce: goldenNonce(0x00),
	}
	hello := &devicelink.Hello{
		Version: 1, DeviceID: goldenDevice, Nonce: goldenNonce(0x80), LogEpoch: 1,
		Firmware: "2.4.1", At: goldenTime,
		KeysVersion: 1, KeyIDs: devicelink.KeyIDs(goldenServer.Public()),
	}
	hello.Sign(goldenKey, challenge)
	doors := []devicelink.Door{
		{Port: 1, DoorID: goldenDoor, Mode: door.ModeCONTROLLED, RelockSeconds: 5, HeldOpenSeconds: 30},
		{Port: 2, DoorID: goldenDoor2, Mode: door.ModeLOCKED, RelockSeconds: 3, HeldOpenSeconds: 60},
	}
	welcome := &devicelink.Welcome{
		Epoch: 17, Sequence: 4710, ServerTime: goldenTime.Add(31 * time.Millisecond),
		HeartbeatSeconds: 20, Doors: doors,
	}
	server := goldenServer.Newest()
	server.Welcome(welcome, challenge, hello)
	unlock := &devicelink.Command{
		CommandID: goldenCommand, OrganizationID: goldenOrg, DeviceID: goldenDevice,
		DoorID: goldenDoor, Port: 1, Verb: command.VerbUNLOCK, Seconds: 5,
		IssuedAt: goldenTime.Add(119 * time.Second), NotAfter: goldenTime.Add(129 * time.Second),
	}
	config := &devicelink.Config{Doors: doors[:1]}
	keys := &devicelink.Keys{Version: 2, ServerKeys: goldenServer.Public()}
	told := &devicelink.Time{
		ServerTime: goldenTime.Add(61 * time.Second), HeardAt: goldenTime.Add(1100 * time.Millisecond),
	}
	rotate := &devicelink.Rotate{}
	rotate.Sign(goldenKey, goldenNextKey, goldenDevice, 17)
	renew, rotated := &devicelink.Renew{}, &devicelink.Rotated{PublicKey: rotate.PublicKey}
	for i, order := range []devicelink.Order{keys, unlock, config, told, renew, rotated} {
		server.Order(order, goldenDevice, 17, int64(i+1))
	}
	return map[string]devicelink.Frame{
		"challenge": challenge,
		"hello":     hello,
		"welcome":   welcome,
		"report": &devicelink.Report{
			Sequence: 4711, At: goldenTime.Add(time.Minute), Port: 1, Event: "access.granted",
			UserID: goldenUser, Method: event.MethodCARD, Outcome: event.OutcomeGRANTED,
			Reason: schema.ReasonGranted, LockState: door.LockStateLOCKED,
			Position: door.PositionCLOSED, Data: json.RawMessage(`{"reader":"in"}`), Buffered: true,
		},
		"result": &devicelink.Result{
			Sequence: 4712, At: goldenTime.Add(2 * time.Minute), CommandID: goldenCommand, Port: 1,
			Stage: command.StageCONFIRMED, Confirmation: command.ConfirmationLOCK_STATE,
			LockState: door.LockStateUNLOCKED, Position: door.PositionCLOSED,
		},
		"result-failed": &devicelink.Result{
			Sequence: 4713, At: goldenTime.Add(3 * time.Minute), CommandID: goldenCommand, Port: 1,
			Stage: command.StageFAILED, Reason: schema.ReasonJammed,
			LockState: door.LockStateJAMMED, Buffered: true,
		},
		"ack":     &devicelink.Ack{Sequence: 4712},
		"command": unlock,
		"config":  config,
		"keys":    keys,
		"time":    told,
		"clock":   &devicelink.Clock{Answers: 4, At: goldenTime.Add(61 * time.Second)},
		"renew":   renew,
		"rotate":  rotate,
		"rotated": rotated,
	}
}

func golden(t *testing.T, name string, encoded []byte) []byte {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, encoded, "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, indented.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, indented.Bytes()) {
		t.Errorf("%s encodes to\n%s\nwant\n%s", name, indented.Bytes(), want)
	}
	return want
}

func TestFramesAreGolden(t *testing.T) { // before the parallel tests: it may write files
	for name, frame := range goldenFrames() {
		encoded, err := devicelink.Encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := devicelink.Decode(golden(t, name, encoded))
		if err != nil {
			t.Errorf("decode %s: %v", name, err)
			continue
		}
		again, err := devicelink.Encode(decoded)
		if err != nil || !bytes.Equal(again, encoded) || reflect.TypeOf(decoded) != reflect.TypeOf(frame) {
			t.Errorf("%s became %s (%v)", encoded, again, err)
		}
	}
}

func TestEnrolmentIsGolden(t *testing.T) { // before the parallel tests: it may write files
	claim := devicelink.Enrolment{
		ClaimCode: "7K2M-9QXV-0D4T-HB3R", Serial: "L4-004211", Model: "L4", Firmware: "2.4.1",
	}
	claim.Sign(goldenKey)
	for name, body := range map[string]any{
		"enrolment": claim,
		"enrolled": devicelink.Enrolled{
			DeviceID: goldenDevice, OrganizationID: goldenOrg, LinkURL: devicelink.LinkPath,
			ServerName: "doors.example.com", ServerKeys: goldenServer.Public(),
		},
		"refusal": devicelink.Refusal{
			Code: "NOT_FOUND", Message: "no such claim code", Field: "claimCode",
		},
	} {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, encoded)
	}
}

// joined is a transcript as the document describes it.
func joined(parts ...string) (bytes []byte) {
	for _, part := range parts {
		bytes = append(bytes, 0, 0, 0, byte(len(part)))
		bytes = append(bytes, part...)
	}
	return bytes
}

// goldenTranscripts are what the golden frames sign, built from the words of docs/protocol.md alone.
func goldenTranscripts(t *testing.T) map[string][]byte {
	t.Helper()
	challenge := goldenFrames()["challenge"].(*devicelink.Challenge)
	hello := goldenFrames()["hello"].(*devicelink.Hello)
	id := goldenServer.Public()[0].ID
	link := []string{"1", "doors.example.com", goldenDevice.String(),
		string(challenge.Nonce[:]), string(hello.Nonce[:])}
	hashed := func(frame, field string) string {
		text, err := devicelink.Encode(goldenFrames()[frame])
		must(t, err)
		var fields map[string]json.RawMessage
		must(t, json.Unmarshal(text, &fields))
		sum := sha256.Sum256(fields[field])
		return string(sum[:])
	}
	return map[string][]byte{
		"hello": joined(slices.Concat([]string{"cardea.device.v1 hello"}, link, []string{"1", id})...),
		"welcome": joined(slices.Concat([]string{"cardea.device.v1 welcome"}, link, []string{
			"17", "4710", "2026-03-02T08:59:59.156Z", "20", hashed("welcome", "doors"), id})...),
		"keys": joined("cardea.device.v1 keys", goldenDevice.String(), "2",
			hashed("keys", "serverKeys"), "17", "1", id),
		"command": joined("cardea.device.v1 command", goldenCommand.String(), goldenOrg.String(),
			goldenDevice.String(), goldenDoor.String(), "1", "UNLOCK", "5",
			"2026-03-02T09:01:58.125Z", "2026-03-02T09:02:08.125Z", "17", "2", id),
		"config": joined("cardea.device.v1 config", goldenDevice.String(),
			hashed("config", "doors"), "17", "3", id),
		"time": joined("cardea.device.v1 time", goldenDevice.String(),
			"2026-03-02T09:01:00.125Z", "2026-03-02T09:00:00.225Z", "17", "4", id),
		"renew": joined("cardea.device.v1 renew", goldenDevice.String(), "17", "5", id),
		"rotate": joined("cardea.device.v1 rotate", goldenDevice.String(), "17",
			string(goldenNextKey.Public().(ed25519.PublicKey))),
		"rotated": joined("cardea.device.v1 rotated", goldenDevice.String(),
			string(goldenNextKey.Public().(ed25519.PublicKey)), "17", "6", id),
	}
}

func TestSignedBytesAreGolden(t *testing.T) {
	t.Parallel()
	public := goldenKey.Public().(ed25519.PublicKey)
	server := goldenServer.Public()[0].PublicKey
	transcripts, frames := goldenTranscripts(t), goldenFrames()
	for name, signature := range map[string]devicelink.Signature{
		"welcome": frames["welcome"].(*devicelink.Welcome).Signature,
		"keys":    frames["keys"].(*devicelink.Keys).Signature,
		"command": frames["command"].(*devicelink.Command).Signature,
		"config":  frames["config"].(*devicelink.Config).Signature,
		"time":    frames["time"].(*devicelink.Time).Signature,
		"renew":   frames["renew"].(*devicelink.Renew).Signature,
		"rotated": frames["rotated"].(*devicelink.Rotated).Signature,
	} {
		if !ed25519.Verify(server[:], transcripts[name], signature[:]) {
			t.Errorf("a %s signs something else than the document says", name)
		}
	}
	hello := frames["hello"].(*devicelink.Hello)
	if !ed25519.Verify(public, transcripts["hello"], hello.Signature[:]) {
		t.Error("a hello signs something else than the document says")
	}
	claim := devicelink.Enrolment{ClaimCode: "7K2M-9QXV-0D4T-HB3R"}
	claim.Sign(goldenKey)
	signed := joined("cardea.device.v1 enrol", "7K2M-9QXV-0D4T-HB3R")
	if !ed25519.Verify(public, signed, claim.Proof[:]) {
		t.Error("a proof signs something else than the document says")
	}
	if base64.StdEncoding.EncodeToString(public) != "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" {
		t.Error("the key is not that of RFC 8032, test 1")
	}
	if base64.StdEncoding.EncodeToString(server[:]) != "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=" {
		t.Error("the server's key is not that of RFC 8032, test 2")
	}
}

func TestHelloIsBoundToItsLink(t *testing.T) {
	t.Parallel()
	public := goldenKey.Public().(ed25519.PublicKey)
	for name, alter := range map[string]func(*devicelink.Hello, *devicelink.Challenge){
		"version":      func(h *devicelink.Hello, _ *devicelink.Challenge) { h.Version = 0 },
		"device":       func(h *devicelink.Hello, _ *devicelink.Challenge) { h.DeviceID = typeid.New[typeid.Device]() },
		"device nonce": func(h *devicelink.Hello, _ *devicelink.Challenge) { h.Nonce[31] ^= 1 },
		"signature":    func(h *devicelink.Hello, _ *devicelink.Challenge) { h.Signature[0] ^= 1 },
		"keys version": func(h *devicelink.Hello, _ *devicelink.Challenge) { h.KeysVersion++ },
		"server key":   func(h *devicelink.Hello, _ *devicelink.Challenge) { h.KeyIDs[0] = "00000000" },
		"server name":  func(_ *devicelink.Hello, c *devicelink.Challenge) { c.ServerName = "doors.example.org" },
		"server nonce": func(_ *devicelink.Hello, c *devicelink.Challenge) { c.Nonce[0] ^= 1 },
		"nonces swapped": func(h *devicelink.Hello, c *devicelink.Challenge) {
			h.Nonce, c.Nonce = c.Nonce, h.Nonce
		},
	} {
		frames := goldenFrames()
		challenge, hello := frames["challenge"].(*devicelink.Challenge), frames["hello"].(*devicelink.Hello)
		if !hello.SignedBy(public, challenge) {
			t.Fatal("the golden hello is not signed")
		}
		if alter(hello, challenge); hello.SignedBy(public, challenge) {
			t.Errorf("another %s has the same signature", name)
		}
	}
	if goldenFrames()["hello"].(*devicelink.Hello).SignedBy(nil, goldenFrames()["challenge"].(*devicelink.Challenge)) {
		t.Error("a device without a key has signed")
	}
}

func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	frames := map[string]string{}
	for name, frame := range goldenFrames() {
		text, err := devicelink.Encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		frames[name] = string(text)
	}
	swap := func(frame, old, with string) string {
		text := strings.Replace(frames[frame], old, with, 1)
		if text == frames[frame] {
			t.Fatalf("%s has no %s", frame, old)
		}
		return text
	}
	serverID := goldenServer.Public()[0].ID
	for name, text := range map[string]string{
		"empty":                "",
		"not JSON":             "unlock",
		"not an object":        `["ack"]`,
		"cut short":            frames["report"][:40],
		"two values":           frames["ack"] + frames["ack"],
		"not UTF-8":            swap("hello", "2.4.1", "2.4\xff1"),
		"no type":              `{"sequence":1}`,
		"unknown type":         `{"type":"open","sequence":1}`,
		"type of another":      `{"type":"ack","at":"2026-03-02T08:59:59Z","sequence":1}`,
		"type not a string":    `{"type":5,"sequence":1}`,
		"unknown field":        swap("ack", `"sequence"`, `"more":1,"sequence"`),
		"field twice":          swap("ack", `"sequence"`, `"sequence":9,"sequence"`),
		"other spelling":       swap("ack", `"sequence"`, `"Sequence"`),
		"type in capitals":     swap("ack", `"type"`, `"TYPE"`),
		"sequence text":        swap("ack", "4712", `"4712"`),
		"sequence fraction":    swap("ack", "4712", "4712.5"),
		"sequence zero":        swap("report", "4711", "0"),
		"sequence huge":        swap("report", "4711", "9007199254740993"),
		"no time":              swap("report", `"at":"2026-03-02T09:00:59.125Z",`, ""),
		"time without zone":    swap("report", "59.125Z", "59.125"),
		"port too high":        swap("report", `"port":1`, `"port":256`),
		"port negative":        swap("report", `"port":1`, `"port":-1`),
		"no event":             swap("report", `"event":"access.granted",`, ""),
		"unknown lock state":   swap("report", `"LOCKED"`, `"SHUT"`),
		"unknown position":     swap("report", `"CLOSED"`, `"AJAR"`),
		"unknown method":       swap("report", `"CARD"`, `"MAGIC"`),
		"unknown reason":       swap("report", `"reason":"GRANTED"`, `"reason":"WHY_NOT"`),
		"id of another kind":   swap("report", goldenUser.String(), goldenDoor.String()),
		"empty id":             swap("report", goldenUser.String(), ""),
		"data a list":          swap("report", `{"reader":"in"}`, `["in"]`),
		"data too large":       swap("report", `"in"`, `"`+strings.Repeat("i", devicelink.MaxData)+`"`),
		"data null":            swap("report", `{"reader":"in"}`, `null`),
		"data with NUL":        swap("report", `"in"`, `"\u0000"`),
		"data with 1e999":      swap("report", `"in"`, `1e999`),
		"stage not a device's": swap("result", "CONFIRMED", "DISPATCHED"),
		"no command":           swap("result", `"commandId":"`+goldenCommand.String()+`",`, ""),
		"nonce short":          swap("hello", "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8=", "gIGC"),
		"nonce missing":        swap("hello", `"nonce":"gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8=",`, ""),
		"signature long":       swap("hello", `=="`, `AAAA"`),
		"version":              swap("hello", `"version":1`, `"version":2`),
		"log epoch":            swap("hello", `"logEpoch":1`, `"logEpoch":0`),
		"firmware too long":    swap("hello", "2.4.1", strings.Repeat("2", 101)),
		"firmware control":     swap("hello", "2.4.1", `2\u0007`),
		"unknown mode":         swap("config", "CONTROLLED", "OPEN"),
		"no keys":              swap("hello", `["`+serverID+`"]`, "[]"),
		"keys version":         swap("hello", `"keysVersion":1`, `"keysVersion":0`),
		"key id in capitals":   swap("command", serverID, strings.ToUpper(serverID)),
		"key of another's id":  swap("keys", serverID, "00000000"),
		"no order":             swap("command", `"sequence":2`, `"sequence":0`),
		"no link":              swap("config", `"epoch":17`, `"epoch":0`),
		"no device":            swap("command", `"deviceId":"`+goldenDevice.String()+`",`, ""),
		"unknown verb":         swap("command", "UNLOCK", "EXPLODE"),
		"too large":            swap("hello", "2.4.1", strings.Repeat("2", devicelink.MaxFrame)),
	} {
		if f, err := devicelink.Decode([]byte(text)); !errors.Is(err, devicelink.ErrMalformed) {
			t.Errorf("%s: decoded as %+v, %v", name, f, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: the error repeats the frame: %d bytes", name, len(err.Error()))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range goldenFrames() {
		text, err := devicelink.Encode(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		frame, err := devicelink.Decode(text)
		if err != nil {
			if !errors.Is(err, devicelink.ErrMalformed) {
				t.Fatalf("not ErrMalformed: %v", err)
			}
			return
		}
		encoded, err := devicelink.Encode(frame)
		if err != nil {
			t.Fatalf("%q decodes and does not encode: %v", text, err)
		}
		again, err := devicelink.Decode(encoded)
		if err != nil {
			t.Fatalf("%q encodes to what does not decode: %s: %v", text, encoded, err)
		}
		twice, err := devicelink.Encode(again)
		if err != nil || !bytes.Equal(twice, encoded) {
			t.Fatalf("%s becomes %s (%v)", encoded, twice, err)
		}
	})
}
