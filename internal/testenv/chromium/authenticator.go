package chromium

// Authenticator is one that is built into the device, holds passkeys, and has its user verified.
type Authenticator struct {
	page *Page
	id   string
}

// Passkey is what an authenticator holds, with its private key.
type Passkey map[string]any

// Authenticator gives the window's device an authenticator.
func (p *Page) Authenticator() *Authenticator {
	p.t.Helper()
	p.call(p.session, "WebAuthn.enable", nil, nil)
	var made struct{ AuthenticatorID string }
	p.call(p.session, "WebAuthn.addVirtualAuthenticator", params{"options": params{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
		"hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
	}}, &made)
	return &Authenticator{p, made.AuthenticatorID}
}

// Passkeys returns what it holds.
func (a *Authenticator) Passkeys() []Passkey {
	a.page.t.Helper()
	var got struct{ Credentials []Passkey }
	a.page.call(a.page.session, "WebAuthn.getCredentials", params{"authenticatorId": a.id}, &got)
	return got.Credentials
}

// Take has it hold a passkey, with the private key, that another may hold too.
func (a *Authenticator) Take(p Passkey) {
	a.page.t.Helper()
	a.page.call(a.page.session, "WebAuthn.addCredential",
		params{"authenticatorId": a.id, "credential": p}, nil)
}
