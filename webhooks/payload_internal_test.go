package webhooks

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

var update = flag.Bool("update", false, "write the golden files")

func parse[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](t *testing.T, text string) (id T) {
	t.Helper()
	if err := P(&id).UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return id
}

func unlocked(t *testing.T) journal.Event {
	t.Helper()
	at := time.Date(2026, 3, 29, 2, 30, 0, 120_000_000, time.FixedZone("CEST", 2*60*60))
	return journal.Event{
		ID:           parse[typeid.Event](t, "event_01kmvfbrk8e2bsf9d5nc6x8q2a"),
		Organization: parse[typeid.Organization](t, "org_01kmvf5w2cf0ga4rnvh0w1a3zt"),
		Sequence:     4711, Type: "lock.unlocked",
		OccurredAt: at, ReceivedAt: at.Add(41 * time.Millisecond), Delivery: event.DeliveryLIVE,
		Actor:    journal.Actor{Kind: actor.KindDevice, ID: "device_01kmvf72x6epm9wvf5q0b5r4cd"},
		Site:     parse[typeid.Site](t, "site_01kmvf66gcfe5sbs2e0t2j7n8q"),
		Door:     parse[typeid.Door](t, "door_01kmvf6hz3e3v8t8n5m2v3q1ka"),
		Device:   parse[typeid.Device](t, "device_01kmvf72x6epm9wvf5q0b5r4cd"),
		Command:  parse[typeid.Command](t, "cmd_01kmvfbr5nf8ctq0f5b7e4w9xs"),
		Method:   event.MethodREMOTE,
		Severity: event.SeverityINFO,
		Data:     json.RawMessage(`{"previousState": "LOCKED", "note": "<&> é \u2028"}`),
	}
}

func TestPayloadIsGolden(t *testing.T) {
	t.Parallel()
	const golden = "testdata/lock.unlocked.json"
	body, err := encode(unlocked(t))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, append(body, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(body, '\n'), want) {
		t.Errorf("body changed; webhook bodies are public API.\n got %s\nwant %s", body, want)
	}
}

// TestPayloadCarriesTheCanonicalEvent takes the data of the golden body apart as a receiver would.
func TestPayloadCarriesTheCanonicalEvent(t *testing.T) {
	t.Parallel()
	sent := unlocked(t)
	body, err := encode(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type      string
		Timestamp time.Time
		Data      json.RawMessage
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	canonical, err := sent.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != sent.Type || !got.Timestamp.Equal(sent.OccurredAt) {
		t.Errorf("type %s at %s; want %s at %s", got.Type, got.Timestamp, sent.Type, sent.OccurredAt)
	}
	if !bytes.Equal(got.Data, canonical) {
		t.Errorf("data %s; want %s", got.Data, canonical)
	}
	if back, err := journal.Decode(got.Data); err != nil || back.ID != sent.ID {
		t.Errorf("data decodes to %s, %v", back.ID, err)
	}
}

func TestLargestPayloadIsBelow20KB(t *testing.T) {
	t.Parallel()
	e := unlocked(t)
	e.Data = json.RawMessage(`{"text":"` + strings.Repeat("a", journal.MaxData-11) + `"}`)
	if body, err := encode(e); err != nil || len(body) > 20_000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
