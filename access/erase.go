package access

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// EraseUserInput names a person, and says what they are called.
type EraseUserInput struct {
	ID   typeid.User
	Name *string // as it is; not needed for one who was deleted before
	// ConfirmationToken is what impact gave for deleting them.
	ConfirmationToken *string
}

// EraseUserPayload names those who were erased: the person, and guests who came by their address.
type EraseUserPayload struct{ ErasedIDs []typeid.User }

// EraseUser deletes a person as DeleteUser does, and whatever else would tell who they were: keys
// that were shared to their address, guests who came by it, what they wrote to go with commands and
// lockdowns, and what webhook endpoints answered to news of them. The journal keeps their identifier
// and nothing else of them, so it still verifies.
//
// Their name confirms it: CONFIRMATION_REQUIRED without, or with another. It may be done for a person
// who was deleted before. To erase somebody again changes nothing and is no error.
func (s *Service) EraseUser(ctx context.Context, in EraseUserInput) (*EraseUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	var erased []typeid.User
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		there, err := tx.User.Query().Where(user.ID(in.ID)).Count(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for user: %w", err)
		}
		if there == 0 {
			erased = []typeid.User{in.ID}
			return eraseDeleted(ctx, tx, in.ID)
		}
		erased, events, err = s.erase(ctx, tx, in)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return &EraseUserPayload{erased}, nil
}

// erase erases a person who is there.
func (s *Service) erase(
	ctx context.Context, tx *ent.Tx, in EraseUserInput,
) ([]typeid.User, []journal.Event, error) {
	acted, err := actedAs(ctx, tx, in.ID)
	if err != nil {
		return nil, nil, err
	}
	if err := forgetLockdowns(ctx, tx, acted); err != nil {
		return nil, nil, err
	}
	u, err := s.holdForEnd(ctx, tx, DeleteUserInput{in.ID, in.ConfirmationToken})
	if err != nil {
		return nil, nil, err
	}
	if orZero(in.Name) != u.Name {
		return nil, nil, Error{CodeConfirmationRequired,
			"give the person's name as it is: nothing of them comes back", "name"}
	}
	toThem, err := sharedTo(ctx, tx, u)
	if err != nil {
		return nil, nil, err
	}
	people, err := comers(ctx, tx, u, toThem)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]typeid.User, len(people))
	for i, one := range people {
		ids[i] = one.ID
		also, err := actedAs(ctx, tx, one.ID)
		if err != nil {
			return nil, nil, err
		}
		acted = append(acted, also...)
	}
	if err := forget(ctx, tx, ids, acted); err != nil {
		return nil, nil, err
	}
	events, err := s.endSharesTo(ctx, tx, toThem, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, one := range people {
		ended, err := s.deleteUser(ctx, tx, one)
		if err != nil {
			return nil, nil, err
		}
		events = append(append(events, ended...), journal.Event{Type: "user.erased", User: one.ID})
	}
	return ids, events, nil
}

// eraseDeleted erases a person of whom the journal alone knows that they were.
func eraseDeleted(ctx context.Context, tx *ent.Tx, id typeid.User) ([]journal.Event, error) {
	ends, err := tx.Event.Query().Where(event.UserID(id),
		event.TypeIn("user.deleted", "user.erased")).Order(event.BySeq()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for the end of user: %w", err)
	}
	switch {
	case len(ends) == 0:
		return nil, notFound("user", "id")
	case ends[len(ends)-1].Type == "user.erased":
		return nil, nil
	}
	acted := []string{id.String()}
	if err := forgetLockdowns(ctx, tx, acted); err != nil {
		return nil, err
	}
	return []journal.Event{{Type: "user.erased", User: id}},
		forget(ctx, tx, []typeid.User{id}, acted)
}

// actedAs is what a person is called where an actor is named: themselves, their tokens and grants.
func actedAs(ctx context.Context, tx *ent.Tx, id typeid.User) ([]string, error) {
	tokens, err := tx.APIToken.Query().Where(apitoken.UserID(id)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load tokens: %w", err)
	}
	grants, err := tx.Grant.Query().Where(grant.UserID(id)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load grants: %w", err)
	}
	names := []string{id.String()}
	for _, one := range tokens {
		names = append(names, one.ID.String())
	}
	for _, one := range grants {
		names = append(names, one.ID.String())
	}
	return names, nil
}

// sharedTo is true of keys that were shared to an address of the person: theirs, or for a guest, those
// that the keys which they hold were shared to.
func sharedTo(ctx context.Context, tx *ent.Tx, u *ent.User) (predicate.Key, error) {
	addresses := []string{orZero(u.Email)}
	if u.Email == nil {
		held, err := tx.Key.Query().Where(key.UserID(u.ID), key.RecipientNotNil()).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("load keys: %w", err)
		}
		for _, k := range held {
			addresses = append(addresses, normalEmail(*k.Recipient))
		}
	}
	return func(q *sql.Selector) {
		column := q.C(key.FieldRecipient)
		q.Where(sql.P(func(b *sql.Builder) {
			b.WriteString("lower(").Ident(column).WriteString(") = ANY (").Arg(pq.Array(addresses)).
				WriteString(")")
		}))
	}, nil
}

// comers returns the person, and the guests who hold keys that were shared to them, locked: the same
// person, who came by a link.
func comers(
	ctx context.Context, tx *ent.Tx, u *ent.User, toThem predicate.Key,
) ([]*ent.User, error) {
	held, err := tx.Key.Query().Where(toThem, key.UserIDNotNil(), key.UserIDNEQ(u.ID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	holders := make([]typeid.User, len(held))
	for i, k := range held {
		holders[i] = *k.UserID
	}
	guests, err := tx.User.Query().Where(whose(user.FieldID, holders), user.EmailIsNil(),
		user.RoleEQ(actor.RoleGuest)).Order(user.ByID()).ForUpdate().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock guests: %w", err)
	}
	return append([]*ent.User{u}, guests...), nil
}

// endSharesTo ends and deletes keys to an address that nobody took. Those that somebody else took are
// theirs, and no longer say to whom they were shared.
func (s *Service) endSharesTo(
	ctx context.Context, tx *ent.Tx, toThem predicate.Key, people []typeid.User,
) ([]journal.Event, error) {
	untaken := key.And(toThem, key.UserIDIsNil())
	events, err := s.endAll(ctx, tx, untaken)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Key.Delete().Where(untaken).Exec(ctx); err != nil {
		return nil, fmt.Errorf("delete keys: %w", err)
	}
	taken, err := tx.Key.Query().Where(toThem, key.UserIDNotIn(people...)).All(ctx)
	if err != nil || len(taken) == 0 {
		return events, err
	}
	ids := make([]typeid.Key, len(taken))
	for i, k := range taken {
		ids[i] = k.ID
	}
	by, _ := actor.FromContext(ctx)
	_, err = tx.ExecContext(ctx, `UPDATE keys
		SET recipient = NULL, recipient_name = NULL, link_hash = NULL
		WHERE org_id = $1 AND id = ANY ($2)`, by.Organization, pq.Array(ids))
	if err != nil {
		return nil, fmt.Errorf("forget recipient: %w", err)
	}
	return events, nil
}

// forgetLockdowns takes away what a person wrote to go with lockdowns. It comes first: lockdowns are
// locked before people.
func forgetLockdowns(ctx context.Context, tx *ent.Tx, acted []string) error {
	by, _ := actor.FromContext(ctx)
	_, err := tx.ExecContext(ctx, `UPDATE lockdowns SET note = NULL
		WHERE org_id = $1 AND requested_by = ANY ((SELECT $2)::text[]) AND note IS NOT NULL`,
		by.Organization, pq.Array(acted))
	if err != nil {
		return fmt.Errorf("forget notes of lockdowns: %w", err)
	}
	return nil
}

// forget takes away what people wrote to go with commands, and what webhook endpoints answered to news
// of what they did or what concerned them.
func forget(ctx context.Context, tx *ent.Tx, people []typeid.User, acted []string) error {
	by, _ := actor.FromContext(ctx)
	_, err := tx.ExecContext(ctx, `
		UPDATE commands SET note = NULL, client_context = NULL, idempotency_key = NULL
		WHERE org_id = $1 AND requester_user_id = ANY ((SELECT $2)::uuid[])
		  AND (note IS NOT NULL OR client_context IS NOT NULL OR idempotency_key IS NOT NULL)`,
		by.Organization, pq.Array(people))
	if err != nil {
		return fmt.Errorf("forget notes of commands: %w", err)
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE webhook_attempts a SET response_body = NULL
		FROM events e JOIN webhook_endpoints p ON p.org_id = e.org_id
		JOIN webhook_deliveries d
		  ON d.org_id = e.org_id AND d.endpoint_id = p.id AND d.event_seq = e.seq
		WHERE e.org_id = $1
		  AND (e.user_id = ANY ((SELECT $2)::uuid[]) OR e.actor_id = ANY ((SELECT $3)::text[]))
		  AND a.org_id = $1 AND a.delivery_id = d.id AND a.response_body IS NOT NULL`,
		by.Organization, pq.Array(people), pq.Array(acted))
	if err != nil {
		return fmt.Errorf("forget answers of webhook endpoints: %w", err)
	}
	return nil
}
