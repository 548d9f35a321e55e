package seal_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/cardea/cardea/typeid"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPrimitives has RFC 5869's first vector, and one that x/crypto has from the reference program
// of Argon2: RFC 9106's need a secret and data, which its IDKey does not take.
func TestPrimitives(t *testing.T) {
	t.Parallel()
	okm, err := hkdf.Key(sha256.New, bytes.Repeat([]byte{0x0b}, 22),
		unhex(t, "000102030405060708090a0b0c"), string(unhex(t, "f0f1f2f3f4f5f6f7f8f9")), 42)
	want := unhex(t, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"+
		"34007208d5b887185865")
	if err != nil || !bytes.Equal(okm, want) {
		t.Errorf("HKDF-SHA256: %x, %v", okm, err)
	}
	sum := argon2.IDKey([]byte("password"), []byte("somesalt"), 1, 64, 1, 24)
	if hex.EncodeToString(sum) != "655ad15eac652dc59f7170a7332bf49b8469be1fdb9c28bb" {
		t.Errorf("Argon2id: %x", sum)
	}
}

// TestWhatIsStoredStaysReadable pins what databases hold. The keys and MACs were computed by another
// implementation of HKDF and HMAC, for the secret 00 01 … 1f and the organization 00 01 … 0f.
func TestWhatIsStoredStaysReadable(t *testing.T) {
	t.Parallel()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	k := keyring(t, second, secret)
	var org typeid.Organization
	if err := org.Scan("00010203-0405-0607-0809-0a0b0c0d0e0f"); err != nil {
		t.Fatal(err)
	}
	index := k.Indexes(org, "pin", []byte("493127"))[1]
	if hex.EncodeToString(index) != "eb8bc91b9b21b77d49069c5c4f2a7e86" {
		t.Errorf("index %x", index)
	}
	said, err := k.Check(org, "confirm", "AAABnK3Gmv1kb29yqvoYHaenvDcXKHm01PnVqQ",
		time.UnixMilli(1772442000124))
	if err != nil || string(said) != "door" {
		t.Errorf("token %q, %v", said, err)
	}
	salt := []byte("somesaltsomesalt")
	pepper := unhex(t, "2b132c06096521811f7207ed316dd2b18934cb9542e31835be61cd1b951ac6b6")
	text := base64.RawStdEncoding.EncodeToString
	hash := "$argon2id$v=19$m=19456,t=2,p=1,keyid=41b8ece4$" + text(salt) + "$" +
		text(argon2.IDKey(pepper, salt, 2, 19456, 1, 32))
	if ok, err := k.VerifyPIN(t.Context(), org, "493127", hash); !ok || err != nil {
		t.Errorf("PIN: %t, %v", ok, err)
	}
	aead, err := chacha20poly1305.NewX(
		unhex(t, "c5510066fcc0131ce1b0d4c0d113d53782b17cfd99e39bc10a963499e1c1be70"))
	if err != nil {
		t.Fatal(err)
	}
	head, nonce := unhex(t, "0141b8ece4"), bytes.Repeat([]byte{7}, 24)
	about := slices.Concat(head, secret[:16], []byte("\x07webhook"))
	box := slices.Concat(head, nonce, aead.Seal(nil, nonce, payload, about))
	if plain, err := k.Open(org, "webhook", box); err != nil || !bytes.Equal(plain, payload) {
		t.Errorf("box %q, %v", plain, err)
	}
}
