package access_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// service is another node over the same database, with secrets of these seeds, newest first.
func (b *bench) service(seeds ...byte) *access.Service {
	b.t.Helper()
	secrets := make([][]byte, len(seeds))
	for i, seed := range seeds {
		secrets[i] = bytes.Repeat([]byte{seed}, seal.SecretSize)
	}
	ring, err := seal.NewKeyring(secrets...)
	must(b.t, err)
	return access.New(access.Config{DB: b.db, Devices: b.hardware, Now: b.clock.Now, Secrets: ring,
		Log: testenv.Logger(b.t)})
}

func (b *bench) pin(in access.CreatePINInput) *access.CreatePINPayload {
	b.t.Helper()
	in.UserID = b.memberID
	made, err := b.access.CreatePIN(b.admin, in)
	must(b.t, err)
	return made
}

// card gives the member the card 1603 of facility code 118.
func (b *bench) card() *ent.Credential {
	b.t.Helper()
	made, err := b.access.AddCard(b.admin, access.AddCardInput{UserID: b.memberID,
		Format: access.CardWiegand26, FacilityCode: new(118), Number: "1603"})
	must(b.t, err)
	return made.Credential
}

func (b *bench) present(p access.PresentedCredentialInput) *access.PresentCredentialPayload {
	b.t.Helper()
	got, err := b.access.PresentCredential(b.admin,
		access.PresentCredentialInput{DoorID: b.door.ID, Credential: p})
	must(b.t, err)
	return got
}

func typed(pin string) access.PresentedCredentialInput {
	return access.PresentedCredentialInput{PIN: &pin}
}

func shown(facility int, number string) access.PresentedCredentialInput {
	return access.PresentedCredentialInput{Card: &access.PresentedCardInput{
		Format: access.CardWiegand26, FacilityCode: &facility, Number: number}}
}

func sent(bits int, hex string) access.PresentedCredentialInput {
	return access.PresentedCredentialInput{Wiegand: &access.PresentedWiegandInput{Bits: bits, Hex: hex}}
}

// wrong is a PIN that no test has.
func wrong(of *access.CreatePINPayload) string {
	if of.PIN == "493127" {
		return "493126"
	}
	return "493127"
}

func (b *bench) want(got *access.PresentCredentialPayload, reason schema.Reason) {
	b.t.Helper()
	granted := reason == schema.ReasonGranted || reason == schema.ReasonGrantedUnlockedMode
	if got.Reason != reason || got.Granted != granted {
		b.t.Errorf("granted %t, %s; want %s", got.Granted, got.Reason, reason)
	}
}

func TestPresentedCredentialOpensForItsOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	made := b.pin(access.CreatePINInput{})
	b.card()
	for method, p := range map[event.Method]access.PresentedCredentialInput{
		event.MethodPIN: typed(made.PIN), event.MethodCARD: sent(26, "2ec0c86"),
	} {
		before := b.head()
		got := b.present(p)
		b.want(got, schema.ReasonGranted)
		if c := got.Command; c.RequesterID != b.adminID.String() || *c.RequesterUserID != b.memberID ||
			c.KeyID == nil || c.Stage != command.StageCREATED {
			t.Errorf("command %v", c)
		}
		events := b.db.Event.Query().Where(event.SeqGT(before)).Order(event.BySeq()).AllX(b.system)
		if len(events) != 2 || events[0].Type != "access.granted" || *events[0].Method != method ||
			*events[0].UserID != b.memberID || events[0].ActorID != b.adminID.String() {
			t.Errorf("events %v", events)
		}
	}
	if len(b.hardware.dispatched) != 2 {
		t.Errorf("dispatched %v", b.hardware.dispatched)
	}
}

func TestPresentedCredentialIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hour := b.clock.Now().Add(time.Hour)
	lent := b.pin(access.CreatePINInput{})
	early := b.pin(access.CreatePINInput{ValidFrom: &hour})
	over := b.clock.Now().Add(-time.Second)
	late := b.pin(access.CreatePINInput{ValidUntil: &over})
	card := b.card()
	before := b.head()
	nobody := func(p access.PresentedCredentialInput, reason schema.Reason) {
		t.Helper()
		got := b.present(p)
		b.want(got, reason)
		last := b.db.Event.Query().Order(event.BySeq()).AllX(b.system)
		e := last[len(last)-1]
		if got.Command != nil || e.Type != "access.denied" || e.UserID != nil || *e.Reason != reason {
			t.Errorf("command %v, event %v", got.Command, e)
		}
	}
	somebody := func(p access.PresentedCredentialInput, reason schema.Reason) {
		t.Helper()
		got := b.present(p)
		b.want(got, reason)
		if got.Command == nil || got.Command.Stage != command.StageREJECTED ||
			*got.Command.RequesterUserID != b.memberID {
			t.Errorf("%s: command %v", reason, got.Command)
		}
	}
	nobody(typed(wrong(lent)), schema.ReasonInvalidPIN)
	nobody(shown(118, "1604"), schema.ReasonUnknownCredential)
	nobody(shown(119, "1603"), schema.ReasonFacilityMismatch)
	nobody(sent(26, "2ec0c87"), schema.ReasonBadFormat)
	nobody(sent(34, "000000000"), schema.ReasonBadFormat)
	somebody(typed(lent.PIN), schema.ReasonNoGrant)
	somebody(typed(early.PIN), schema.ReasonNotYetValid)
	somebody(typed(late.PIN), schema.ReasonExpired)
	b.grant(-time.Hour, time.Hour)
	b.want(b.present(shown(118, "1603")), schema.ReasonGranted)
	_, err := b.access.SuspendCredential(b.admin, access.SuspendCredentialInput{ID: card.ID})
	must(t, err)
	somebody(shown(118, "1603"), schema.ReasonCredentialSuspended)
	_, err = b.access.ResumeCredential(b.admin, access.ResumeCredentialInput{ID: card.ID})
	must(t, err)
	b.want(b.present(shown(118, "1603")), schema.ReasonGranted)
	_, err = b.access.RevokeCredential(b.admin, access.RevokeCredentialInput{ID: card.ID})
	must(t, err)
	somebody(shown(118, "1603"), schema.ReasonCredentialRevoked)
	nobody(shown(119, "1603"), schema.ReasonUnknownCredential) // the number is nobody's now
	again := b.card()
	b.want(b.present(shown(118, "1603")), schema.ReasonGranted)
	if again.ID == card.ID {
		t.Error("the same credential")
	}
	if before == b.head() {
		t.Error("nothing was recorded")
	}
}

func TestPresentIsForOperatorsAndOneThing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	in := access.PresentCredentialInput{DoorID: b.door.ID, Credential: typed("493127")}
	_, err := b.access.PresentCredential(b.member, in)
	wantCode(t, err, access.CodeForbidden)
	in.DoorID = typeid.New[typeid.Door]()
	_, err = b.access.PresentCredential(b.admin, in)
	wantCode(t, err, access.CodeNotFound)
	key := ""
	both := shown(256, "65536")
	both.PIN, both.Wiegand = new("49312x"), &access.PresentedWiegandInput{Bits: 0, Hex: "x"}
	both.Mobile = &access.PresentedMobileInput{Nonce: "short"}
	_, err = b.access.PresentCredential(b.admin, access.PresentCredentialInput{
		DoorID: b.door.ID, Credential: both, IdempotencyKey: &key})
	var faults access.Errors
	var fields []string
	errors.As(err, &faults)
	for _, f := range faults {
		fields = append(fields, f.Field)
	}
	if want := []string{"idempotencyKey", "credential.pin", "credential.card.facilityCode",
		"credential.card.number", "credential.wiegand.bits", "credential.wiegand.hex",
		"credential.mobile.nonce", "credential.mobile.signature", "credential"}; !slices.Equal(fields, want) {
		t.Errorf("fields %v", fields)
	}
	_, err = b.access.PresentCredential(b.admin, access.PresentCredentialInput{DoorID: b.door.ID})
	wantCode(t, err, access.CodeBadUserInput)
	if b.head() != before {
		t.Error("something was recorded")
	}
}

func TestPresentOnceByIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	key := "read-1"
	b.card()
	in := access.PresentCredentialInput{
		DoorID: b.door.ID, Credential: shown(118, "1603"), IdempotencyKey: &key}
	seen := make(chan typeid.Command, 10)
	var group sync.WaitGroup
	for range cap(seen) {
		group.Go(func() {
			p, err := b.access.PresentCredential(b.admin, in)
			if err != nil || !p.Granted || p.Reason != schema.ReasonGranted {
				t.Errorf("%v, %v", p, err)
				return
			}
			seen <- p.Command.ID
		})
	}
	group.Wait()
	close(seen)
	for id := range seen {
		if len(b.hardware.dispatched) != 1 || id != b.hardware.dispatched[0].Command {
			t.Fatalf("dispatched %v, and answered %s", b.hardware.dispatched, id)
		}
	}
}

// TestKeypadTakesFiveWrongPINs has a hundred come at once to two nodes.
func TestKeypadTakesFiveWrongPINs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	b.access = b.service(1)
	nodes := []*access.Service{b.access, b.service(1)}
	made := b.pin(access.CreatePINInput{})
	in := access.PresentCredentialInput{DoorID: b.door.ID, Credential: typed(wrong(made))}
	var mu sync.Mutex
	count := map[schema.Reason]int{}
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			p, err := nodes[i%2].PresentCredential(b.admin, in)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			count[p.Reason]++
		})
	}
	group.Wait()
	if count[schema.ReasonInvalidPIN] != 5 || count[schema.ReasonTooManyAttempts] != 95 {
		t.Fatalf("got %v", count)
	}
	b.want(b.present(typed(made.PIN)), schema.ReasonTooManyAttempts) // no oracle
	b.clock.Advance(30*time.Second - time.Microsecond)
	b.want(b.present(typed(made.PIN)), schema.ReasonTooManyAttempts)
	b.clock.Advance(time.Microsecond)
	for range 5 {
		b.want(b.present(typed(wrong(made))), schema.ReasonInvalidPIN)
	}
	b.clock.Advance(time.Minute) // the block has ended, and ten were wrong in ten minutes
	b.want(b.present(typed(made.PIN)), schema.ReasonTooManyAttempts)
	b.clock.Advance(access.TryWindow)
	b.want(b.present(typed(made.PIN)), schema.ReasonGranted) // which ends the row
	for range 4 {
		b.want(b.present(typed(wrong(made))), schema.ReasonInvalidPIN)
	}
	b.want(b.present(typed(made.PIN)), schema.ReasonGranted)
	blocks := b.db.Event.Query().Where(event.Type("credential.blocked")).AllX(b.system)
	if len(blocks) != 2 || *blocks[0].DoorID != b.door.ID || blocks[0].UserID != nil {
		t.Errorf("blocks %v", blocks)
	}
	other := b.newDoor("Cellar") // another keypad is not blocked
	p, err := b.access.PresentCredential(b.admin,
		access.PresentCredentialInput{DoorID: other.ID, Credential: typed(made.PIN)})
	must(t, err)
	b.want(p, schema.ReasonNoGrant)
}

// TestPINsAreCountedByNetwork has somebody go from door to door, over three nodes, and type what is
// wrong. Ten are looked at, wherever; whoever comes from elsewhere, or is right, is let in as ever.
func TestPINsAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	b.access = b.service(1)
	nodes := []*access.Service{b.access, b.service(1), b.service(1)}
	made := b.pin(access.CreatePINInput{})
	type try struct {
		door typeid.Door
		from string
		pin  string
	}
	present := func(node int, of try) schema.Reason {
		ctx := actor.WithAddress(b.admin, netip.MustParseAddr(of.from))
		p, err := nodes[node].PresentCredential(ctx,
			access.PresentCredentialInput{DoorID: of.door, Credential: typed(of.pin)})
		if err != nil {
			t.Error(err)
			return ""
		}
		return p.Reason
	}
	for i := range 2 * access.MaxTries {
		if got := present(i%3, try{b.door.ID, "192.0.2.1", made.PIN}); got != schema.ReasonGranted {
			t.Fatalf("the right one: %s", got)
		}
	}
	doors := make([]typeid.Door, 15)
	for i := range doors {
		doors[i] = b.newDoor(fmt.Sprintf("Cellar %d", i)).ID
	}
	var mu sync.Mutex
	count := map[schema.Reason]int{}
	var group sync.WaitGroup
	for i, door := range doors {
		group.Go(func() {
			reason := present(i%3, try{door, fmt.Sprintf("192.0.2.%d", i+1), wrong(made)})
			mu.Lock()
			defer mu.Unlock()
			count[reason]++
		})
	}
	group.Wait()
	looked := count[schema.ReasonInvalidPIN]
	if looked > access.MaxTries || looked+count[schema.ReasonTooManyAttempts] != len(doors) {
		t.Fatalf("got %v", count)
	}
	for range access.MaxTries {
		present(0, try{doors[0], "192.0.2.9", wrong(made)})
	}
	for from, want := range map[string]schema.Reason{
		"192.0.2.200": schema.ReasonTooManyAttempts, "198.51.100.1": schema.ReasonGranted,
	} {
		if got := present(1, try{b.door.ID, from, made.PIN}); got != want {
			t.Errorf("the right one from %s: %s, want %s", from, got, want)
		}
	}
	b.clock.Advance(access.TryWindow)
	if got := present(2, try{b.door.ID, "192.0.2.200", made.PIN}); got != schema.ReasonGranted {
		t.Errorf("after ten minutes: %s", got)
	}
}

// TestKeypadTakesSixtyWrongPINsAnHour has somebody try who has no PIN, and somebody who has one and
// types it before each block.
func TestKeypadTakesSixtyWrongPINsAnHour(t *testing.T) {
	t.Parallel()
	for name, owner := range map[string]bool{"stranger": false, "owner of a PIN": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.grant(-time.Hour, time.Hour)
			made := b.pin(access.CreatePINInput{})
			looked, row := 0, 0
			for range 360 {
				if owner && row == 4 {
					b.present(typed(made.PIN))
					row = 0
				}
				if b.present(typed(wrong(made))).Reason == schema.ReasonInvalidPIN {
					looked++
					row++
				}
				b.clock.Advance(10 * time.Second)
			}
			if looked > 60 || looked < 20 {
				t.Errorf("%d were looked at", looked)
			}
		})
	}
}

func TestPINsAreAllocatedSparsely(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if made := b.pin(access.CreatePINInput{}); len(made.PIN) != 6 {
		t.Errorf("%d digits", len(made.PIN))
	}
	eight := 8
	if made := b.pin(access.CreatePINInput{Digits: &eight}); len(made.PIN) != 8 {
		t.Errorf("%d digits", len(made.PIN))
	}
	many := make([]*ent.CredentialCreate, 998)
	for i := range many {
		many[i] = b.db.Credential.Create().SetOrgID(b.org).SetUserID(b.memberID).SetKind("PIN").
			SetHint("PIN").SetLookup(fmt.Append(nil, i))
	}
	b.db.Credential.CreateBulk(many...).ExecX(b.system)
	last := b.pin(access.CreatePINInput{}) // the 1001st
	if len(last.PIN) != 7 {
		t.Errorf("%d digits for the 1001st", len(last.PIN))
	}
	_, err := b.access.CreatePIN(b.admin, access.CreatePINInput{UserID: b.memberID, PIN: new("493127")})
	wantCode(t, err, access.CodeBadUserInput)
	_, err = b.access.RevokeCredential(b.admin, access.RevokeCredentialInput{ID: last.Credential.ID})
	must(t, err)
	one := b.db.Credential.Query().Where(credential.RevokedAtIsNil()).Order(credential.ByID()).
		AllX(b.system)[0]
	_, err = b.access.RevokeCredential(b.admin, access.RevokeCredentialInput{ID: one.ID})
	must(t, err)
	b.pin(access.CreatePINInput{PIN: new("493127")})
}

// TestChosenPINsAreRefusedAlike: by no refusal can be told which PIN exists.
func TestChosenPINsAreRefusedAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.pin(access.CreatePINInput{PIN: new("493127")})
	b.pin(access.CreatePINInput{PIN: new("508263"), Duress: new(true)})
	before := b.head()
	for name, in := range map[string]access.CreatePINInput{
		"taken":                     {PIN: new("493127")},
		"weak":                      {PIN: new("123456")},
		"taken by duress":           {PIN: new("508263")},
		"next to duress":            {PIN: new("508264")},
		"duress next to a PIN":      {PIN: new("493128"), Duress: new(true)},
		"duress, one digit earlier": {PIN: new("593127"), Duress: new(true)},
	} {
		in.UserID = b.memberID
		_, err := b.access.CreatePIN(b.admin, in)
		want := access.Error{Code: access.CodeBadUserInput, Message: "choose another", Field: "pin"}
		if !errors.Is(err, want) || err.Error() != want.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.head() != before {
		t.Error("something was recorded")
	}
	b.pin(access.CreatePINInput{PIN: new("493128")})
}

// TestRefusedPINsCostTheSame: whatever a PIN is refused for, it was hashed once, and the database was
// asked the same.
func TestRefusedPINsCostTheSame(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	var mu sync.Mutex
	var sent []string
	b := setupOn(t, rule.Guard(ent.NewClient(ent.Driver(dialect.DebugWithContext(
		entsql.OpenDB(dialect.Postgres, testenv.OpenSQL(t, database)),
		func(_ context.Context, said ...any) {
			_, statement, _ := strings.Cut(fmt.Sprint(said...), "query=")
			statement, _, _ = strings.Cut(statement, " args=")
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, statement)
		})))))
	b.pin(access.CreatePINInput{PIN: new("493127")})
	b.pin(access.CreatePINInput{PIN: new("508263"), Duress: new(true)})
	var first []string
	for _, pin := range []string{"493127", "508263", "508264", "111111", "123456"} {
		sent = nil
		_, err := b.access.CreatePIN(b.admin, access.CreatePINInput{UserID: b.memberID, PIN: &pin})
		wantCode(t, err, access.CodeBadUserInput)
		if first == nil {
			first = sent
		}
		if !slices.Equal(sent, first) || len(sent) < 4 {
			t.Errorf("%s: sent %q, not %q", pin, sent, first)
		}
	}
}

// TestDuressChangesNothingAtTheDoor and tells administrators.
func TestDuressChangesNothingAtTheDoor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	plain, forced := b.pin(access.CreatePINInput{}), b.pin(access.CreatePINInput{Duress: new(true)})
	answers := map[string]string{}
	for name, made := range map[string]*access.CreatePINPayload{"plain": plain, "forced": forced} {
		before := b.head()
		p := b.present(typed(made.PIN))
		answers[name] = fmt.Sprint(p.Granted, p.Reason, p.Command.Stage, p.Command.Reason)
		types := b.events(before)
		if told := slices.Contains(types, "access.duress"); told != (name == "forced") {
			t.Errorf("%s: events %v", name, types)
		}
	}
	if answers["plain"] != answers["forced"] {
		t.Errorf("got %v", answers)
	}
	e := b.db.Event.Query().Where(event.Type("access.duress")).OnlyX(b.system)
	var told struct{ CredentialID typeid.Credential }
	must(t, json.Unmarshal(e.Data, &told))
	if told.CredentialID != forced.Credential.ID || e.Severity != event.SeverityCRITICAL ||
		*e.UserID != b.memberID || *e.DoorID != b.door.ID || e.CommandID == nil {
		t.Errorf("told %v, %v", e, told)
	}
	_, err := b.access.SuspendCredential(b.admin, access.SuspendCredentialInput{ID: forced.Credential.ID})
	must(t, err)
	b.want(b.present(typed(forced.PIN)), schema.ReasonCredentialSuspended)
	if n := b.db.Event.Query().Where(event.Type("access.duress")).CountX(b.system); n != 2 {
		t.Errorf("a call for help by a PIN that is suspended was not heard: %d", n)
	}
}

func TestMobile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	made, err := b.access.AddMobile(b.admin, access.AddMobileInput{
		UserID: b.memberID, PublicKey: base64.StdEncoding.EncodeToString(public)})
	must(t, err)
	id := made.Credential.ID
	sign := func(where typeid.Door, at time.Time, by ed25519.PrivateKey) access.PresentedCredentialInput {
		const nonce = "c2l4dGVlbiBieXRlcyE"
		signature := ed25519.Sign(by, access.MobileTranscript(where, nonce, at))
		return access.PresentedCredentialInput{Mobile: &access.PresentedMobileInput{CredentialID: id,
			Nonce: nonce, SignedAt: at, Signature: base64.StdEncoding.EncodeToString(signature)}}
	}
	now := b.clock.Now()
	here := b.door.ID
	b.want(b.present(sign(here, now, private)), schema.ReasonGranted)
	b.want(b.present(sign(here, now.Add(time.Minute), private)), schema.ReasonGranted)
	b.want(b.present(sign(here, now.Add(-61*time.Second), private)), schema.ReasonExpired)
	b.want(b.present(sign(here, now.Add(61*time.Second), private)), schema.ReasonNotYetValid)
	_, thief, err := ed25519.GenerateKey(nil)
	must(t, err)
	elsewhere := sign(b.newDoor("Cellar").ID, now, private)
	for _, p := range []access.PresentedCredentialInput{
		elsewhere, sign(here, now, thief), sign(here, now, thief), sign(here, now, thief),
	} {
		b.want(b.present(p), schema.ReasonUnknownCredential)
	}
	b.want(b.present(sign(here, now, private)), schema.ReasonGranted) // starts anew
	var group sync.WaitGroup
	seen := make(chan schema.Reason, 40)
	for range cap(seen) {
		group.Go(func() {
			p, err := b.access.PresentCredential(b.admin,
				access.PresentCredentialInput{DoorID: here, Credential: sign(here, now, thief)})
			if err != nil {
				t.Error(err)
				return
			}
			seen <- p.Reason
		})
	}
	group.Wait()
	close(seen)
	looked := 0
	for reason := range seen {
		if reason == schema.ReasonUnknownCredential {
			looked++
		}
	}
	if looked != 5 {
		t.Errorf("%d were looked at", looked)
	}
	b.want(b.present(sign(here, now, private)), schema.ReasonTooManyAttempts)
	blocks := b.db.Event.Query().Where(event.Type("credential.blocked")).AllX(b.system)
	if len(blocks) != 1 || *blocks[0].UserID != b.memberID {
		t.Errorf("blocks %v", blocks)
	}
	b.clock.Advance(30 * time.Second)
	b.want(b.present(sign(here, b.clock.Now(), private)), schema.ReasonGranted)
	_, err = b.access.AddMobile(b.admin, access.AddMobileInput{
		UserID: b.adminID, PublicKey: base64.StdEncoding.EncodeToString(public)})
	wantCode(t, err, access.CodeConflict)
}

// TestSecretsRotateUnderCredentials: what an older secret sealed is found, and not given twice.
func TestSecretsRotateUnderCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	b.access = b.service(1)
	made := b.pin(access.CreatePINInput{})
	b.card()
	b.access = b.service(2, 1)
	b.want(b.present(typed(made.PIN)), schema.ReasonGranted)
	b.want(b.present(shown(118, "1603")), schema.ReasonGranted)
	b.want(b.present(shown(119, "1603")), schema.ReasonFacilityMismatch)
	_, err := b.access.CreatePIN(b.admin, access.CreatePINInput{UserID: b.adminID, PIN: &made.PIN})
	wantCode(t, err, access.CodeBadUserInput)
	facility := 118
	_, err = b.access.AddCard(b.admin, access.AddCardInput{UserID: b.adminID,
		Format: access.CardWiegand26, FacilityCode: &facility, Number: "1603"})
	wantCode(t, err, access.CodeConflict)
	after := b.pin(access.CreatePINInput{})
	b.access = b.service(1, 2) // a node that is not restarted yet, but has both
	b.want(b.present(typed(after.PIN)), schema.ReasonGranted)
	b.access = b.service(3)
	b.want(b.present(typed(made.PIN)), schema.ReasonInvalidPIN)
	b.want(b.present(shown(118, "1603")), schema.ReasonUnknownCredential)
}

// TestATryIsRecordedThoughNobodyWaits: hanging up does not make a guess free.
func TestATryIsRecordedThoughNobodyWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	gone, hangUp := context.WithCancel(b.admin)
	hangUp()
	p, err := b.access.PresentCredential(gone,
		access.PresentCredentialInput{DoorID: b.door.ID, Credential: typed("493127")})
	must(t, err)
	b.want(p, schema.ReasonInvalidPIN)
	if b.head() != before+1 || b.db.Door.GetX(b.system, b.door.ID).PinFailures != 1 {
		t.Error("it left no trace")
	}
}

func TestCredentialUseCasesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	card := b.card()
	org, desk, err := b.access.CreateOrganization(actor.NewContext(t.Context(), actor.System("test")),
		access.CreateOrganizationInput{Name: "Mill", AdminName: "Desk", AdminEmail: "desk@example.com"})
	must(t, err)
	stranger := actor.NewContext(t.Context(), actor.User(org.ID, desk.ID, actor.RoleAdmin))
	before := b.head()
	facility := 1
	for name, use := range map[string]func(context.Context) error{
		"pin": func(ctx context.Context) error {
			_, err := b.access.CreatePIN(ctx, access.CreatePINInput{UserID: b.memberID})
			return err
		},
		"card": func(ctx context.Context) error {
			_, err := b.access.AddCard(ctx, access.AddCardInput{UserID: b.memberID,
				Format: access.CardWiegand26, FacilityCode: &facility, Number: "1"})
			return err
		},
		"mobile": func(ctx context.Context) error {
			_, err := b.access.AddMobile(ctx, access.AddMobileInput{UserID: b.memberID,
				PublicKey: base64.StdEncoding.EncodeToString(make([]byte, 32))})
			return err
		},
		"suspend": func(ctx context.Context) error {
			_, err := b.access.SuspendCredential(ctx, access.SuspendCredentialInput{ID: card.ID})
			return err
		},
		"resume": func(ctx context.Context) error {
			_, err := b.access.ResumeCredential(ctx, access.ResumeCredentialInput{ID: card.ID})
			return err
		},
		"revoke": func(ctx context.Context) error {
			_, err := b.access.RevokeCredential(ctx, access.RevokeCredentialInput{ID: card.ID})
			return err
		},
	} {
		if err := use(b.member); !access.IsCode(err, access.CodeForbidden) {
			t.Errorf("%s by a member: %v", name, err)
		}
		if err := use(stranger); !access.IsCode(err, access.CodeNotFound) {
			t.Errorf("%s by a stranger: %v", name, err)
		}
	}
	if b.head() != before {
		t.Error("something was recorded")
	}
	for range 2 { // the second time changes nothing
		_, err := b.access.RevokeCredential(b.admin, access.RevokeCredentialInput{ID: card.ID})
		must(t, err)
	}
	if b.head() != before+1 {
		t.Error("revoked twice")
	}
	_, err = b.access.ResumeCredential(b.admin, access.ResumeCredentialInput{ID: card.ID})
	wantCode(t, err, access.CodeConflict)
}
