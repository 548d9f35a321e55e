package devicelink

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// maxEnrolment is the size of the largest enrolment, in bytes.
const maxEnrolment = 4 << 10

// Enrolment is the body of a POST to EnrolPath: a device claims its place.
type Enrolment struct {
	ClaimCode string    `json:"claimCode"`
	Serial    string    `json:"serial"`
	Model     string    `json:"model"`
	Firmware  string    `json:"firmware"`
	PublicKey PublicKey `json:"publicKey"` // made on the device; the private key never leaves it
	Proof     Signature `json:"proof"`     // see Enrolment.Sign
}

// Enrolled answers an Enrolment: what the device keeps, with its key, for as long as it lives.
type Enrolled struct {
	DeviceID       typeid.Device       `json:"deviceId"`
	OrganizationID typeid.Organization `json:"organizationId"` // whose commands it takes
	LinkURL        string              `json:"linkUrl"`        // a path on the host that answered
	ServerName     string              `json:"serverName"`     // what every challenge must name
	ServerKeys     []ServerKey         `json:"serverKeys"`     // what signs welcomes and orders
}

// Refusal is the body of every answer that is not a success.
type Refusal struct {
	Code    access.Code `json:"code"`
	Message string      `json:"message"`
	Field   string      `json:"field,omitempty"`
}

func (h *Handler) enrol(w http.ResponseWriter, r *http.Request) {
	var claim Enrolment
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEnrolment))
	body.DisallowUnknownFields()
	if err := body.Decode(&claim); err != nil {
		h.refuse(w, r, access.Error{Code: access.CodeBadUserInput, Message: plain(err).Error()})
		return
	}
	err := errors.Join(named("claimCode", claim.ClaimCode), named("serial", claim.Serial),
		named("model", claim.Model), named("firmware", claim.Firmware))
	if err != nil {
		h.refuse(w, r, access.Error{Code: access.CodeBadUserInput, Message: err.Error()})
		return
	}
	if !claim.Proven() {
		h.refuse(w, r, access.Error{
			Code: access.CodeBadUserInput, Field: "proof", Message: "not signed with publicKey",
		})
		return
	}
	ctx := actor.NewContext(r.Context(), actor.System("devicelink"))
	device, err := h.access.Enrol(ctx, access.EnrolInput{
		ClaimCode: claim.ClaimCode, Serial: claim.Serial, Model: claim.Model,
		Firmware: claim.Firmware, PublicKey: ed25519.PublicKey(claim.PublicKey[:]),
	})
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, http.StatusCreated, Enrolled{
		DeviceID: device.ID, OrganizationID: device.OrgID, LinkURL: LinkPath,
		ServerName: h.serverName, ServerKeys: h.keys.Public(),
	})
}

var statuses = map[access.Code]int{
	access.CodeUnauthenticated: http.StatusUnauthorized,
	access.CodeForbidden:       http.StatusForbidden,
	access.CodeNotFound:        http.StatusNotFound,
	access.CodeBadUserInput:    http.StatusBadRequest,
	access.CodeConflict:        http.StatusConflict,
	access.CodeRateLimited:     http.StatusTooManyRequests,
	codeUnavailable:            http.StatusServiceUnavailable,
	codeInternal:               http.StatusInternalServerError,
}

// retryAfter is when to try again, where that helps.
var retryAfter = map[access.Code]time.Duration{
	codeUnavailable: time.Second, access.CodeRateLimited: access.TryWindow,
}

// The codes that only this edge gives.
const (
	codeUnavailable access.Code = "UNAVAILABLE"
	codeInternal    access.Code = "INTERNAL"
)

// refuse answers with what the client may see of err, and logs what it may not.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var told access.Error
	if !errors.As(err, &told) {
		h.log.ErrorContext(r.Context(), "device request failed", "path", r.URL.Path,
			"request_id", actor.RequestID(r.Context()), "error", err)
		told = access.Error{Code: codeInternal, Message: "internal error"}
	}
	if after, ok := retryAfter[told.Code]; ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	}
	answer(w, statuses[told.Code], Refusal(told))
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}
