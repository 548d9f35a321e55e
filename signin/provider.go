package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
)

const (
	providerTimeout = 10 * time.Second // for each request
	maxProviderBody = 1 << 20          // bytes
	maxTokenAge     = 10 * time.Minute
)

// algorithms are those that a provider may sign with. None has a key that a client knows, so that no
// published key can be taken for a shared one.
var algorithms = []string{oidc.RS256, oidc.ES256, oidc.PS256, oidc.EdDSA}

// newProviderClient returns a client for what an administrator has named. It reaches what webhooks do
// (access.CheckWebhookAddress), decided on the very address that is dialled, follows no redirect, and
// reads no more than an answer may hold.
func newProviderClient(inside bool) *http.Client {
	dialer := net.Dialer{
		Timeout: providerTimeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("parse address: %w", err)
			}
			return access.CheckWebhookAddress(to.Addr(), inside)
		},
	}
	return &http.Client{
		Timeout:       providerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: limited{&http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: providerTimeout, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		}},
	}
}

// limited cuts answers off.
type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxProviderBody), answer.Body}
	}
	return answer, err
}

// discovered is what a provider says of itself.
type discovered struct {
	*oidc.Provider
	oauth2.Config
	NamesItself bool // in each answer, as RFC 9207 says
}

// discover asks a provider where it is asked, unless it has said so lately.
func (s *signin) discover(
	ctx context.Context, p *ent.IdentityProvider, secret string,
) (*discovered, error) {
	is, err := s.said.of(ctx, p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover: %w", err)
	}
	var said struct {
		NamesItself bool     `json:"authorization_response_iss_parameter_supported"`
		Proofs      []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := is.Claims(&said); err != nil {
		return nil, fmt.Errorf("discover: %w", err)
	}
	endpoint := is.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(said.Proofs) > 0 && !slices.Contains(said.Proofs, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	u, err := url.Parse(endpoint.AuthURL)
	if err != nil {
		return nil, fmt.Errorf("authorization endpoint: %w", err)
	}
	u.RawQuery = ""
	if err := access.CheckWebhookURL(u.String(), s.inside); err != nil {
		return nil, fmt.Errorf("authorization endpoint: %w", err)
	}
	return &discovered{is, oauth2.Config{
		ClientID: p.Client, ClientSecret: secret, Endpoint: endpoint,
		RedirectURL: s.access.RedirectURL(p.ID), Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}, said.NamesItself}, nil
}

// derived is a value of a purpose that only the browser with the nonce can have asked with.
func derived(purpose, nonce string) string {
	sum := sha256.Sum256([]byte(purpose + " " + nonce))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authURL is where a browser goes that was sent to a provider.
func (s *signin) authURL(ctx context.Context, q *access.ProviderQuestion) (string, error) {
	ctx = oidc.ClientContext(ctx, s.providers)
	is, err := s.discover(ctx, q.Provider, "")
	if err != nil {
		return "", err
	}
	return is.AuthCodeURL(q.State, oidc.Nonce(derived("nonce", q.Nonce)),
		oauth2.S256ChallengeOption(derived("verifier", q.Nonce))), nil
}

// claims trades what a browser brought for what the provider says of whoever sits there, and checks
// that it says so, of them, to us, now, because that browser asked.
func (s *signin) claims(
	ctx context.Context, answer *access.ProviderAnswer, brought url.Values, nonce string,
) (*access.Claims, error) {
	ctx = oidc.ClientContext(ctx, s.providers)
	is, err := s.discover(ctx, answer.Provider, answer.ClientSecret)
	if err != nil {
		return nil, err
	}
	code, err := codeOf(brought, answer.Provider.Issuer, is.NamesItself)
	if err != nil {
		return nil, err
	}
	token, err := is.Exchange(ctx, code, oauth2.VerifierOption(derived("verifier", nonce)))
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := is.Verifier(&oidc.Config{
		ClientID: answer.Provider.Client, SupportedSigningAlgs: algorithms,
	}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("ID token: %w", err)
	}
	said, err := checkClaims(id, answer.Provider.Client, derived("nonce", nonce))
	if err != nil || said.EmailVerified || is.UserInfoEndpoint() == "" {
		return said, err
	}
	return said, addUserInfo(ctx, is.Provider, token, said)
}

// codeOf is what a provider sent the browser back with.
func codeOf(brought url.Values, issuer string, namesItself bool) (string, error) {
	for name, values := range brought {
		if len(values) > 1 {
			return "", fmt.Errorf("%q is there twice", name)
		}
	}
	switch {
	case brought.Has("iss") && brought.Get("iss") != issuer, namesItself && !brought.Has("iss"):
		return "", errors.New("an answer of another provider")
	case brought.Get("error") != "":
		return "", fmt.Errorf("refused: %q", brought.Get("error"))
	case brought.Get("code") == "":
		return "", errors.New("no code")
	}
	return brought.Get("code"), nil
}

// mail is what tokens and answers say of an e-mail address. Entra ID never says email_verified: it has
// xms_edov, which says that the domain is its customer's.
type mail struct {
	Email    string `json:"email"`
	Verified any    `json:"email_verified"`
	Edov     any    `json:"xms_edov"`
}

func (m mail) isVerified() bool {
	yes := func(v any) bool { return v == true || v == "true" || v == "1" || v == float64(1) }
	return m.Email != "" && (yes(m.Verified) || yes(m.Edov))
}

// checkClaims checks what go-oidc leaves to its callers.
func checkClaims(id *oidc.IDToken, client, nonce string) (*access.Claims, error) {
	var said struct {
		mail
		AuthorizedParty string `json:"azp"`
		Name            string `json:"name"`
	}
	if err := id.Claims(&said); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	switch {
	case !hmac.Equal([]byte(id.Nonce), []byte(nonce)):
		return nil, errors.New("another nonce")
	case len(id.Audience) > 1 && said.AuthorizedParty == "":
		return nil, errors.New("for several, and none is authorized")
	case said.AuthorizedParty != "" && said.AuthorizedParty != client:
		return nil, errors.New("for another client")
	case time.Since(id.IssuedAt).Abs() > maxTokenAge:
		return nil, errors.New("not issued just now")
	}
	return &access.Claims{Issuer: id.Issuer, Subject: id.Subject, Email: said.Email,
		EmailVerified: said.isVerified(), Name: said.Name}, nil
}

// addUserInfo adds what some providers tell only when asked once more, of the same person.
func addUserInfo(
	ctx context.Context, is *oidc.Provider, token *oauth2.Token, said *access.Claims,
) error {
	info, err := is.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fmt.Errorf("user info: %w", err)
	}
	var more struct {
		mail
		Name string `json:"name"`
	}
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("user info: %w", err)
	}
	if info.Subject != said.Subject {
		return errors.New("user info of somebody else")
	}
	said.Email, said.EmailVerified = more.Email, more.isVerified()
	if said.Name == "" {
		said.Name = more.Name
	}
	return nil
}
