package access

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/typeid"
)

// maxTokenSites and maxTokenAddresses bound what a token lists.
const (
	maxTokenSites     = 200
	maxTokenAddresses = 50
)

// limits is what a token is narrowed to; nil where it is not.
type limits struct {
	scopes    []actor.Scope
	sites     []typeid.Site
	addresses []netip.Prefix
	until     *time.Time
}

// limits reads what a token is to be narrowed to.
func (in CreateAPITokenInput) limits(f *faults) (l limits) {
	known := Scopes()
	l.until = in.ExpiresAt
	if in.Scopes != nil {
		l.scopes = onceEach(in.Scopes)
		if len(l.scopes) == 0 {
			f.add("scopes", "name at least one")
		}
	}
	for i, scope := range l.scopes {
		if !slices.Contains(known, scope) {
			f.add(fmt.Sprintf("scopes.%d", i), "is no scope")
		}
	}
	if in.SiteIDs != nil {
		l.sites = onceEach(in.SiteIDs)
		if len(l.sites) == 0 || len(l.sites) > maxTokenSites {
			f.add("siteIds", "name from 1 to %d sites", maxTokenSites)
		}
	}
	if in.Addresses != nil {
		l.addresses = f.prefixes("addresses", in.Addresses)
		if n := len(in.Addresses); n == 0 || n > maxTokenAddresses {
			f.add("addresses", "name from 1 to %d addresses", maxTokenAddresses)
		}
	}
	return l
}

// prefixes reads addresses and networks, such as 203.0.113.7 and 2001:db8::/32.
func (f *faults) prefixes(field string, texts []string) []netip.Prefix {
	read := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, one := netip.ParseAddr(text); one == nil {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil || p.Addr().Zone() != "" || p.Addr().Is4In6() {
			f.add(fmt.Sprintf("%s.%d", field, i), "must be an address or a network, such as 203.0.113.0/24")
		}
		read[i] = p.Masked()
	}
	return onceEach(read)
}

func limitsOfToken(t *ent.APIToken) limits {
	return limits{t.Scopes, t.SiteIds, t.Addresses, t.ExpiresAt}
}

// limitsOf is what the token in use is narrowed to, by itself; the zero value if there is none.
func limitsOf(ctx context.Context, tx *ent.Tx) (limits, error) {
	by, _ := actor.FromContext(ctx)
	if by.Token.IsZero() {
		return limits{}, nil
	}
	t, err := tx.APIToken.Query().Where(apitoken.ID(by.Token)).Only(ctx)
	if ent.IsNotFound(err) {
		return limits{}, errUnauthenticated
	}
	if err != nil {
		return limits{}, fmt.Errorf("load token in use: %w", err)
	}
	l := limitsOfToken(t)
	if !by.Until.IsZero() && (l.until == nil || by.Until.Before(*l.until)) { // a secret from before a rotation
		l.until = &by.Until
	}
	return l, nil
}

// cover says whether another token, narrowed to so much, may do nothing that this one may not, nor for
// longer.
func (l limits) cover(other limits) bool {
	return (l.scopes == nil || other.scopes != nil && subset(other.scopes, l.scopes)) &&
		(l.sites == nil || other.sites != nil && subset(other.sites, l.sites)) &&
		(l.addresses == nil || other.addresses != nil && inside(other.addresses, l.addresses)) &&
		(l.until == nil || other.until != nil && !other.until.After(*l.until))
}

// narrowed is what is wanted of a new token, where it leaves something open as here. It fails if that
// is more.
func (l limits) narrowed(wanted limits) (limits, error) {
	if wanted.scopes == nil {
		wanted.scopes = l.scopes
	}
	if wanted.sites == nil {
		wanted.sites = l.sites
	}
	if wanted.addresses == nil {
		wanted.addresses = l.addresses
	}
	if wanted.until == nil {
		wanted.until = l.until
	}
	if !l.cover(wanted) {
		return wanted, Error{CodeForbidden, "a token makes none that may do more than itself", ""}
	}
	return wanted, nil
}

func (l limits) set(create *ent.APITokenCreate) *ent.APITokenCreate {
	if l.scopes != nil {
		create.SetScopes(l.scopes)
	}
	if l.sites != nil {
		create.SetSiteIds(l.sites)
	}
	if l.addresses != nil {
		create.SetAddresses(l.addresses)
	}
	return create.SetNillableExpiresAt(l.until)
}

func subset[K comparable](ids, of []K) bool { return common(ids, of) == len(ids) }

// inside says whether each network is within one of others.
func inside(networks, others []netip.Prefix) bool {
	for _, n := range networks {
		if !slices.ContainsFunc(others, func(o netip.Prefix) bool {
			return o.Bits() <= n.Bits() && o.Contains(n.Addr())
		}) {
			return false
		}
	}
	return true
}

// mayComeFrom says whether a token may be used from an address.
func mayComeFrom(t *ent.APIToken, from netip.Addr) bool {
	return t.Addresses == nil ||
		slices.ContainsFunc(t.Addresses, func(p netip.Prefix) bool { return p.Contains(from) })
}

// Scopes are the parts of the API that a token may be narrowed to, by name.
func Scopes() []actor.Scope {
	var all []actor.Scope
	for _, row := range policy {
		all = append(all, row.scope)
	}
	slices.SortFunc(all, func(a, b actor.Scope) int { return strings.Compare(string(a), string(b)) })
	return slices.Compact(all)
}
