package oauth

import (
	"encoding/json"
	"net/http"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// described is the metadata of RFC 8414.
type described struct {
	Issuer         string        `json:"issuer"`
	Authorization  string        `json:"authorization_endpoint"`
	Token          string        `json:"token_endpoint"`
	Revocation     string        `json:"revocation_endpoint"`
	Scopes         []actor.Scope `json:"scopes_supported"`
	ResponseTypes  []string      `json:"response_types_supported"`
	ResponseModes  []string      `json:"response_modes_supported"`
	GrantTypes     []string      `json:"grant_types_supported"`
	TokenAuth      []string      `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth []string      `json:"revocation_endpoint_auth_methods_supported"`
	Challenges     []string      `json:"code_challenge_methods_supported"`
	NamesIssuer    bool          `json:"authorization_response_iss_parameter_supported"`
}

func (o *room) metadata(w http.ResponseWriter, _ *http.Request) {
	issuer := o.PublicURL()
	methods := []string{"client_secret_basic", "client_secret_post", "none"}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	writeJSON(w, http.StatusOK, described{
		Issuer: issuer, Authorization: issuer + authorizePath, Token: issuer + tokenPath,
		Revocation: issuer + revokePath, Scopes: access.ApplicationScopes(),
		ResponseTypes: []string{"code"}, ResponseModes: []string{"query"}, GrantTypes: grantTypes,
		TokenAuth: methods, RevocationAuth: methods, Challenges: []string{"S256"}, NamesIssuer: true,
	})
}

// writeJSON answers with a value. That the client has gone is nothing to act on.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
