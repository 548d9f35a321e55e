package oauth

import (
	"context"
	stdErrors "errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// maxForm is the size of the largest form, in bytes.
const maxForm = 16 << 10

// grantTypes are those that there are.
var grantTypes = []string{"authorization_code", "refresh_token", "client_credentials"}

// direct is for requests that applications make themselves, from wherever they run. They are forms
// without a query, in which nothing is said twice.
func (o *room) direct(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // no cookie counts here
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if kind != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" ||
			r.ParseForm() != nil || twice(r) {
			o.refuse(w, errors.ErrInvalidRequest)
			return
		}
		next(w, r)
	}
}

// twice says whether a parameter was given more than once, but for those named.
func twice(r *http.Request, but ...string) bool {
	for name, values := range r.Form {
		if len(values) > 1 && !slices.Contains(but, name) {
			return true
		}
	}
	return false
}

// refuse answers with an error of the protocol.
func (o *room) refuse(w http.ResponseWriter, why error) {
	data, status, header := o.protocol.GetErrorData(why)
	for name := range header {
		w.Header().Set(name, header.Get(name))
	}
	writeJSON(w, status, data)
}

func (o *room) token(w http.ResponseWriter, r *http.Request) {
	if kind := r.PostForm.Get("grant_type"); kind != "" && !slices.Contains(grantTypes, kind) {
		o.refuse(w, errors.ErrUnsupportedGrantType)
		return
	}
	if err := o.protocol.HandleTokenRequest(w, r); err != nil { // of writing: the client is gone
		o.Log.DebugContext(r.Context(), "token not sent", "error", err)
	}
}

// revoke ends what an application gives back (RFC 7009).
func (o *room) revoke(w http.ResponseWriter, r *http.Request) {
	id, secret, err := credentials(r)
	if err == nil && r.PostForm.Get("token") == "" {
		err = errors.ErrInvalidRequest
	}
	if err == nil {
		c := access.ClientCredentials{ID: id, Secret: secret}
		err = refusal(o.Access.RevokeIssued(r.Context(), c, r.PostForm.Get("token")))
	}
	if err != nil {
		o.refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// credentials are how an application says which one it is: in the header or in the body, not in both.
func credentials(r *http.Request) (id, secret string, err error) {
	id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if len(r.Header.Values("Authorization")) == 0 {
		if id == "" {
			return "", "", errors.ErrInvalidClient
		}
		return id, secret, nil
	}
	basic, password, ok := r.BasicAuth()
	switch {
	case !ok:
		return "", "", errors.ErrInvalidClient
	case secret != "" || id != "" && id != basic:
		return "", "", errors.ErrInvalidRequest
	}
	return basic, password, nil
}

// exchange gives out tokens: the part of go-oauth2's manager that its token endpoint asks for.
type exchange struct {
	oauth2.Manager
	access *access.Service
}

// GenerateAccessToken implements oauth2.Manager, for codes and client credentials.
func (e exchange) GenerateAccessToken(
	ctx context.Context, kind oauth2.GrantType, r *oauth2.TokenGenerateRequest,
) (oauth2.TokenInfo, error) {
	c := access.ClientCredentials{ID: r.ClientID, Secret: r.ClientSecret}
	if kind == oauth2.ClientCredentials {
		return issued(e.access.OwnToken(ctx, c, scopesOf(r.Scope)))
	}
	return issued(e.access.RedeemCode(ctx, c, r.Code, r.RedirectURI, r.CodeVerifier))
}

// RefreshAccessToken implements oauth2.Manager.
func (e exchange) RefreshAccessToken(
	ctx context.Context, r *oauth2.TokenGenerateRequest,
) (oauth2.TokenInfo, error) {
	c := access.ClientCredentials{ID: r.ClientID, Secret: r.ClientSecret}
	return issued(e.access.RefreshTokens(ctx, c, r.Refresh, scopesOf(r.Scope)))
}

// issued is tokens as the protocol hands them out.
func issued(got *access.IssuedTokens, err error) (oauth2.TokenInfo, error) {
	if err != nil {
		return nil, refusal(err)
	}
	t := models.NewToken()
	t.SetAccess(got.Access)
	t.SetAccessExpiresIn(got.Lifetime)
	t.SetRefresh(got.Refresh)
	t.SetScope(scopeText(got.Scopes))
	return t, nil
}

// refusal is a refusal of access in the words of the protocol.
func refusal(err error) error {
	for ours, theirs := range map[error]error{
		access.ErrInvalidClient: errors.ErrInvalidClient, access.ErrInvalidGrant: errors.ErrInvalidGrant,
		access.ErrInvalidScope:       errors.ErrInvalidScope,
		access.ErrUnauthorizedClient: errors.ErrUnauthorizedClient,
	} {
		if stdErrors.Is(err, ours) {
			return theirs
		}
	}
	return err
}

// internal logs what is no refusal. The client is told that something is wrong here.
func (o *room) internal(err error) *errors.Response {
	o.Log.LogAttrs(context.Background(), slog.LevelError, "tokens not given", slog.Any("error", err))
	return nil
}

// correct has the statuses be what RFC 6749, 5.2, says they are.
func correct(r *errors.Response) {
	switch {
	case r.Error == errors.ErrInvalidClient: //nolint:errorlint // the library compares alike
		r.StatusCode = http.StatusUnauthorized
		r.SetHeader("WWW-Authenticate", `Basic realm="applications"`)
	case r.StatusCode < http.StatusInternalServerError:
		r.StatusCode = http.StatusBadRequest
	}
}

func scopesOf(text string) (scopes []actor.Scope) {
	for one := range strings.FieldsSeq(text) {
		scopes = append(scopes, actor.Scope(one))
	}
	return scopes
}

func scopeText(scopes []actor.Scope) string {
	texts := make([]string, len(scopes))
	for i, one := range scopes {
		texts[i] = string(one)
	}
	return strings.Join(texts, " ")
}
