package access

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"
)

// A secret is a prefix, 30 random base62 characters (178 bits) and 6 of their CRC-32, so that a
// scanner can tell one from other text, and a typing error from an attack.
const (
	tokenPrefix         = "cardea_"
	linkPrefix          = "cardeakey_"
	sessionPrefix       = "cardeasession_"
	noncePrefix         = "cardeasignin_"
	applicationPrefix   = "cardea_app_"
	authorizationPrefix = "cardeacode_"
	refreshPrefix       = "cardearefresh_"
	secretRandom        = 30
	base62              = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newSecret(prefix string) string {
	random := make([]byte, secretRandom)
	for i := range random {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		random[i] = base62[n.Int64()]
	}
	return prefix + string(random) + checksum(string(random))
}

func checksum(random string) string {
	sum := crc32.ChecksumIEEE([]byte(random))
	var digits [6]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return string(digits[:])
}

func wellFormed(prefix, secret string) bool {
	rest, ok := strings.CutPrefix(secret, prefix)
	return ok && len(rest) == secretRandom+6 &&
		checksum(rest[:secretRandom]) == rest[secretRandom:]
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
