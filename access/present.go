package access

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// PresentCredentialInput is what somebody presents at a door, as its reader or intercom tells.
type PresentCredentialInput struct {
	DoorID     typeid.Door
	Credential PresentedCredentialInput
	// IdempotencyKey, for 24 h, returns the requester's first command that had it. A try that made no
	// command is made again.
	IdempotencyKey *string
	WaitFor        WaitFor
	// ClientContext is a JSON object that comes back in the command's events.
	ClientContext json.RawMessage
}

// PresentedCredentialInput is exactly one of them.
type PresentedCredentialInput struct {
	PIN     *string
	Card    *PresentedCardInput
	Wiegand *PresentedWiegandInput
	Mobile  *PresentedMobileInput
}

// PresentCredentialPayload says what the door does. Command is nil if nobody was recognized.
type PresentCredentialPayload struct {
	Granted bool
	Reason  schema.Reason
	Command *ent.Command
}

// At is the payload once its command has come further.
func (p *PresentCredentialPayload) At(c *ent.Command) *PresentCredentialPayload {
	if p == nil || c == nil {
		return p
	}
	return &PresentCredentialPayload{p.Granted, p.Reason, c}
}

// presentTimeout bounds what is done of a try after its caller has gone.
const presentTimeout = 10 * time.Second

// PresentCredential decides for whom the credential is, as if they stood at the door, and unlocks it.
// A try that was begun is ended, counted and recorded, though its caller does not wait for it.
func (s *Service) PresentCredential(
	ctx context.Context, in PresentCredentialInput,
) (*PresentCredentialPayload, error) {
	at, err := doorsAt(ctx, OperateDoors)
	if err != nil {
		return nil, err
	}
	o := order{
		verb: command.VerbUNLOCK, door: in.DoorID, idempotencyKey: in.IdempotencyKey,
		clientContext: in.ClientContext, at: at,
		manner: verdict.AtDoor, method: in.Credential.method(),
	}
	if err := in.check(o); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), presentTimeout)
	defer cancel()
	if first, err := s.firstWithKey(ctx, o); first != nil || err != nil {
		return presented(first), err
	}
	d, err := s.db.Door.Query().Where(door.ID(in.DoorID), at).Only(ctx)
	if err != nil {
		return nil, found(err, "door", "doorId")
	}
	r, err := s.recognize(ctx, in)
	if err != nil {
		return nil, err
	}
	if r.credential == nil {
		return s.turnAway(ctx, d, o, r)
	}
	o.person, o.recognized = r.credential.UserID, r
	c, err := s.carryOut(ctx, o)
	return presented(c), err
}

// check names all faults at once.
func (in PresentCredentialInput) check(o order) error {
	f := faults{o.faults()}
	p, given := in.Credential, 0
	if p.PIN != nil {
		given++
		if !allDigits(*p.PIN) || len(*p.PIN) > 32 {
			f.add("credential.pin", "must be at most 32 digits")
		}
	}
	if p.Card != nil {
		given++
		p.Card.read(&f, "credential.card.")
	}
	if p.Wiegand != nil {
		given++
		p.Wiegand.check(&f, "credential.wiegand.")
	}
	if p.Mobile != nil {
		given++
		p.Mobile.check(&f, "credential.mobile.")
	}
	if given != 1 {
		f.add("credential", "give exactly one of pin, card, wiegand and mobile")
	}
	return f.err()
}

func (p PresentedCredentialInput) method() event.Method {
	switch {
	case p.PIN != nil:
		return event.MethodPIN
	case p.Mobile != nil:
		return event.MethodMOBILE
	}
	return event.MethodCARD
}

// recognized is whose a presented credential is, or why it is taken for nobody's.
type recognized struct {
	credential *ent.Credential // nil: nobody's
	reason     schema.Reason   // then
	attempt    *attempt        // of a PIN, if it was looked at
}

// recognize finds the credential that was presented. It may be one that is worth nothing any more.
func (s *Service) recognize(ctx context.Context, in PresentCredentialInput) (recognized, error) {
	switch p := in.Credential; {
	case p.PIN != nil:
		return s.recognizePIN(ctx, in.DoorID, *p.PIN)
	case p.Mobile != nil:
		return s.recognizeMobile(ctx, in.DoorID, *p.Mobile)
	case p.Wiegand != nil:
		read, ok := p.Wiegand.decode()
		if !ok {
			return recognized{reason: schema.ReasonBadFormat}, nil
		}
		return s.recognizeCard(ctx, read)
	default:
		return s.recognizeCard(ctx, p.Card.read(new(faults), ""))
	}
}

func (s *Service) recognizeCard(ctx context.Context, read card) (recognized, error) {
	by, _ := actor.FromContext(ctx)
	c, err := s.findPresented(ctx, credential.KindCARD,
		s.secrets.Indexes(by.Organization, cardDomain, read.whole()))
	if c != nil || err != nil {
		return recognized{credential: c}, err
	}
	r := recognized{reason: schema.ReasonUnknownCredential}
	if bare := read.bare(); bare != nil {
		indexes := s.secrets.Indexes(by.Organization, numberDomain, bare)
		known, err := s.db.Credential.Query().Where(credential.RevokedAtIsNil(),
			whose(credential.FieldNumberLookup, indexes)).
			Count(ctx)
		if err != nil {
			return recognized{}, fmt.Errorf("look for card: %w", err)
		}
		if known > 0 {
			r.reason = schema.ReasonFacilityMismatch
		}
	}
	return r, nil
}

// findPresented returns the credential in force with one of the indexes, or else the one that was
// revoked last; nil for none.
func (s *Service) findPresented(
	ctx context.Context, kind credential.Kind, indexes [][]byte,
) (*ent.Credential, error) {
	c, err := s.db.Credential.Query().Where(credential.KindEQ(kind), lookedUp(indexes)).
		Order(credential.ByRevokedAt(entsql.OrderDesc(), entsql.OrderNullsFirst())).First(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("look for credential: %w", err)
	}
	return c, nil
}

// turnAway records that somebody was refused of whom nobody knows who they are.
func (s *Service) turnAway(
	ctx context.Context, d *ent.Door, o order, r recognized,
) (*PresentCredentialPayload, error) {
	told := journal.Event{
		Type: "access.denied", Door: d.ID, Site: d.SiteID, Device: orZero(d.DeviceID),
		Outcome: event.OutcomeDENIED, Reason: r.reason, Method: o.method,
	}
	if len(o.clientContext) > 0 {
		told.Data = data("clientContext", o.clientContext)
	}
	err := s.write(ctx, func(*ent.Tx) ([]journal.Event, error) {
		return append([]journal.Event{told}, r.attempt.told(d)...), nil
	})
	if err != nil {
		return nil, err
	}
	return &PresentCredentialPayload{Reason: r.reason}, nil
}

// presented is the decision that a command came of.
func presented(c *ent.Command) *PresentCredentialPayload {
	if c == nil {
		return nil
	}
	p := &PresentCredentialPayload{Granted: true, Reason: schema.ReasonGranted, Command: c}
	switch {
	case c.Stage == command.StageREJECTED:
		p.Granted, p.Reason = false, orZero(c.Reason)
	case c.KeyID == nil && c.DeviceID != nil: // without a key
		p.Reason = schema.ReasonGrantedUnlockedMode
	}
	return p
}

// judgeCredential reads the credential that was presented as it stays until the commit: what was
// suspended or revoked before does not open.
func (o order) judgeCredential(ctx context.Context, tx *ent.Tx) (*verdict.Credential, error) {
	if o.recognized.credential == nil {
		return nil, nil
	}
	c, err := tx.Credential.Query().Where(credential.ID(o.recognized.credential.ID)).
		ForShare().Only(ctx)
	if err != nil {
		return nil, found(err, "credential", "credential")
	}
	return credentialFact(c), nil
}

// presentedEvents tells what else there is to tell of a credential that was presented: a duress, which
// changes nothing else, and what became of an attempt at a keypad.
func (o order) presentedEvents(
	ctx context.Context, tx *ent.Tx, d *ent.Door, told journal.Event, v verdict.Verdict,
) ([]journal.Event, error) {
	var events []journal.Event
	if c := o.recognized.credential; c != nil && c.Duress {
		told.Type, told.Method, told.Outcome = "access.duress", o.method, ""
		told.Reason, told.Key = "", typeid.Key{}
		told.Data = data("credentialId", c.ID)
		events = append(events, told)
	}
	if a := o.recognized.attempt; a != nil {
		more, err := a.settle(ctx, tx, d, v)
		return append(events, more...), err
	}
	return events, nil
}
