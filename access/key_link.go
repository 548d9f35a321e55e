package access

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// LinkPath is where links to shared keys lead: the secret follows it.
const LinkPath = "/k/"

// maxGuestSession is how long the browser that redeemed a link knows whose the key is.
const maxGuestSession = 30 * 24 * time.Hour

// linkDoors is how many doors a link shows before it is redeemed.
const linkDoors = 100

// errLink is all that is said of a link that cannot be redeemed, whatever the cause.
var errLink = Error{CodeNotFound, "the link is not valid", ""}

func (s *Service) link(secret string) string { return s.publicURL() + LinkPath + secret }

// RenewKeyLinkInput names a key that was shared.
type RenewKeyLinkInput struct{ KeyID typeid.Key }

// RenewKeyLinkPayload holds the key and its new URL, which is shown this once.
type RenewKeyLinkPayload struct {
	Key  *ent.Key
	Link string
}

// RenewKeyLink gives a shared key that nobody has redeemed another link; the one before is void.
// Other than administrators renew the links of what they shared.
func (s *Service) RenewKeyLink(
	ctx context.Context, in RenewKeyLinkInput,
) (*RenewKeyLinkPayload, error) {
	secret := newSecret(linkPrefix)
	renew := func(
		ctx context.Context, tx *ent.Tx, family []*ent.Key,
	) (_ []journal.Event, err error) {
		if k := family[0]; k.Recipient == nil || !redeemable(k, s.now()) {
			return nil, Error{CodeConflict, "the key has no link, or not any more", "keyId"}
		}
		family[0], err = tx.Key.UpdateOne(family[0]).SetLinkHash(hashSecret(secret)).Save(ctx)
		if err != nil {
			return nil, fmt.Errorf("renew link: %w", err)
		}
		return []journal.Event{keyEvent("key.link_renewed", family[0])}, nil
	}
	family, err := s.changeFamily(ctx, ShareKeys, in.KeyID, "keyId", confirmation{}, renew)
	if err != nil {
		return nil, err
	}
	return &RenewKeyLinkPayload{family[0], s.link(secret)}, nil
}

// redeemable says whether the key waits for somebody to redeem it.
func redeemable(k *ent.Key, at time.Time) bool {
	return k.UserID == nil && k.UserGroupID == nil && k.RedeemedAt == nil &&
		k.SuspendedAt == nil && StatusOf(k, at) == KeyPending
}

// Link is what a link to a shared key shows.
type Link struct {
	Key          *ent.Key
	Organization *ent.Organization
	Doors        []*ent.Door // by name, the first 100
	Sites        []*ent.Site // of those doors, by name
}

// ReadLink returns what a link's secret stands for, and changes nothing. It fails with NOT_FOUND if
// the secret is malformed (without asking the database), unknown, used or void.
func (s *Service) ReadLink(ctx context.Context, secret string) (*Link, error) {
	k, within, err := s.findLink(ctx, secret)
	if err != nil {
		return nil, err
	}
	l := &Link{Key: k}
	if l.Organization, err = s.db.Organization.Get(within, k.OrgID); err != nil {
		return nil, fmt.Errorf("load organization: %w", err)
	}
	l.Doors, err = s.db.Door.Query().Where(func(q *sql.Selector) { q.Where(openedBy(q, k.ID)) }).
		Order(door.ByName(), door.ByID()).Limit(linkDoors).All(within)
	if err != nil {
		return nil, fmt.Errorf("load doors: %w", err)
	}
	sites := make([]typeid.Site, len(l.Doors))
	for i, d := range l.Doors {
		sites[i] = d.SiteID
	}
	l.Sites, err = s.db.Site.Query().
		Where(whose(site.FieldID, sites)).
		Order(site.ByName()).All(within)
	if err != nil {
		return nil, fmt.Errorf("load sites: %w", err)
	}
	return l, nil
}

// openedBy is true of doors that a key is for, by whatever way.
func openedBy(q *sql.Selector, id typeid.Key) *sql.Predicate {
	return sql.Or(
		among(q.C(door.FieldID), `SELECT via.door_id FROM key_targets via WHERE via.key_id = ?
			UNION ALL SELECT m.door_id FROM key_targets via JOIN door_groups g
			ON g.org_id = via.org_id AND via.door_group_id IN (g.id, g.parent_id)
			JOIN door_group_doors m ON m.org_id = g.org_id AND m.door_group_id = g.id
			WHERE via.key_id = ?`, id, id),
		among(q.C(door.FieldSiteID), "SELECT via.site_id FROM key_targets via WHERE via.key_id = ?", id),
	)
}

// findLink returns the key that a link's secret stands for, and a context to act in its
// organization.
func (s *Service) findLink(
	ctx context.Context, secret string,
) (*ent.Key, context.Context, error) {
	if !wellFormed(linkPrefix, secret) {
		return nil, nil, errLink
	}
	by := actor.System("link")
	k, err := s.db.Key.Query().Where(key.LinkHash(hashSecret(secret))).
		Only(actor.NewContext(ctx, by))
	switch {
	case ent.IsNotFound(err):
		return nil, nil, errLink
	case err != nil:
		return nil, nil, fmt.Errorf("find link: %w", err)
	case !redeemable(k, s.now()):
		return nil, nil, errLink
	}
	return k, actor.NewContext(ctx, by.Within(k.OrgID)), nil
}

// Redeemed is a shared key that has found its holder, a guest, with the secret of a token by which
// their browser acts for them.
type Redeemed struct {
	Key     *ent.Key
	Guest   *ent.User
	Secret  string
	Expires time.Time
}

// RedeemLink makes a person of whoever has a link, and gives them its key. It does so once; a
// second time, the link is as unknown as one that never was (see ReadLink).
func (s *Service) RedeemLink(ctx context.Context, secret string) (*Redeemed, error) {
	k, ctx, err := s.findLink(ctx, secret)
	if err != nil {
		return nil, err
	}
	r := &Redeemed{Secret: newSecret(tokenPrefix)}
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		now := s.now()
		r.Key, err = tx.Key.Query().
			Where(key.ID(k.ID), key.LinkHash(hashSecret(secret)), forChange).Only(ctx)
		if ent.IsNotFound(err) || err == nil && !redeemable(r.Key, now) {
			return nil, errLink
		}
		if err != nil {
			return nil, fmt.Errorf("lock key: %w", err)
		}
		return r.redeem(ctx, tx, now)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Redeemed) redeem(
	ctx context.Context, tx *ent.Tx, now time.Time,
) (_ []journal.Event, err error) {
	name := Masked(orZero(r.Key.Recipient))
	if r.Key.RecipientName != nil {
		name = *r.Key.RecipientName
	}
	r.Guest, err = tx.User.Create().SetName(name).SetRole(actor.RoleGuest).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create guest: %w", err)
	}
	r.Key, err = tx.Key.UpdateOne(r.Key).SetUserID(r.Guest.ID).SetRedeemedAt(now).ClearLinkHash().
		Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("redeem key: %w", err)
	}
	err = tx.KeyTarget.Update().Where(keytarget.KeyID(r.Key.ID)).SetUserID(r.Guest.ID).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("redeem key: %w", err)
	}
	r.Expires = now.Add(maxGuestSession)
	if end := r.Key.ValidUntil; end != nil && end.Before(r.Expires) {
		r.Expires = *end
	}
	token, err := tx.APIToken.Create().SetUserID(r.Guest.ID).SetName("Browser").
		SetHash(hashSecret(r.Secret)).SetExpiresAt(r.Expires).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create token: %w", err)
	}
	return []journal.Event{
		{Type: "user.created", User: r.Guest.ID},
		keyEvent("key.redeemed", r.Key),
		tokenEvent("api_token.created", token),
	}, nil
}
