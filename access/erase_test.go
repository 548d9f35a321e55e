package access_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// personal is where something is told of a person, and which rows of a table those are: $1 are they, and
// guests who are the same person. TestErasedPersonIsNowhere leaves a trace in each of these columns.
var personal = map[string]string{
	"users.email users.external_id users.family_name users.given_name users.name": `id = ANY ($1)`,
	"keys.link_hash keys.recipient keys.recipient_name":                           `recipient ILIKE 'trace%'`,
	"visits.name": `key_id IN (SELECT id FROM keys WHERE recipient ILIKE 'trace%')`,
	"api_tokens.addresses api_tokens.hash api_tokens.known_addresses api_tokens.last_used_address " +
		"api_tokens.name api_tokens.previous_hash": `user_id = ANY ($1)`,
	"sessions.account sessions.address sessions.hash sessions.user_agent":      `user_id = ANY ($1)`,
	"passkeys.aaguid passkeys.credential_id passkeys.name passkeys.public_key": `user_id = ANY ($1)`,
	"identities.issuer identities.subject":                                     `user_id = ANY ($1)`,
	"credentials.card_format credentials.hint credentials.label credentials.lookup " +
		"credentials.number_lookup credentials.pin_hash credentials.public_key " +
		"credentials.sealed": `user_id = ANY ($1)`,
	"authorization_codes.challenge authorization_codes.hash authorization_codes.redirect_uri": ofGrants,
	"refresh_tokens.hash": ofGrants,
	"commands.client_context commands.idempotency_key commands.note": `requester_user_id = ANY ($1)`,
	"lockdowns.note":                 `true`,
	"webhook_attempts.response_body": `true`,
}

const ofGrants = `grant_id IN (SELECT id FROM grants WHERE user_id = ANY ($1))`

// impersonal is where nothing is told of a person.
var impersonal = map[string]string{
	"a word of a list": "api_tokens.scopes applications.scopes applications.type areas.anti_passback " +
		"areas.limit_mode commands.confirmation commands.reason commands.requester_kind commands.stage " +
		"commands.verb credentials.kind devices.connectivity doors.connectivity doors.effective_cause " +
		"doors.effective_mode doors.lock_state doors.mode doors.override_mode doors.position doors.told_mode " +
		"events.actor_kind events.delivery events.method events.outcome events.reason events.severity " +
		"events.type grants.revoked_reason grants.scopes lockdown_doors.outcome lockdowns.state " +
		"presences.state sessions.method users.role users.status visits.state webhook_attempts.error_class " +
		"webhook_deliveries.state webhook_endpoints.disabled_reason webhook_endpoints.event_types",
	"identifiers": "api_tokens.site_ids commands.requester_id commands.used_key_ids events.actor_id " +
		"grants.site_ids lockdown_plans.door_ids lockdown_plans.site_ids lockdowns.activated_by " +
		"lockdowns.site_ids lockdowns.release_requested_by lockdowns.released_by lockdowns.requested_by " +
		"presences.passes",
	"of a thing, a place or a group": "applications.hash applications.homepage_url applications.name " +
		"applications.previous_hash applications.redirect_uris areas.name devices.claim_code_hash " +
		"devices.firmware devices.model devices.name devices.next_key devices.public_key devices.serial " +
		"door_groups.name " +
		"doors.name holiday_calendars.holidays holiday_calendars.name identity_providers.client " +
		"identity_providers.client_secret identity_providers.domains identity_providers.issuer " +
		"identity_providers.name lockdown_plans.name organizations.name schedules.name schedules.windows " +
		"sites.name sites.time_zone user_groups.external_id user_groups.name webhook_endpoints.description " +
		"webhook_endpoints.secret webhook_endpoints.url",
	"of the log, whose events hold identifiers": "checkpoints.note events.data events.leaf_hash " +
		"journal_heads.compact_range log_tiles.hashes log_tiles.pruned",
	"sealed or hashed, of nobody in particular, and gone within about an hour": "identity_requests.next " +
		"identity_requests.nonce_hash identity_requests.state_hash passkey_challenges.challenge " +
		"passkey_challenges.nonce_hash sign_in_attempts.account sign_in_attempts.network " +
		"sign_in_codes.code_hash sign_in_codes.email sign_in_codes.nonce_hash",
}

// What a trace looks like: a text, or an address.
const (
	trace        = "tracetracetrace"
	traceAddress = "203.0.113.77"
)

// TestErasedPersonIsNowhere leaves traces of a person in every column that may hold one, erases them,
// and looks for the traces in all rows of all tables. A column that is in neither list above fails it.
func TestErasedPersonIsNowhere(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	f := &forgotten{estate: newEstateOn(setupOn(t, testenv.OpenClient(t, url))), sql: testenv.OpenSQL(t, url)}
	f.everywhere = actor.NewContext(t.Context(), actor.System("test"))
	f.live()
	f.classified()
	f.mark()
	taken := f.db.Key.Query().Where(key.UserID(f.adminID), key.RecipientNotNil()).OnlyX(f.system)
	unerased := f.find()
	for columns := range personal {
		for column := range strings.FieldsSeq(columns) {
			table, _, _ := strings.Cut(column, ".")
			if unerased[table] == 0 {
				t.Errorf("no trace in %s", table)
			}
		}
	}
	before := f.head()
	done, err := f.access.EraseUser(f.admin, access.EraseUserInput{ID: f.person, Name: new(trace + " Night")})
	must(t, err)
	if !slices.Equal(done.ErasedIDs, []typeid.User{f.person, f.guest}) {
		t.Errorf("erased %v, not the person and the guest", done.ErasedIDs)
	}
	for table, n := range f.find() {
		t.Errorf("%d rows of %s tell of the person", n, table)
	}
	if k := f.db.Key.GetX(f.system, taken.ID); k.RevokedAt != nil {
		t.Error("a key that somebody else took has ended")
	}
	told := f.events(before)
	for kind, least := range map[string]int{"user.erased": 2, "user.deleted": 2, "key.revoked": 3} {
		n := len(slices.DeleteFunc(slices.Clone(told), func(is string) bool { return is != kind }))
		if n < least {
			t.Errorf("%d × %s in %v", n, kind, told)
		}
	}
	f.verifies()
}

// forgotten is an estate in which a person has lived.
type forgotten struct {
	*estate
	sql        *sql.DB
	everywhere context.Context //nolint:containedctx // who looks
	person     typeid.User
	guest      typeid.User // the same person, who came by a link
}

// live has a person do whatever people do.
func (f *forgotten) live() {
	t, now := f.t, f.clock.Now()
	as, _ := f.somebody(actor.RoleAdmin)
	by, _ := actor.FromContext(as)
	f.person = by.User
	f.db.User.UpdateOneID(f.person).SetName(trace + " Night").SetEmail(trace + "@example.com").
		ExecX(f.system)
	from := f.grant(f.adminID, f.here.door, nil)
	f.db.Key.UpdateOne(from).SetSharesLeft(9).ExecX(f.system)
	share := func() string {
		shared, err := f.access.ShareKey(f.admin, access.ShareKeyInput{KeyID: from.ID,
			Recipient: trace + "@example.com", RecipientName: new(trace)})
		must(t, err)
		return shared.Link[strings.LastIndex(shared.Link, "/")+1:]
	}
	share()
	came, err := f.access.RedeemLink(t.Context(), share())
	must(t, err)
	f.guest = came.Guest.ID
	other, err := f.access.RedeemLink(t.Context(), share())
	must(t, err)
	f.db.Key.UpdateOne(other.Key).SetUserID(f.adminID).ExecX(f.system)
	f.db.User.DeleteOneID(other.Guest.ID).ExecX(f.system)
	visit := f.invitation(f.adminID, f.here.door)
	visit.Recipient = new(strings.ToUpper(trace) + "@Example.com")
	_, err = f.access.InviteVisitor(f.admin, visit)
	must(t, err)
	f.unlockAs(as, now)
	f.signedIn(now)
	must(t, f.trigger(as, f.plan(f.here.door, nil)))
	hook := f.db.WebhookEndpoint.Create().SetURL("https://example.com").SetSecret([]byte("s")).SaveX(f.system)
	last := f.db.Event.Query().Where(event.ActorID(f.person.String())).FirstX(f.system)
	sent := f.db.WebhookDelivery.Create().SetEndpointID(hook.ID).SetEventID(last.ID).SetEventSeq(last.Seq).
		SaveX(f.system)
	f.db.WebhookAttempt.Create().SetDeliveryID(sent.ID).SetNumber(1).SetStartedAt(now).SetDurationMs(1).
		ExecX(f.system)
}

func (f *forgotten) unlockAs(as context.Context, now time.Time) {
	f.grant(f.person, f.here.door, nil)
	_, err := f.access.UnlockDoor(as, access.UnlockDoorInput{DoorID: f.here.door.ID,
		IdempotencyKey: new(trace), ClientContext: json.RawMessage(`{}`)})
	must(f.t, err)
	f.db.Credential.Create().SetUserID(f.person).SetKind(credential.KindCARD).SetHint("").ExecX(f.system)
	f.db.APIToken.Create().SetUserID(f.person).SetName("x").SetHash([]byte("x")).
		SetAddresses([]netip.Prefix{netip.MustParsePrefix(traceAddress + "/32")}).
		SetKnownAddresses([]netip.Prefix{netip.MustParsePrefix(traceAddress + "/32")}).ExecX(f.system)
	f.db.Presence.Create().SetUserID(f.person).SetAreaID(f.here.area.ID).SetState("IN").
		SetSince(now).SetPasses([]schema.Pass{}).ExecX(f.system)
}

func (f *forgotten) signedIn(now time.Time) {
	f.db.Session.Create().SetUserID(f.person).SetHash([]byte("x")).SetMethod(session.MethodEMAIL_CODE).
		SetCreatedAt(now).SetLastSeenAt(now).SetExpiresAt(now).SetAddress("").SetUserAgent("").ExecX(f.system)
	f.db.Passkey.Create().SetUserID(f.person).SetName("x").SetCredentialID([]byte("x")).
		SetPublicKey([]byte("x")).SetAaguid([]byte("x")).SetSignCount(0).SetBackupEligible(false).
		SetBackedUp(false).SetCreatedAt(now).ExecX(f.system)
	at := f.db.IdentityProvider.Create().SetName("x").SetIssuer("x").SetClient("x").
		SetClientSecret([]byte("x")).SetDomains([]string{}).SetRequired(false).SetCreateUsers(false).
		SaveX(f.system)
	f.db.Identity.Create().SetUserID(f.person).SetProviderID(at.ID).SetIssuer("x").SetSubject("x").
		SetCreatedAt(now).ExecX(f.system)
	app := f.db.Application.Create().SetName("x").SetType("PUBLIC").SetRedirectUris([]string{}).
		SetScopes([]actor.Scope{}).SetCreatedByID(f.person).SaveX(f.system)
	given := f.db.Grant.Create().SetUserID(f.person).SetApplicationID(app.ID).SetScopes([]actor.Scope{}).
		SetCreatedAt(now).SaveX(f.system)
	f.db.AuthorizationCode.Create().SetGrantID(given.ID).SetHash([]byte("x")).SetRedirectURI("x").
		SetChallenge("x").SetExpiresAt(now).ExecX(f.system)
	f.db.RefreshToken.Create().SetGrantID(given.ID).SetHash([]byte("x")).SetExpiresAt(now).ExecX(f.system)
}

// columns are all that may hold a text, with their types.
func (f *forgotten) columns() map[string]string {
	rows, err := f.sql.QueryContext(f.everywhere, `
		SELECT c.relname || '.' || a.attname, t.typname FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
		  AND NOT c.relispartition AND c.relname <> 'schema_migrations' AND a.attnum > 0
		  AND NOT a.attisdropped
		  AND t.typname NOT IN ('uuid', 'timestamptz', 'int8', 'int4', 'bool')`)
	must(f.t, err)
	defer func() { _ = rows.Close() }()
	all := map[string]string{}
	for rows.Next() {
		var column, kind string
		must(f.t, rows.Scan(&column, &kind))
		all[column] = kind
	}
	must(f.t, rows.Err())
	return all
}

// classified fails for a column that nobody has said of whether it tells of people, and the other way.
func (f *forgotten) classified() {
	known := map[string]bool{}
	for columns := range personal {
		for column := range strings.FieldsSeq(columns) {
			known[column] = true
		}
	}
	for _, columns := range impersonal {
		for column := range strings.FieldsSeq(columns) {
			known[column] = true
		}
	}
	all := f.columns()
	for column := range all {
		if !known[column] {
			f.t.Errorf("%s is new: does it tell of people? Then access.EraseUser has to know", column)
		}
	}
	for column := range known {
		if all[column] == "" {
			f.t.Errorf("%s is no more", column)
		}
	}
}

// mark leaves a trace in each personal column: its own text, or what made the rows has left it.
func (f *forgotten) mark() {
	kinds := f.columns()
	for columns, rows := range personal {
		for column := range strings.FieldsSeq(columns) {
			table, name, _ := strings.Cut(column, ".")
			value := map[string]string{
				"varchar": "'" + trace + "' || id", "text": "'" + trace + "' || id",
				"bytea": "convert_to('" + trace + "' || id, 'UTF8')",
				"jsonb": "jsonb_build_object('" + trace + "', id)",
			}[kinds[column]]
			if strings.HasSuffix(name, "addresses") || column == "keys.recipient" ||
				column == "users.email" || column == "users.name" {
				continue // has one
			}
			set := fmt.Sprintf("UPDATE %s SET %s = %s WHERE org_id = '%s' AND %s", table, name, value,
				uuid(f.org), rows)
			args := []any{pq.Array([]typeid.User{f.person, f.guest})}
			if !strings.Contains(rows, "$1") {
				args = nil
			}
			result, err := f.sql.ExecContext(f.everywhere, set, args...)
			if err != nil {
				f.t.Fatalf("%s: %v", set, err)
			}
			if n, _ := result.RowsAffected(); n == 0 {
				f.t.Errorf("no row to leave a trace in %s", column)
			}
		}
	}
}

func uuid(id interface{ UUID() [16]byte }) string { return fmt.Sprintf("%x", id.UUID()) }

// find counts the rows that tell of the person, in all tables and partitions.
func (f *forgotten) find() map[string]int {
	tables, err := f.sql.QueryContext(f.everywhere, `SELECT array_agg(relname) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')`)
	must(f.t, err)
	defer func() { _ = tables.Close() }()
	var names pq.StringArray
	if !tables.Next() {
		f.t.Fatal(tables.Err())
	}
	must(f.t, tables.Scan(&names))
	found := map[string]int{}
	for _, table := range names {
		var n int
		err := f.sql.QueryRowContext(f.everywhere, fmt.Sprintf(`SELECT count(*) FROM %s t
			WHERE t::text ILIKE '%%%s%%' OR t::text ILIKE '%%%x%%' OR t::text LIKE '%%%s%%'`,
			table, trace, trace, traceAddress)).Scan(&n)
		must(f.t, err)
		if n > 0 {
			found[table] = n
		}
	}
	return found
}

// verifies fails unless the journal is what its tree says.
func (b *bench) verifies() {
	b.t.Helper()
	chain, err := journal.Resume(b.org, 0, nil)
	must(b.t, err)
	for _, row := range b.db.Event.Query().Order(event.BySeq()).AllX(b.system) {
		_, leaf, err := chain.Seal(journal.FromRow(row))
		must(b.t, err)
		if !bytes.Equal(leaf, row.LeafHash) || chain.Sequence() != row.Seq {
			b.t.Errorf("event %d is not what was sealed", row.Seq)
		}
	}
	head := b.db.JournalHead.GetX(b.system, b.org)
	if head.Seq != chain.Sequence() || !bytes.Equal(head.CompactRange, chain.CompactRange()) {
		b.t.Error("the journal does not lead to its head")
	}
}

func TestEraseUser(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	admin, me := e.somebody(actor.RoleAdmin)
	owner := e.db.User.GetX(e.system, e.adminID)
	member := e.db.User.GetX(e.system, e.memberID)
	erase := func(ctx context.Context, id typeid.User, name *string) error {
		_, err := e.access.EraseUser(ctx, access.EraseUserInput{ID: id, Name: name})
		return err
	}
	before := e.head()
	wantCode(t, erase(admin, e.memberID, nil), access.CodeConfirmationRequired)
	wantCode(t, erase(admin, e.memberID, new("Somebody else")), access.CodeConfirmationRequired)
	wantCode(t, erase(admin, e.adminID, &owner.Name), access.CodeForbidden)
	wantCode(t, erase(e.admin, e.adminID, &owner.Name), access.CodeConflict)
	wantCode(t, erase(e.member, e.memberID, &member.Name), access.CodeForbidden)
	wantCode(t, erase(admin, typeid.New[typeid.User](), nil), access.CodeNotFound)
	if e.head() != before {
		t.Errorf("a refusal was journalled: %v", e.events(before))
	}
	if n := e.db.User.Query().Where(user.IDIn(e.adminID, e.memberID, me.user)).CountX(e.system); n != 3 {
		t.Errorf("%d people are left", n)
	}

	// Who was deleted can be erased, and once is enough.
	_, err := e.access.DeleteUser(admin, access.DeleteUserInput{ID: e.memberID})
	must(t, err)
	before = e.head()
	must(t, erase(admin, e.memberID, nil))
	must(t, erase(admin, e.memberID, nil))
	if told := e.events(before); !slices.Equal(told, []string{"user.erased"}) {
		t.Errorf("told of %v", told)
	}
	other := setupOn(t, e.db)
	wantCode(t, erase(other.admin, e.memberID, nil), access.CodeNotFound)
	wantCode(t, erase(other.admin, me.user, nil), access.CodeNotFound)
}
