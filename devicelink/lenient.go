package devicelink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// ErrUnknownFrame says that a frame is of a type that this version does not have.
var ErrUnknownFrame = errors.New("unknown type of frame")

// DecodeAsDevice reads a frame from the server as a device does: fields that it does not know it
// ignores, and a frame of a type that it does not know is ErrUnknownFrame. What was hashed to be signed
// stays as it was sent, with all its fields.
func DecodeAsDevice(text []byte) (Frame, error) {
	if len(text) > MaxFrame {
		return nil, fmt.Errorf("%w: over %d bytes", ErrMalformed, MaxFrame)
	}
	name, _, err := outline(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	shape, ok := shapes[name]
	if !ok {
		return nil, ErrUnknownFrame
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, name, plain(err))
	}
	maps.DeleteFunc(fields, func(field string, _ json.RawMessage) bool {
		return !shape.fields[field]
	})
	known, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, name, err)
	}
	f := shape.make()
	if err := json.Unmarshal(known, f); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, name, plain(err))
	}
	if hashed, ok := f.(interface {
		sent(fields map[string]json.RawMessage)
	}); ok {
		hashed.sent(fields)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, name, err)
	}
	return f, nil
}

// asSent is the value of a field as it stands in a frame that came; empty in one that is made here.
type asSent []byte

func (w *Welcome) sent(fields map[string]json.RawMessage) { w.doors = bytes.Clone(fields["doors"]) }

func (c *Config) sent(fields map[string]json.RawMessage) { c.doors = bytes.Clone(fields["doors"]) }

func (k *Keys) sent(fields map[string]json.RawMessage) { k.keys = bytes.Clone(fields["serverKeys"]) }
