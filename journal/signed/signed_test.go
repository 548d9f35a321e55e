package signed_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

var (
	first, second = bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	root          = sha256.Sum256([]byte("root"))
	at            = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
)

func text(seed []byte) string { return base64.StdEncoding.EncodeToString(seed) }

func ring(t *testing.T, text string) *signed.Keyring {
	t.Helper()
	k, err := signed.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestOtherToolsReadACheckpoint opens one with the Go checksum database's own code.
func TestOtherToolsReadACheckpoint(t *testing.T) {
	t.Parallel()
	k, org := ring(t, text(first)), typeid.New[typeid.Organization]()
	signature, err := k.Sign(org, 7, root[:], at)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.Keys(org)[0].String())
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open([]byte(signature), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Replace(opened.Text, signed.Origin(org), "go.sum database tree", 1)
	tree, err := tlog.ParseTree([]byte(body))
	if err != nil || tree.N != 7 || tree.Hash != tlog.Hash(root) {
		t.Fatalf("%+v, %v", tree, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	k, org := ring(t, text(first)), typeid.New[typeid.Organization]()
	good, err := k.Sign(org, 7, root[:], at)
	if err != nil {
		t.Fatal(err)
	}
	mine := k.Keys(org)[0].PublicKey
	if c, err := signed.Open(good, mine); err != nil || c.Size != 7 || !bytes.Equal(c.Root, root[:]) {
		t.Fatalf("%+v, %v", c, err)
	}
	for i := range good {
		for bit := range 8 {
			bad := []byte(good)
			bad[i] ^= 1 << bit
			if c, err := signed.Open(string(bad), mine); err == nil {
				t.Fatalf("bit %d of byte %d may be flipped: %+v", bit, i, c)
			}
		}
	}
	other := k.Keys(typeid.New[typeid.Organization]())[0].PublicKey
	for name, key := range map[string]signed.PublicKey{
		"another journal's": other, "another key": ring(t, text(second)).Public()[0],
	} {
		if _, err := signed.Open(good, key); err == nil {
			t.Errorf("%s opens it", name)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	org := typeid.New[typeid.Organization]()
	old := ring(t, text(first))
	both := ring(t, text(second)+"@2026-11-21T00:00:00Z,\n "+text(first))
	before, err1 := both.Sign(org, 1, root[:], at.Add(-1))
	after, err2 := both.Sign(org, 1, root[:], at)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if _, err := signed.Open(before, old.Public()...); err != nil {
		t.Errorf("before its time the new key signs: %v", err)
	}
	if _, err := signed.Open(after, old.Public()...); err == nil {
		t.Error("after its time the old key signs")
	}
	retired := ring(t, text(second)+"@2026-11-21T00:00:00Z, public:"+old.Public()[0].String())
	for _, one := range []string{before, after} {
		if _, err := signed.Open(one, retired.Public()...); err != nil {
			t.Error(err)
		}
	}
	keys := retired.Keys(org)
	if !keys[0].From.Equal(at) || !keys[0].Until.IsZero() || !keys[1].Until.Equal(at) {
		t.Errorf("validity: %v %v %v", keys[0].From, keys[0].Until, keys[1].Until)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	t.Parallel()
	public := ring(t, text(first)).Public()[0].String()
	for name, bad := range map[string]string{
		"nothing": "", "short": "AAAA", "no base64": "x", "public alone": "public:" + public,
		"no instant": text(first) + "@soon", "oldest first": text(first) + "," + text(second) + "@2026-11-21T00:00:00Z",
	} {
		if _, err := signed.ParseKeys(bad); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), text(first)) {
			t.Errorf("%s: the error tells the key", name)
		}
	}
}

func TestKeyringPrintsNoSecret(t *testing.T) {
	t.Parallel()
	k := ring(t, text(first))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, value := range []any{k, k.All(), k.All()[0]} {
			if shown := fmt.Sprintf(verb, value); strings.Contains(shown, text(first)) ||
				strings.Contains(shown, "0101010101") || strings.Contains(shown, "1 1 1 1") {
				t.Errorf("%s shows %s", verb, shown)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	k, err := signed.NewKeyring(first)
	if err != nil {
		f.Fatal(err)
	}
	good, err := k.Sign(typeid.New[typeid.Organization](), 7, root[:], at)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := signed.Open(text, k.Public()...); err == nil && text != good {
			t.Fatalf("opened %q", text)
		}
		_, _ = signed.Peek(text)
	})
}

// TestPrunedIsNoCheckpoint opens a note of what was pruned as what it is, and as nothing else.
func TestPrunedIsNoCheckpoint(t *testing.T) {
	t.Parallel()
	k, org := ring(t, text(first)), typeid.New[typeid.Organization]()
	p := signed.Pruned{Origin: signed.Origin(org), Position: 3, Before: at}
	p.Add(0)
	p.Add(255)
	made, err := k.SignPruned(p, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []signed.PublicKey{k.Public()[0], k.Keys(org)[0].PublicKey} {
		if said, err := signed.OpenPruned(made, key); err != nil || said != p {
			t.Fatalf("%+v, %v", said, err)
		}
	}
	if said, err := signed.PeekPruned(made); err != nil || said != p || !said.Has(0) || said.Has(1) || !said.Has(255) {
		t.Errorf("%+v, %v", said, err)
	}
	if said, err := signed.Open(made, k.Public()...); err == nil {
		t.Errorf("it is a checkpoint: %+v", said)
	}
	checkpoint, _ := k.Sign(org, 7, root[:], at)
	if said, err := signed.OpenPruned(checkpoint, k.Public()...); err == nil {
		t.Errorf("a checkpoint says what was pruned: %+v", said)
	}
	other := ring(t, text(second))
	if _, err := signed.OpenPruned(made, other.Public()...); err == nil {
		t.Error("another key opens it")
	}
	for i := range len(made) {
		for bit := range 8 {
			flipped := []byte(made)
			flipped[i] ^= 1 << bit
			if said, err := signed.OpenPruned(string(flipped), k.Public()...); err == nil {
				t.Errorf("bit %d of byte %d: %+v", bit, i, said)
			}
		}
	}
}
