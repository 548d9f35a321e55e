package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/typeid"
)

// Identity is what a device keeps for life. It can be stored as JSON; it holds the private key.
type Identity struct {
	Device       typeid.Device          `json:"deviceId"`
	Organization typeid.Organization    `json:"organizationId"`
	LinkURL      string                 `json:"linkUrl"`
	ServerName   string                 `json:"serverName"`
	Key          ed25519.PrivateKey     `json:"key"`
	NextKey      ed25519.PrivateKey     `json:"nextKey,omitempty"` // which the server may have by now
	ServerKeys   []devicelink.ServerKey `json:"serverKeys"`
	KeysVersion  int64                  `json:"keysVersion"` // how often those were given, from 1
}

// Hello answers a challenge.
func (i Identity) Hello(
	c *devicelink.Challenge, logEpoch int64, firmware string, at time.Time,
) *devicelink.Hello {
	hello := &devicelink.Hello{
		Version: devicelink.Version, DeviceID: i.Device, Nonce: devicelink.NewNonce(),
		LogEpoch: logEpoch, Firmware: firmware, At: at.UTC().Truncate(time.Microsecond),
		KeysVersion: i.KeysVersion, KeyIDs: devicelink.KeyIDs(i.ServerKeys),
	}
	hello.Sign(i.Key, c)
	return hello
}

// renewed is the identity with its next key alone.
func (i Identity) renewed() Identity {
	i.Key, i.NextKey = i.NextKey, nil
	return i
}

// standard is how devices reach a server; the timeout is that of the HTTP part alone.
var standard = &http.Client{Timeout: handshakeTimeout}

// Hardware is what a device says of itself.
type Hardware struct{ Serial, Model, Firmware string }

// RefusedError is the server's answer to an enrolment that it refuses.
type RefusedError struct {
	Status int
	devicelink.Refusal
}

func (e RefusedError) Error() string {
	return fmt.Sprintf("enrolment refused: %d %s: %s", e.Status, e.Code, e.Message)
}

// Enrol makes a key and claims the place of a claim code with it.
func Enrol(ctx context.Context, baseURL, claimCode string, as Hardware) (Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make device key: %w", err)
	}
	claim := devicelink.Enrolment{
		ClaimCode: claimCode, Serial: as.Serial, Model: as.Model, Firmware: as.Firmware,
	}
	claim.Sign(key)
	body, err := json.Marshal(claim)
	if err != nil {
		return Identity{}, fmt.Errorf("encode enrolment: %w", err)
	}
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, baseURL+devicelink.EnrolPath, bytes.NewReader(body))
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := standard.Do(request)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	answer := json.NewDecoder(response.Body)
	if response.StatusCode != http.StatusCreated {
		refused := RefusedError{Status: response.StatusCode}
		_ = answer.Decode(&refused.Refusal) // the status alone says enough
		return Identity{}, refused
	}
	var got devicelink.Enrolled
	if err := answer.Decode(&got); err != nil {
		return Identity{}, fmt.Errorf("read enrolment: %w", err)
	}
	return Identity{
		Device: got.DeviceID, Organization: got.OrganizationID, LinkURL: got.LinkURL,
		ServerName: got.ServerName, Key: key, ServerKeys: got.ServerKeys, KeysVersion: 1,
	}, nil
}
