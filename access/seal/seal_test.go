package seal_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/typeid"
)

var (
	here    = organization("org_01k9e6x0v2e8h9rq4m7c3w5z1t")
	next    = organization("org_01k9e6x0v2e8h9rq4m7c3w5z1v")
	first   = bytes.Repeat([]byte{1}, seal.SecretSize)
	second  = bytes.Repeat([]byte{2}, seal.SecretSize)
	noon    = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	payload = []byte("Gate, Cellar")
)

func organization(id string) typeid.Organization {
	org, err := typeid.Parse[typeid.Organization](id)
	if err != nil {
		panic(err)
	}
	return org
}

func keyring(tb testing.TB, secrets ...[]byte) *seal.Keyring {
	tb.Helper()
	k, err := seal.NewKeyring(secrets...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestKeyringListsEveryFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secrets [][]byte
		want    []string
	}{
		"none":     {nil, []string{"1 to 4 secrets, not 0"}},
		"five":     {[][]byte{first, first, first, first, first}, []string{"not 5"}},
		"short":    {[][]byte{first[1:], second, nil}, []string{"secret 1: has 31", "secret 3: has 0"}},
		"repeated": {[][]byte{first, second, first}, []string{"secret 3: is there twice"}},
	} {
		k, err := seal.NewKeyring(test.secrets...)
		if k != nil || err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: nothing of %q in %v", name, want, err)
			}
		}
	}
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	padded := base64.StdEncoding.EncodeToString(first)
	raw := base64.RawStdEncoding.EncodeToString(second)
	for _, text := range []string{
		padded + "\n" + raw + "\n", padded + "," + raw, "\r\n " + padded + " ,\r\n\t" + raw + "\r\n,",
	} {
		secrets, err := seal.ParseSecrets(text)
		if err != nil || len(secrets) != 2 ||
			!bytes.Equal(secrets[0], first) || !bytes.Equal(secrets[1], second) {
			t.Errorf("%q: %x, %v", text, secrets, err)
		}
	}
	if secrets, err := seal.ParseSecrets(" \n"); err != nil || len(secrets) != 0 {
		t.Errorf("of nothing: %x, %v", secrets, err)
	}
}

func TestParseSecretsNamesLinesAndNoValues(t *testing.T) {
	t.Parallel()
	good, short := base64.StdEncoding.EncodeToString(first), "c2hvcnQ="
	secrets, err := seal.ParseSecrets(good + "\nnot;base64\n\n" + good + "," + short + "\n" + good[1:])
	if err == nil || secrets != nil {
		t.Fatalf("got %x, %v", secrets, err)
	}
	want := "line 2: is not base64\nline 4: has 5 bytes, and needs 32 or more\nline 5: is not base64"
	if err.Error() != want {
		t.Errorf("got %q", err)
	}
}

func TestNoVerbPrintsAKey(t *testing.T) {
	t.Parallel()
	k := keyring(t, first, second)
	holder := struct{ Secrets *seal.Keyring }{k}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); len(got) != len("keyring 01234567 89abcdef") {
			t.Errorf("%s: %s", verb, got)
		}
		if got := fmt.Sprintf(verb, holder); !strings.Contains(got, "keyring ") {
			t.Errorf("%s of its holder: %s", verb, got)
		}
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	both := keyring(t, second, first)
	card := []byte("26:105:4711")
	got := both.Indexes(here, "card", card)
	for i, secret := range [][]byte{second, first} {
		if alone := keyring(t, secret).Indexes(here, "card", card); !bytes.Equal(alone[0], got[i]) {
			t.Errorf("key %d finds %x, not %x", i, alone[0], got[i])
		}
	}
	if len(got) != 2 || len(got[0]) != 16 || bytes.Equal(got[0], got[1]) {
		t.Errorf("indexes %x", got)
	}
	for what, other := range map[string][][]byte{
		"value":           both.Indexes(here, "card", card[1:]),
		"organization":    both.Indexes(next, "card", card),
		"domain":          both.Indexes(here, "code", card),
		"shifted border":  both.Indexes(here, "card2", card[1:]),
		"nothing of both": both.Indexes(here, "", nil),
	} {
		for i := range other {
			if bytes.Equal(other[i], got[i]) {
				t.Errorf("another %s has the same index", what)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before := keyring(t, first)
	box := before.Seal(here, "webhook", payload)
	token := before.Token(here, "confirm", payload, noon)
	hash, err := before.HashPIN(t.Context(), here, "493127")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		k    *seal.Keyring
		want bool
	}{
		"rotated": {keyring(t, second, first), true},
		"swapped": {keyring(t, first, second), true},
		"removed": {keyring(t, second), false},
	} {
		plain, err := test.k.Open(here, "webhook", box)
		if (err == nil && bytes.Equal(plain, payload)) != test.want {
			t.Errorf("%s: opened %q, %v", name, plain, err)
		}
		said, err := test.k.Check(here, "confirm", token, noon.Add(-1))
		if (err == nil && bytes.Equal(said, payload)) != test.want {
			t.Errorf("%s: checked %q, %v", name, said, err)
		}
		if ok, err := test.k.VerifyPIN(t.Context(), here, "493127", hash); err != nil || ok != test.want {
			t.Errorf("%s: verified %t, %v", name, ok, err)
		}
	}
	after := keyring(t, second, first)
	if _, err := before.Open(here, "webhook", after.Seal(here, "webhook", payload)); err == nil {
		t.Error("the older key still seals")
	}
}
