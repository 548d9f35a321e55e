package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cardea/cardea/access/seal"
)

func TestBox(t *testing.T) {
	t.Parallel()
	k := keyring(t, first)
	for _, plain := range [][]byte{nil, payload, bytes.Repeat(payload, 1000)} {
		box := k.Seal(here, "webhook", plain)
		got, err := k.Open(here, "webhook", box)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("opened %q, %v", got, err)
		}
		if len(box) != len(plain)+45 || bytes.Equal(box, k.Seal(here, "webhook", plain)) {
			t.Errorf("box of %d bytes, or the same twice", len(box))
		}
	}
}

func TestBoxOpensForNobodyElse(t *testing.T) {
	t.Parallel()
	k := keyring(t, first)
	box := k.Seal(here, "webhook", payload)
	for name, open := range map[string]func() ([]byte, error){
		"organization": func() ([]byte, error) { return k.Open(next, "webhook", box) },
		"domain":       func() ([]byte, error) { return k.Open(here, "weblink", box) },
		"longer":       func() ([]byte, error) { return k.Open(here, "webhook", append(box, 0)) },
		"key":          func() ([]byte, error) { return keyring(t, second).Open(here, "webhook", box) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrForged) {
			t.Errorf("another %s: %q, %v", name, got, err)
		}
	}
	for i := range box {
		altered := bytes.Clone(box)
		altered[i] ^= 1
		if got, err := k.Open(here, "webhook", altered); !errors.Is(err, seal.ErrForged) {
			t.Errorf("byte %d altered: %q, %v", i, got, err)
		}
		if got, err := k.Open(here, "webhook", box[:i]); !errors.Is(err, seal.ErrForged) {
			t.Errorf("cut to %d: %q, %v", i, got, err)
		}
	}
}
