package seal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/cardea/cardea/access/seal"
)

// roads are hashes of every kind that VerifyPIN meets, for the PIN 493127.
func roads(t *testing.T, k *seal.Keyring) map[string]string {
	t.Helper()
	right, err := k.HashPIN(t.Context(), here, "493127")
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := k.HashPIN(t.Context(), here, "493128")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := k.HashPIN(t.Context(), next, "493127")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"right": right, "wrong": wrong, "another organization's": elsewhere,
		"unknown version":  regexp.MustCompile(`keyid=\w+`).ReplaceAllString(right, "keyid=00000000"),
		"no version":       regexp.MustCompile(`,keyid=\w+`).ReplaceAllString(right, ""),
		"cheaper":          strings.Replace(right, "t=2", "t=1", 1),
		"without its hash": right[:strings.LastIndex(right, "$")+1],
		"empty":            "",
	}
}

func TestPIN(t *testing.T) {
	t.Parallel()
	k := keyring(t, first)
	hashes := roads(t, k)
	shape := regexp.MustCompile(
		`^\$argon2id\$v=19\$m=19456,t=2,p=1,keyid=[0-9a-f]{8}\$[\w+/]{22}\$[\w+/]{43}$`)
	if !shape.MatchString(hashes["right"]) {
		t.Errorf("hash %s", hashes["right"])
	}
	for name, hash := range hashes {
		ok, err := k.VerifyPIN(t.Context(), here, "493127", hash)
		if err != nil || ok != (name == "right") {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
	}
	again, err := k.HashPIN(t.Context(), here, "493127")
	if err != nil || again == hashes["right"] {
		t.Errorf("no salt: %s, %v", again, err)
	}
	right := hashes["right"]
	for i := len(right) - 1; i >= 0; i -= 5 { // each costs as much as a hash
		altered := []byte(right)
		for altered[i] = '0'; altered[i] == right[i]; altered[i]++ {
		}
		if ok, err := k.VerifyPIN(t.Context(), here, "493127", string(altered)); ok || err != nil {
			t.Errorf("byte %d altered: %t, %v", i, ok, err)
		}
	}
}

// TestEveryAnswerCostsTheSame times nothing. Only Argon2 takes these 19 MiB, so what a call
// allocates says that it ran, once; and only the gate before it looks at ctx, so that a call that
// fails with an ended ctx is on its way there.
func TestEveryAnswerCostsTheSame(t *testing.T) { //nolint:paralleltest // measures the process
	k := keyring(t, first)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, hash := range roads(t, k) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := k.VerifyPIN(t.Context(), here, "493127", hash); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took != 19 {
			t.Errorf("%s: took %d MiB", name, took)
		}
		if _, err := k.VerifyPIN(ended, here, "493127", hash); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDumpWithoutSecretTellsNoPIN is an attack with all that the database has, and a secret of the
// attacker's own: every PIN of six digits against the indexes, and the PINs themselves against
// their hashes. With the secret it finds all, which shows that it is the right attack.
func TestDumpWithoutSecretTellsNoPIN(t *testing.T) {
	t.Parallel()
	k, attacker := keyring(t, first), keyring(t, second)
	random := rand.New(rand.NewPCG(1, 2))
	dump := map[string]string{}
	for len(dump) < 1000 {
		pin := fmt.Sprintf("%06d", random.IntN(1e6))
		dump[string(k.Indexes(here, "pin", []byte(pin))[0])] = pin
	}
	recovered := 0
	for guess := range 1_000_000 {
		index := attacker.Indexes(here, "pin", fmt.Appendf(nil, "%06d", guess))[0]
		if _, found := dump[string(index)]; found {
			recovered++
		}
	}
	if recovered != 0 {
		t.Errorf("recovered %d PINs of %d from their indexes", recovered, len(dump))
	}
	owned := keyring(t, first) // from the stolen secret
	for _, pin := range dump {
		if dump[string(owned.Indexes(here, "pin", []byte(pin))[0])] != pin {
			t.Errorf("with the secret it does not recover %s", pin)
		}
	}
	mine, err := attacker.HashPIN(t.Context(), here, "000000")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`keyid=\w+`)
	tries := 0
	for _, pin := range dump {
		hash, err := k.HashPIN(t.Context(), here, pin)
		if err != nil {
			t.Fatal(err)
		}
		relabelled := version.ReplaceAllString(hash, version.FindString(mine))
		if ok, err := attacker.VerifyPIN(t.Context(), here, pin, relabelled); ok || err != nil {
			t.Errorf("tested a guess without the secret: %t, %v", ok, err)
		}
		if tries++; tries == 3 {
			break
		}
	}
}

func BenchmarkHashPIN(b *testing.B) {
	k := keyring(b, first)
	for b.Loop() {
		if _, err := k.HashPIN(b.Context(), here, "493127"); err != nil {
			b.Fatal(err)
		}
	}
}
