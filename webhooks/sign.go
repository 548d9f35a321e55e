package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// The headers of Standard Webhooks 1.0.0. They are lower case on the wire in the specification;
// HTTP does not mind.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// setSignature identifies and signs a message. The id is the same on every attempt, at is the
// instant of this one; the signature covers both and the body.
func setSignature(header http.Header, secret []byte, id string, at time.Time, body []byte) {
	header.Set(headerID, id)
	header.Set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(headerSignature, sign(secret, id, at, body))
}

// sign returns the v1 signature: HMAC-SHA256 over id, timestamp and body, joined by full stops.
func sign(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
