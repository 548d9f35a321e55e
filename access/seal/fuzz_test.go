package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/cardea/cardea/access/seal"
)

// FuzzParseSecrets: what is accepted is long enough and stands there; what is not is never shown.
func FuzzParseSecrets(f *testing.F) {
	good := base64.StdEncoding.EncodeToString(first)
	for _, text := range []string{"", good, good + ",\n" + good, good + "\nc2hvcnQ=", "a\rb=", "===="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		secrets, err := seal.ParseSecrets(text)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "line ") || len(line) > 80 {
					t.Errorf("fault %q", line)
				}
			}
			return
		}
		plain := strings.ReplaceAll(text, "\r", "")
		for _, secret := range secrets {
			if len(secret) < seal.SecretSize ||
				!strings.Contains(plain, base64.RawStdEncoding.EncodeToString(secret)) {
				t.Errorf("secret %x of %q", secret, text)
			}
		}
	})
}

// FuzzCheck: no text but the token itself is one.
func FuzzCheck(f *testing.F) {
	k := keyring(f, first)
	token := k.Token(here, "confirm", payload, noon)
	f.Add(token)
	f.Add(token + "\n")
	f.Add(strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := k.Check(here, "confirm", text, noon.Add(-1))
		if (err == nil) != (text == token) || err != nil && !errors.Is(err, seal.ErrForged) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// FuzzOpen: no bytes but the box itself open. The box is a constant, because the processes of a
// fuzzing run must mean the same one.
func FuzzOpen(f *testing.F) {
	k := keyring(f, first)
	box, err := hex.DecodeString("01120f822a9e2727dfe16252231a5d46066ba7818e8b3b3e7d6eb6edfab64730" +
		"e17145614b48d17526079103f9514cd59e4808636dd2fd91f4")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(box)
	f.Add(box[:45])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := k.Open(here, "webhook", data)
		if (err == nil) != bytes.Equal(data, box) || err != nil && !errors.Is(err, seal.ErrForged) {
			t.Errorf("%q, %v", got, err)
		}
	})
}
