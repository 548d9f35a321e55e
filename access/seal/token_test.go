package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/cardea/cardea/access/seal"
)

func TestTokenLivesUntilItExpires(t *testing.T) {
	t.Parallel()
	k := keyring(t, first)
	for _, said := range [][]byte{nil, payload} {
		token := k.Token(here, "confirm", said, noon)
		got, err := k.Check(here, "confirm", token, noon.Add(-time.Millisecond))
		if err != nil || !bytes.Equal(got, said) {
			t.Errorf("%q, %v", got, err)
		}
		for _, late := range []time.Time{noon, noon.AddDate(300, 0, 0)} {
			if got, err := k.Check(here, "confirm", token, late); !errors.Is(err, seal.ErrExpired) {
				t.Errorf("at %s: %q, %v", late, got, err)
			}
		}
	}
	never := k.Token(here, "confirm", nil, time.Time{})
	if _, err := k.Check(here, "confirm", never, noon); !errors.Is(err, seal.ErrExpired) {
		t.Errorf("without an end: %v", err)
	}
}

func TestTokenIsOfNobodyElse(t *testing.T) {
	t.Parallel()
	k := keyring(t, first)
	token := k.Token(here, "confirm", payload, noon)
	check := func(name string, k *seal.Keyring, purpose, token string) {
		t.Helper()
		if got, err := k.Check(here, purpose, token, noon.Add(-1)); !errors.Is(err, seal.ErrForged) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := k.Check(next, "confirm", token, noon.Add(-1)); !errors.Is(err, seal.ErrForged) {
		t.Errorf("another organization: %q, %v", got, err)
	}
	check("another purpose", k, "conform", token)
	check("another key", keyring(t, second), "confirm", token)
	check("nothing", k, "confirm", "")
	check("padding", k, "confirm", token+"=")
	check("a line end", k, "confirm", token[:9]+"\n"+token[9:])
	check("an index of the same", k, "confirm", base64.RawURLEncoding.EncodeToString(
		append(make([]byte, 8), k.Indexes(here, "confirm", make([]byte, 8))[0]...)))
	for i := range token {
		altered := []byte(token)
		for altered[i] = 'A'; altered[i] == token[i]; altered[i]++ {
		}
		check("altered", k, "confirm", string(altered))
		check("cut", k, "confirm", token[:i])
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		altered := bytes.Clone(raw)
		altered[i] ^= 1
		check("byte altered", k, "confirm", base64.RawURLEncoding.EncodeToString(altered))
	}
}
