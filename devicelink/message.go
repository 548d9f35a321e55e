package devicelink

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/typeid"
)

// messageVersion is that of the messages between nodes. Nodes of two releases run side by side, so
// a message that a node does not understand is dropped: its sender is told nothing worse than that
// it was delivered, and the deadline of a command ends it.
const messageVersion = 1

// message is what one node asks of another about a device whose link is there.
type message struct {
	Version  int              `json:"version"`
	Ask      ask              `json:"ask"`
	Device   typeid.Device    `json:"deviceId"`
	Epoch    int64            `json:"epoch,omitempty"`    // of SUPERSEDE: the newer link's
	Dispatch *access.Dispatch `json:"dispatch,omitempty"` // of DISPATCH
}

type ask string

const (
	askDispatch   ask = "DISPATCH"   // write a command
	askConfigure  ask = "CONFIGURE"  // tell the device what its doors are
	askRenew      ask = "RENEW"      // have the device make a new key
	askDisconnect ask = "DISCONNECT" // the device was removed
	askSupersede  ask = "SUPERSEDE"  // the device opened a newer link elsewhere
)

func (m message) encode() ([]byte, error) {
	m.Version = messageVersion
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message to node: %w", err)
	}
	return text, nil
}

func decodeMessage(text []byte) (message, error) {
	var m message
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&m); err != nil {
		return m, fmt.Errorf("decode message from node: %w", err)
	}
	if m.Version != messageVersion || m.Device.IsZero() ||
		(m.Ask == askDispatch) != (m.Dispatch != nil) {
		return m, fmt.Errorf("decode message from node: version %d, ask %q", m.Version, m.Ask)
	}
	return m, nil
}
