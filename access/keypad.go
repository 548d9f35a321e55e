package access

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// tries are how many wrong ones there may be before a block, and before each next.
	tries      = 5
	firstBlock = 30 * time.Second
	longest    = 15 * time.Minute

	// A right PIN ends a block. So that whoever has one cannot try others' in between for ever, wrong
	// PINs also use up a budget that only time fills: half an hour's worth at once, and one more each
	// budgetStep. That is sixty in any hour.
	budget     = time.Hour
	budgetStep = 2 * time.Minute
)

// blockAfter is for how long so many wrong tries in a row block; zero for not at all.
func blockAfter(failures int) time.Duration {
	if failures == 0 || failures%tries != 0 {
		return 0
	}
	block := firstBlock
	for range failures/tries - 1 {
		block = min(2*block, longest)
	}
	return block
}

// attempt is a PIN that is being tried at a keypad. It counts as wrong from before it is looked at
// until it has proved right: however many come at once, and whatever ends in between, no more are
// looked at than may be.
type attempt struct {
	blockedUntil time.Time // by this try, unless it proves right; zero: it does not block
}

// attemptPIN counts a try before it is made; nil if the keypad is blocked.
func (s *Service) attemptPIN(ctx context.Context, keypad typeid.Door) (a *attempt, err error) {
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		a = nil
		d, err := tx.Door.Query().Where(door.ID(keypad), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "door", "doorId")
		}
		now := s.now()
		if d.PinBlockedUntil != nil && now.Before(*d.PinBlockedUntil) {
			return nil, nil
		}
		a = &attempt{}
		full := orZero(d.PinBudgetAt)
		if full.Before(now) {
			full = now
		}
		full = full.Add(budgetStep)
		if block := blockAfter(d.PinFailures + 1); block > 0 {
			a.blockedUntil = now.Add(block)
		}
		if next := full.Add(budgetStep - budget); next.After(now) && next.After(a.blockedUntil) {
			a.blockedUntil = next
		}
		update := tx.Door.UpdateOne(d).AddPinFailures(1).SetPinBudgetAt(full)
		if !a.blockedUntil.IsZero() {
			update.SetPinBlockedUntil(a.blockedUntil)
		}
		return nil, update.Exec(ctx)
	})
	return a, err
}

// recognizePIN looks at a PIN if the keypad is not blocked, and there were not too many wrong ones at
// it, or from one network. What it takes does not depend on whether there is such a PIN.
func (s *Service) recognizePIN(
	ctx context.Context, keypad typeid.Door, pin string,
) (recognized, error) {
	a, err := s.attemptPIN(ctx, keypad)
	if err != nil {
		return recognized{}, err
	}
	if a == nil {
		return recognized{reason: schema.ReasonTooManyAttempts}, nil
	}
	everywhere := actor.NewContext(ctx, actor.System("keypad"))
	try := s.typing(ctx, keypad)
	err = s.try(everywhere, try)
	if IsCode(err, CodeRateLimited) {
		return recognized{reason: schema.ReasonTooManyAttempts, attempt: a}, nil
	}
	if err != nil {
		return recognized{}, err
	}
	by, _ := actor.FromContext(ctx)
	c, err := s.findPresented(ctx, credential.KindPIN,
		s.secrets.Indexes(by.Organization, pinDomain, []byte(pin)))
	if err != nil {
		return recognized{}, err
	}
	hash := "" // of no PIN
	if c != nil {
		hash = orZero(c.PinHash)
	}
	right, err := s.secrets.VerifyPIN(ctx, by.Organization, pin, hash)
	if err != nil {
		return recognized{}, fmt.Errorf("verify PIN: %w", err)
	}
	if !right || c == nil {
		return recognized{reason: schema.ReasonInvalidPIN, attempt: a}, nil
	}
	if c.RevokedAt != nil { // a wrong one, and takes no longer than another
		return recognized{credential: c, attempt: a}, nil
	}
	return recognized{credential: c, attempt: a}, s.forgive(everywhere, try.of)
}

// settle takes an attempt back if its PIN is right and in force, which ends any block, or tells of
// the block that it is. The door is locked.
func (a *attempt) settle(
	ctx context.Context, tx *ent.Tx, d *ent.Door, v verdict.Verdict,
) ([]journal.Event, error) {
	if v.Rule == verdict.RuleCredential || v.Rule == verdict.RulePerson {
		return a.told(d), nil
	}
	err := tx.Door.UpdateOne(d).SetPinFailures(0).ClearPinBlockedUntil().
		SetPinBudgetAt(orZero(d.PinBudgetAt).Add(-budgetStep)).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("settle attempt: %w", err)
	}
	return nil, nil
}

// told is the event of a block at a keypad, if the attempt began one.
func (a *attempt) told(d *ent.Door) []journal.Event {
	if a == nil || a.blockedUntil.IsZero() {
		return nil
	}
	return []journal.Event{{
		Type: "credential.blocked", Door: d.ID, Site: d.SiteID, Data: data("until", a.blockedUntil),
	}}
}
