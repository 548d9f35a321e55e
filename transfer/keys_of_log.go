package transfer

import (
	"net/http"
	"time"
)

// logKey is a public key that verifies the checkpoints of all logs of this installation.
type logKey struct {
	PublicKey  string    `json:"publicKey"` // Ed25519, in base64
	ValidFrom  time.Time `json:"validFrom,omitzero"`
	ValidUntil time.Time `json:"validUntil,omitzero"`
}

// giveKeys tells everybody the public keys, newest first.
func (t *transfer) giveKeys(w http.ResponseWriter, _ *http.Request) {
	keys := []logKey{}
	for _, key := range t.notary.Keys().All() {
		keys = append(keys, logKey{key.PublicKey.String(), key.From, key.Until})
	}
	writeJSON(w, http.StatusOK, map[string][]logKey{"keys": keys})
}
