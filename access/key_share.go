package access

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxDepth is how many times a key may be shared on.
const maxDepth = 3

// ShareKeyInput describes a key to make from another one, for somebody who gets a link to it. What
// it leaves open is as that key has it.
type ShareKeyInput struct {
	KeyID         typeid.Key
	Recipient     string        // e-mail address, or phone number such as +390612345678
	RecipientName *string       // nil: as much of Recipient as may be shown
	DoorIDs       []typeid.Door // empty: all that the key opens
	ValidFrom     *time.Time
	ValidUntil    *time.Time
	Uses          *int
	Remote        *bool
	ScheduleID    *typeid.Schedule // beside that of the key
	Shares        *int             // how many keys may be shared on from it; nil: none
}

// ShareKeyPayload holds the new key, and the URL that redeems it, which is shown this once.
type ShareKeyPayload struct {
	Key  *ent.Key
	Link string
}

// ShareKey makes a key that never opens more than the one that it comes from, and a link to it.
// Whoever holds a key may share it as often as it allows, and an administrator may in their place.
// What the holder shared opens only as long as they hold their key.
func (s *Service) ShareKey(ctx context.Context, in ShareKeyInput) (*ShareKeyPayload, error) {
	if err := Authorize(ctx, ShareKeys); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	secret := newSecret(linkPrefix)
	var k *ent.Key
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.holdSchedule(ctx, tx, ShareKeys, in.ScheduleID); err != nil {
			return nil, err
		}
		parent, asHolder, err := s.shareable(ctx, tx, in.KeyID)
		if err != nil {
			return nil, err
		}
		opens, err := s.shared(ctx, tx, parent, in)
		if err != nil {
			return nil, err
		}
		if err := tx.Key.UpdateOne(parent).AddSharesLeft(-1).Exec(ctx); err != nil {
			return nil, fmt.Errorf("count share: %w", err)
		}
		create := in.create(tx, parent).SetLinkHash(hashSecret(secret))
		if by, _ := actor.FromContext(ctx); asHolder {
			create.SetSharedByID(by.User)
		}
		if k, err = create.Save(ctx); err != nil {
			return nil, err
		}
		if err := opens.save(ctx, tx, k); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "key.shared", Key: k.ID, Data: data("fromKeyId", parent.ID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &ShareKeyPayload{k, s.link(secret)}, nil
}

func (in ShareKeyInput) check() error {
	var f faults
	if !phone.MatchString(in.Recipient) {
		f.recipient("recipient", in.Recipient)
	}
	f.optionalText("recipientName", in.RecipientName, 200)
	if len(in.DoorIDs) > maxKeyDoors {
		f.add("doorIds", "at most %d doors", maxKeyDoors)
	}
	f.window(in.ValidFrom, in.ValidUntil)
	f.within("uses", in.Uses, 1, maxKeyUses)
	f.within("shares", in.Shares, 0, maxKeyShares)
	return f.err()
}

// phone is a number as E.164 writes it.
var phone = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (f *faults) recipient(field, address string) {
	before := len(f.found)
	f.email(field, address)
	if len(f.found) > before {
		f.found[before].Message = "must be an e-mail address, or a phone number such as +390612345678"
	}
}

// shareable locks a key that may be shared once more, and fails if it may not. It says whether the
// actor shares it as who holds it, rather than in their place.
func (s *Service) shareable(
	ctx context.Context, tx *ent.Tx, id typeid.Key,
) (k *ent.Key, asHolder bool, err error) {
	visible, err := s.keysFor(ctx, ShareKeys)
	if err != nil {
		return nil, false, err
	}
	whole, err := wholeKey(ctx, tx.Client(), ShareKeys, id)
	if err != nil {
		return nil, false, err
	}
	by, _ := actor.FromContext(ctx)
	if !whole {
		if _, err := tx.User.Query().Where(user.ID(by.User)).ForShare().Only(ctx); err != nil {
			return nil, false, found(err, "user", "")
		}
	}
	if k, err = tx.Key.Query().Where(key.ID(id), visible, forChange).Only(ctx); err != nil {
		return nil, false, found(err, "key", "keyId")
	}
	if !whole {
		if err := s.holds(ctx, tx, id); err != nil {
			return nil, false, err
		}
	}
	switch status := StatusOf(k, s.now()); {
	case status != KeyActive && status != KeyPending:
		err = Error{CodeConflict, "the key is " + strings.ToLower(string(status)), "keyId"}
	case k.Depth == maxDepth:
		err = Error{CodeConflict, "a key that was shared three times cannot be shared on", "keyId"}
	case k.SharesLeft == 0:
		err = Error{CodeConflict, "no more keys can be shared from this one", "keyId"}
	}
	return k, !whole, err
}

// holds fails unless the key is the actor's, or a group's that they are in, and they are not confined
// to less than it opens.
func (s *Service) holds(ctx context.Context, tx *ent.Tx, id typeid.Key) error {
	by, _ := actor.FromContext(ctx)
	count, err := tx.Key.Query().Where(key.ID(id), s.held(by.User)).Count(ctx)
	if err != nil {
		return fmt.Errorf("look who holds the key: %w", err)
	}
	if count == 0 {
		return errForbidden
	}
	return unconfined(ctx, tx.Client(), id)
}

// shared checks that the share is within its parent, and returns what it opens.
func (s *Service) shared(
	ctx context.Context, tx *ent.Tx, parent *ent.Key, in ShareKeyInput,
) (targets, error) {
	var f faults
	from, until := in.span(parent)
	if in.ValidFrom == nil || in.ValidUntil == nil { // else it is checked
		f.window(from, until)
	}
	f.below(parent, from, until, orZero(in.Remote))
	if left := parent.UsesLeft; left != nil && in.Uses != nil && *in.Uses > *left {
		f.add("uses", "must be at most %d, as the key that it is shared from", *left)
	}
	limit := parent.SharesLeft - 1
	if parent.Depth+1 == maxDepth {
		limit = 0
	}
	if in.Shares != nil && *in.Shares > limit {
		f.add("shares", "must be at most %d", limit)
	}
	if err := f.err(); err != nil {
		return targets{}, err
	}
	if len(in.DoorIDs) == 0 {
		return targetsOf(ctx, tx, parent.ID)
	}
	return s.partOf(ctx, tx, parent, in.DoorIDs)
}

func (in ShareKeyInput) span(parent *ent.Key) (from, until *time.Time) {
	return set(parent.ValidFrom, in.ValidFrom, false), set(parent.ValidUntil, in.ValidUntil, false)
}

// below checks that a key stays within the one that it is shared from.
func (f *faults) below(parent *ent.Key, from, until *time.Time, remote bool) {
	if parent.ValidFrom != nil && (from == nil || from.Before(*parent.ValidFrom)) {
		f.add("validFrom", "must not be before that of the key that it is shared from")
	}
	if parent.ValidUntil != nil && (until == nil || until.After(*parent.ValidUntil)) {
		f.add("validUntil", "must not be after that of the key that it is shared from")
	}
	if remote && !parent.Remote {
		f.add("remote", "the key that it is shared from opens at the door only")
	}
}

// partOf returns doors as targets if a key opens all of them, now or later.
func (s *Service) partOf(
	ctx context.Context, tx *ent.Tx, k *ent.Key, doors []typeid.Door,
) (targets, error) {
	part := targets{doors: unique(doors)}
	rows, err := tx.Client().QueryContext(ctx, `
		SELECT count(*) FROM doors d WHERE d.org_id = $1 AND d.id = ANY ($3) AND EXISTS (
			SELECT FROM key_targets t WHERE t.org_id = d.org_id AND t.key_id = $2
			AND (t.door_id = d.id OR t.site_id = d.site_id OR t.door_group_id IN (
				SELECT unnest(ARRAY[g.id, g.parent_id]) FROM door_group_doors m
				JOIN door_groups g ON g.org_id = m.org_id AND g.id = m.door_group_id
				WHERE m.org_id = d.org_id AND m.door_id = d.id
				  AND (m.valid_until IS NULL OR m.valid_until > $4))))`,
		k.OrgID, k.ID, pq.Array(part.doors), s.now())
	if err != nil {
		return part, fmt.Errorf("count doors of key: %w", err)
	}
	defer func() { _ = rows.Close() }()
	count := 0
	if rows.Next() {
		err = rows.Scan(&count)
	}
	if err == nil {
		err = rows.Err()
	}
	switch {
	case err != nil:
		return part, fmt.Errorf("count doors of key: %w", err)
	case count != len(part.doors):
		return part, Error{CodeNotFound, "no such door of the key", "doorIds"}
	}
	return part, nil
}

func (in ShareKeyInput) create(tx *ent.Tx, parent *ent.Key) *ent.KeyCreate {
	from, until := in.span(parent)
	uses := set(parent.UsesLeft, in.Uses, false)
	recipient := in.Recipient
	if !phone.MatchString(recipient) {
		recipient = normalEmail(recipient)
	}
	return tx.Key.Create().SetParentID(parent.ID).SetDepth(parent.Depth + 1).
		SetRecipient(recipient).SetNillableRecipientName(in.RecipientName).
		SetNillableValidFrom(from).SetNillableValidUntil(until).
		SetNillableUses(uses).SetNillableUsesLeft(uses).SetNillableScheduleID(in.ScheduleID).
		SetRemote(*set(&parent.Remote, in.Remote, false)).SetNillableSharesLeft(in.Shares)
}

// Masked is as much of an e-mail address or a phone number as tells it from another one to somebody
// who knows it, such as f…@example.com or +39…12.
func Masked(recipient string) string {
	if name, host, ok := strings.Cut(recipient, "@"); ok {
		_, size := utf8.DecodeRuneInString(name)
		return name[:size] + "…@" + host
	}
	if len(recipient) < 6 {
		return "…"
	}
	return recipient[:3] + "…" + recipient[len(recipient)-2:]
}
