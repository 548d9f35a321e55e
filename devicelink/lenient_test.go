package devicelink_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cardea/cardea/devicelink"
)

// TestDevicesIgnoreWhatTheyDoNotKnow: a later server may say more, and hash more, than we understand.
func TestDevicesIgnoreWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	if _, err := devicelink.DecodeAsDevice([]byte(`{"type":"weather"}`)); !errors.Is(
		err, devicelink.ErrUnknownFrame) {
		t.Errorf("a frame of an unknown type: %v", err)
	}
	for name, f := range goldenFrames() {
		text, err := devicelink.Encode(f)
		must(t, err)
		more := strings.Replace(string(text), `{`, `{"since":2,"Type":"x",`, 1)
		again, err := devicelink.DecodeAsDevice([]byte(more))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same, err := devicelink.Encode(again)
		must(t, err)
		if string(same) != string(text) {
			t.Errorf("%s became %s", text, same)
		}
	}

	// The hash is of what was sent: signed with more in it, or with less, it is another one.
	text, err := devicelink.Encode(goldenFrames()["config"])
	must(t, err)
	more := strings.Replace(string(text), `{"port":1,`, `{"port":1, "colour":"red",`, 1)
	f, err := devicelink.DecodeAsDevice([]byte(more))
	must(t, err)
	if devicelink.SignedBy(f.(*devicelink.Config), goldenServer.Public(), goldenDevice) {
		t.Error("doors may be added to without the server's key")
	}
	goldenServer.Newest().Order(f.(*devicelink.Config), goldenDevice, 17, 3)
	var fields map[string]json.RawMessage
	must(t, json.Unmarshal([]byte(more), &fields))
	fields["signature"], err = json.Marshal(devicelink.SignedOf(f.(*devicelink.Config)).Signature)
	must(t, err)
	spaced := `{"type":"config","doors":` + string(fields["doors"]) + `,"epoch":17,"sequence":3,"keyId":` +
		string(fields["keyId"]) + `,"signature":` + string(fields["signature"]) + `}`
	f, err = devicelink.DecodeAsDevice([]byte(spaced))
	must(t, err)
	if !devicelink.SignedBy(f.(*devicelink.Config), goldenServer.Public(), goldenDevice) {
		t.Error("doors with more in them are refused")
	}
}
