package access

import (
	"context"
	"fmt"
	"strings"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqljson"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/identityprovider"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// domainClientSecret is what a provider's client secret is sealed for.
const domainClientSecret = "identity provider"

const (
	maxDomains      = 20
	maxClientSecret = 2000
)

// CreateIdentityProviderInput describes a provider.
type CreateIdentityProviderInput struct {
	Name         string
	Issuer       string // https, and not inside
	Client       string // as the provider calls us
	ClientSecret string
	Domains      []string
	Required     *bool // nil: false
	CreateUsers  *bool // nil: false
}

// CreateIdentityProviderPayload holds the provider.
type CreateIdentityProviderPayload struct{ Provider *ent.IdentityProvider }

// CreateIdentityProvider lets a provider say who the organization's people are. Nothing is asked of it
// yet: whether it answers shows when somebody signs in. If it is required, it ends all sessions but
// those of owners.
func (s *Service) CreateIdentityProvider(
	ctx context.Context, in CreateIdentityProviderInput,
) (*CreateIdentityProviderPayload, error) {
	if err := Authorize(ctx, WriteProviders); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 100)
	f.issuer(in.Issuer, s.allowInside)
	f.text("clientId", in.Client, 255)
	f.text("clientSecret", in.ClientSecret, maxClientSecret)
	domains := f.domains(in.Domains)
	if err := f.err(); err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	var p *ent.IdentityProvider
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := signInRules(ctx, tx, forChange); err != nil {
			return nil, err
		}
		var err error
		p, err = tx.IdentityProvider.Create().SetName(in.Name).SetIssuer(in.Issuer).
			SetClient(in.Client).SetClientSecret(s.sealed(by.Organization, in.ClientSecret)).
			SetDomains(domains).SetRequired(orZero(in.Required)).SetCreateUsers(orZero(in.CreateUsers)).
			Save(ctx)
		if err != nil {
			return nil, err
		}
		ended, err := s.endBarred(ctx, tx)
		return append([]journal.Event{providerEvent("identity_provider.created", p.ID)}, ended...), err
	})
	if err != nil {
		return nil, err
	}
	return &CreateIdentityProviderPayload{p}, nil
}

func (s *Service) sealed(org typeid.Organization, secret string) []byte {
	return s.secrets.Seal(org, domainClientSecret, []byte(secret))
}

// UpdateIdentityProviderInput changes what it holds and leaves the rest. The issuer stays: whom one
// calls 7 is not whom another does.
type UpdateIdentityProviderInput struct {
	ID           typeid.IdentityProvider
	Name         *string
	ClientSecret *string
	Domains      []string // nil: unchanged
	Required     *bool
	CreateUsers  *bool
	Enabled      *bool
}

// UpdateIdentityProviderPayload holds the provider as it is now.
type UpdateIdentityProviderPayload struct{ Provider *ent.IdentityProvider }

// UpdateIdentityProvider changes a provider. Sessions that it began go on, also once it is disabled. Where
// one is required, those that were begun at none such end, but for owners'.
func (s *Service) UpdateIdentityProvider(
	ctx context.Context, in UpdateIdentityProviderInput,
) (*UpdateIdentityProviderPayload, error) {
	if err := Authorize(ctx, WriteProviders); err != nil {
		return nil, err
	}
	var f faults
	f.optionalText("name", in.Name, 100)
	f.optionalText("clientSecret", in.ClientSecret, maxClientSecret)
	domains := in.Domains
	if domains != nil {
		domains = f.domains(domains)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	var p *ent.IdentityProvider
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := signInRules(ctx, tx, forChange); err != nil {
			return nil, err
		}
		before, err := tx.IdentityProvider.Query().
			Where(identityprovider.ID(in.ID), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "identity provider", "id")
		}
		update := tx.IdentityProvider.UpdateOne(before).SetNillableName(in.Name).
			SetNillableRequired(in.Required).SetNillableCreateUsers(in.CreateUsers)
		if in.ClientSecret != nil {
			update.SetClientSecret(s.sealed(by.Organization, *in.ClientSecret))
		}
		if domains != nil {
			update.SetDomains(domains)
		}
		if in.Enabled != nil && *in.Enabled {
			update.ClearDisabledAt()
		}
		if in.Enabled != nil && !*in.Enabled && before.DisabledAt == nil {
			update.SetDisabledAt(s.now())
		}
		if p, err = update.Save(ctx); err != nil {
			return nil, err
		}
		ended, err := s.endBarred(ctx, tx)
		return append([]journal.Event{providerEvent("identity_provider.updated", p.ID)}, ended...), err
	})
	if err != nil {
		return nil, err
	}
	return &UpdateIdentityProviderPayload{p}, nil
}

// DeleteIdentityProviderInput names a provider.
type DeleteIdentityProviderInput struct{ ID typeid.IdentityProvider }

// DeleteIdentityProviderPayload names the provider that was.
type DeleteIdentityProviderPayload struct{ DeletedID typeid.IdentityProvider }

// DeleteIdentityProvider forgets a provider, and whom it knows its users as. Sessions that it began go
// on, unless another is required.
func (s *Service) DeleteIdentityProvider(
	ctx context.Context, in DeleteIdentityProviderInput,
) (*DeleteIdentityProviderPayload, error) {
	if err := Authorize(ctx, WriteProviders); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := signInRules(ctx, tx, forChange); err != nil {
			return nil, err
		}
		err := tx.IdentityProvider.DeleteOneID(in.ID).Exec(ctx)
		if err := found(err, "identity provider", "id"); err != nil {
			return nil, err
		}
		ended, err := s.endBarred(ctx, tx)
		return append([]journal.Event{providerEvent("identity_provider.deleted", in.ID)}, ended...), err
	})
	if err != nil {
		return nil, err
	}
	return &DeleteIdentityProviderPayload{in.ID}, nil
}

func providerEvent(kind string, id typeid.IdentityProvider) journal.Event {
	return journal.Event{Type: kind, Data: data("providerId", id)}
}

// issuer checks where a provider is. It is compared as it stands, and asked for more below it.
func (f *faults) issuer(raw string, inside bool) {
	if err := CheckWebhookURL(raw, inside); err != nil {
		f.add("issuer", "%s", err)
	} else if strings.ContainsRune(raw, '?') {
		f.add("issuer", "must not have a query")
	}
}

// domains checks domains of e-mail addresses, and returns them in lower case, each once.
func (f *faults) domains(all []string) []string {
	if len(all) == 0 || len(all) > maxDomains {
		f.add("domains", "must be 1 to %d domains", maxDomains)
	}
	lower := make([]string, len(all))
	for i, one := range all {
		lower[i] = strings.ToLower(one)
		if len(one) > maxWebhookHost || !hostName.MatchString(lower[i]) {
			f.add("domains", "%q is not a domain, such as example.com", clip(one, 100))
		}
	}
	return onceEach(lower)
}

// RedirectURL is where a provider sends browsers back to. Each has its own, so that none answers for
// another.
func (s *Service) RedirectURL(id typeid.IdentityProvider) string {
	return s.publicURL() + ProviderPath + id.String() + "/callback"
}

// ProviderPath is where people are sent to a provider from, once its identifier is appended.
const ProviderPath = SignInPath + "/oidc/"

// Offer is a provider that people may sign in at, and whose it is.
type Offer struct {
	Provider     *ent.IdentityProvider
	Organization *ent.Organization
}

// maxOffers bounds how many providers of one domain are offered.
const maxOffers = 10

// ProvidersFor returns those that vouch for the domain of an e-mail address, whosever that is.
func (s *Service) ProvidersFor(ctx context.Context, email string) ([]Offer, error) {
	_, domain, _ := strings.Cut(normalEmail(email), "@")
	return s.offers(ctx, func(q *sql.Selector) {
		q.Where(sqljson.ValueContains(q.C(identityprovider.FieldDomains), domain))
	})
}

// Provider returns one that people may sign in at. It fails with NOT_FOUND.
func (s *Service) Provider(ctx context.Context, id typeid.IdentityProvider) (*Offer, error) {
	all, err := s.offers(ctx, identityprovider.ID(id))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, notFound("identity provider", "")
	}
	return &all[0], nil
}

func (s *Service) offers(
	ctx context.Context, which predicate.IdentityProvider,
) ([]Offer, error) {
	ctx = actor.NewContext(ctx, actor.System("sign-in"))
	all, err := s.db.IdentityProvider.Query().Where(which, identityprovider.DisabledAtIsNil()).
		Order(identityprovider.ByID()).Limit(maxOffers).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find identity providers: %w", err)
	}
	offers := make([]Offer, len(all))
	for i, one := range all {
		org, err := s.db.Organization.Get(ctx, one.OrgID)
		if err != nil {
			return nil, fmt.Errorf("load organization: %w", err)
		}
		offers[i] = Offer{one, org}
	}
	return offers, nil
}
