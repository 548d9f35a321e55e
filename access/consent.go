package access

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CodeLife is how long an authorization code is good.
const CodeLife = time.Minute

// consentSites is how many sites a person may choose among.
const consentSites = 100

// AskingApplication returns the application that asks a person to let it act for them, and to be told at
// a URI. Whoever asks is nobody yet. It fails with NOT_FOUND if there is no such application, it is
// disabled, or the URI is none of its own: then nobody must be sent there.
func (s *Service) AskingApplication(
	ctx context.Context, clientID, redirectURI string,
) (*ent.Application, error) {
	id, err := typeid.Parse[typeid.Application](clientID)
	if err != nil {
		return nil, notFound("application", "client_id")
	}
	app, err := s.db.Application.Query().Where(application.ID(id), application.DisabledAtIsNil()).
		Only(actor.NewContext(ctx, actor.System("oauth")))
	if err != nil {
		return nil, found(err, "application", "client_id")
	}
	if !maySendTo(app.RedirectUris, redirectURI) {
		return nil, notFound("redirect URI of this application", "redirect_uri")
	}
	return app, nil
}

// Consent is what a person is asked.
type Consent struct {
	Application  *ent.Application
	Organization *ent.Organization
	User         *ent.User
	Maker        *ent.User // of the application; nil once deleted
	Scopes       []actor.Scope
	Sites        []*ent.Site // that they may confine it to, by name, the first 100
}

// AskConsent returns what the person who is signed in is asked. It fails with NOT_FOUND if the application
// is not of their organization, with BAD_USER_INPUT if it asks for what it may not ask for, and with
// FORBIDDEN if they may let nothing act for them.
func (s *Service) AskConsent(
	ctx context.Context, id typeid.Application, scopes []actor.Scope,
) (*Consent, error) {
	by, err := consenting(ctx)
	if err != nil {
		return nil, err
	}
	c := &Consent{}
	if c.Application, err = s.db.Application.Query().Where(application.ID(id)).Only(ctx); err != nil {
		return nil, found(err, "application", "client_id")
	}
	if c.Scopes, err = asked(c.Application, scopes); err != nil {
		return nil, err
	}
	if c.Organization, err = s.db.Organization.Get(ctx, by.Organization); err != nil {
		return nil, fmt.Errorf("load organization: %w", err)
	}
	people, err := s.db.User.Query().
		Where(user.IDIn(by.User, orZero(c.Application.CreatedByID))).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load users: %w", err)
	}
	for _, u := range people {
		if u.ID == by.User {
			c.User = u
		}
		if u.ID == orZero(c.Application.CreatedByID) {
			c.Maker = u
		}
	}
	visible, err := s.VisibleSites(ctx)
	if err != nil {
		return nil, err
	}
	c.Sites, err = s.db.Site.Query().Where(visible).Order(site.ByName()).Limit(consentSites).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load sites: %w", err)
	}
	return c, nil
}

// consenting is the person who is signed in: programs let nothing act for anybody.
func consenting(ctx context.Context) (actor.Actor, error) {
	by, _ := actor.FromContext(ctx)
	if by.Kind != actor.KindUser {
		return by, errForbidden
	}
	return by, Authorize(ctx, WriteGrants)
}

// asked is the scopes that an application asks for: all that it may ask for, if it names none.
func asked(app *ent.Application, scopes []actor.Scope) ([]actor.Scope, error) {
	if len(scopes) == 0 {
		return app.Scopes, nil
	}
	if !subset(scopes, app.Scopes) {
		return nil, Error{CodeBadUserInput, "the application may not ask for this", "scope"}
	}
	return onceEach(scopes), nil
}

// GiveGrantInput is what a person has agreed to.
type GiveGrantInput struct {
	ApplicationID typeid.Application
	RedirectURI   string
	Scopes        []actor.Scope
	SiteIDs       []typeid.Site // nil: not confined to sites
	Challenge     string        // of PKCE, method S256
}

// challenges are SHA-256 sums in base64url.
var challenges = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// IsChallenge says whether a text can be a challenge of PKCE.
func IsChallenge(text string) bool { return challenges.MatchString(text) }

// GiveGrant lets an application act for the person who is signed in, and returns the code that it gets
// tokens for, once, within a minute. It checks all that AskConsent does, once more.
func (s *Service) GiveGrant(ctx context.Context, in GiveGrantInput) (string, error) {
	by, err := consenting(ctx)
	if err != nil {
		return "", err
	}
	if !IsChallenge(in.Challenge) {
		return "", Error{CodeBadUserInput, "must be the SHA-256 of a verifier", "code_challenge"}
	}
	code, now := newSecret(authorizationPrefix), s.now()
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		_, err := tx.User.Query().Where(user.ID(by.User), user.StatusEQ(user.StatusACTIVE)).
			ForShare().Only(ctx)
		if err != nil {
			return nil, found(err, "user", "")
		}
		app, err := tx.Application.Query().
			Where(application.ID(in.ApplicationID), application.DisabledAtIsNil()).ForShare().Only(ctx)
		if err != nil {
			return nil, found(err, "application", "client_id")
		}
		if !maySendTo(app.RedirectUris, in.RedirectURI) {
			return nil, notFound("redirect URI of this application", "redirect_uri")
		}
		scopes, err := asked(app, in.Scopes)
		if err != nil {
			return nil, err
		}
		if err := s.sitesAreSeen(ctx, tx, in.SiteIDs); err != nil {
			return nil, err
		}
		create := tx.Grant.Create().SetUserID(by.User).SetApplicationID(app.ID).SetScopes(scopes).
			SetCreatedAt(now).SetExpiresAt(now.Add(CodeLife))
		if in.SiteIDs != nil {
			create.SetSiteIds(onceEach(in.SiteIDs))
		}
		one, err := create.Save(ctx)
		if err != nil {
			return nil, fmt.Errorf("create grant: %w", err)
		}
		err = tx.AuthorizationCode.Create().SetGrantID(one.ID).SetHash(hashSecret(code)).
			SetRedirectURI(in.RedirectURI).SetChallenge(in.Challenge).
			SetExpiresAt(now.Add(CodeLife)).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("create code: %w", err)
		}
		return []journal.Event{grantEvent("grant.created", one, granted(one))}, nil
	})
	if err != nil {
		return "", err
	}
	return code, nil
}

// sitesAreSeen fails unless the actor sees each site.
func (s *Service) sitesAreSeen(ctx context.Context, tx *ent.Tx, ids []typeid.Site) error {
	if ids == nil {
		return nil
	}
	if len(ids) == 0 || len(ids) > maxTokenSites {
		return Error{CodeBadUserInput, fmt.Sprintf("name from 1 to %d sites", maxTokenSites), "site"}
	}
	visible, err := s.VisibleSites(ctx)
	if err != nil {
		return err
	}
	n, err := tx.Site.Query().Where(visible, siteAt(ids)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count sites: %w", err)
	}
	if n != len(onceEach(slices.Clone(ids))) {
		return notFound("site", "site")
	}
	return nil
}
