package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
)

const (
	// maxUnconfirmed is from how many people a change takes access away without being confirmed.
	maxUnconfirmed = 50
	// confirmationLife is how long a token confirms.
	confirmationLife = 10 * time.Minute
	// confirmationUse keeps tokens of other uses apart.
	confirmationUse = "impact"
)

// confirmation is a change that may have to be confirmed, and the token that does, if any. The zero
// value has not to be.
type confirmation struct {
	change change
	token  *string
}

// confirm fails with CONFIRMATION_REQUIRED if a person asks for a change by which many would lose
// access, and no token of theirs says that they were shown so. It is called in the change's
// transaction, once it is clear that the actor may make it and before anything is locked: working
// an impact out may take a while, and whoever unlocks meanwhile shall not wait for it. What others
// change until the commit is not in what was counted: the token guards against mistakes, not
// against them.
//
// One statement tells the ordinary change, which bears on few people, from the others.
func (s *Service) confirm(ctx context.Context, tx *ent.Tx, c change, token *string) error {
	by, _ := actor.FromContext(ctx)
	if c == nil || by.User.IsZero() {
		return nil
	}
	if b := c.bearing(); b.none() {
		return nil
	} else if many, err := s.many(ctx, tx, b); !many || err != nil {
		return err
	}
	i, err := s.assess(ctx, tx.Client(), c)
	if err != nil || i.PeopleLosing <= maxUnconfirmed {
		return err
	}
	return s.confirmed(by, c, i.PeopleLosing, token)
}

// many says whether a change bears on so many people that it may have to be confirmed.
func (s *Service) many(ctx context.Context, tx *ent.Tx, b bearing) (bool, error) {
	l := s.newFacts(ctx, tx.Client(), s.now(), free)
	count, err := pick[int](ctx, &l, b.concerned()+fmt.Sprintf(`
		SELECT count(*) FROM (SELECT FROM concerned LIMIT %d) AS few`, maxUnconfirmed+1),
		b.arguments(l.org)...)
	return err == nil && count[0] > maxUnconfirmed, err
}

// confirmed fails unless the token was given to the actor for the change and no smaller loss.
func (s *Service) confirmed(by actor.Actor, c change, losing int, token *string) error {
	refuse := func(why string) error {
		return Error{CodeConfirmationRequired,
			fmt.Sprintf("removes access for %d people%s: ask impact for a confirmation token", losing, why),
			"confirmationToken"}
	}
	if token == nil {
		return refuse("")
	}
	digest := digestOf(by, c)
	payload, err := s.secrets.Check(by.Organization, confirmationUse, *token, s.now())
	switch {
	case errors.Is(err, seal.ErrExpired):
		return refuse(", and the token has expired")
	case err != nil || len(payload) != len(digest)+4 || string(payload[4:]) != string(digest):
		return refuse(", and the token is not for this change")
	case int(binary.BigEndian.Uint32(payload)) < losing:
		return refuse(", more than were confirmed")
	}
	return nil
}

// confirmable gives the impact a token that confirms it.
func (i *AccessImpact) confirmable(s *Service, by actor.Actor, c change) {
	payload := binary.BigEndian.AppendUint32(nil, uint32(i.PeopleLosing)) //nolint:gosec // people
	expires := s.now().Add(confirmationLife)
	token := s.secrets.Token(by.Organization, confirmationUse,
		append(payload, digestOf(by, c)...), expires)
	i.ConfirmationToken, i.ExpiresAt = &token, &expires
}

// digestOf is of who makes which change. Tokens in inputs are no part of the change.
func digestOf(by actor.Actor, c change) []byte {
	text, err := json.Marshal([]any{by.Kind, by.ID(), fmt.Sprintf("%T", c), c})
	if err != nil {
		panic(err) // inputs are identifiers, texts, numbers and instants
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
