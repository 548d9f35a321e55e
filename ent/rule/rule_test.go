package rule_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// nouns is every table with a column that a stranger could want to change. The test that walks the
// client's types fails if one is missing here.
var nouns = map[string]struct {
	field string
	value any
}{
	"Organization":      {"name", "taken over"},
	"Site":              {"name", "taken over"},
	"Door":              {"name", "taken over"},
	"Device":            {"name", "taken over"},
	"User":              {"name", "taken over"},
	"Key":               {"revoked_at", time.Unix(0, 0)},
	"KeyTarget":         {"user_id", typeid.User{}},
	"ManagedSite":       {}, // never changes
	"UserGroup":         {"name", "taken over"},
	"UserGroupMember":   {"valid_until", time.Unix(0, 0)},
	"DoorGroup":         {"name", "taken over"},
	"DoorGroupDoor":     {"valid_until", time.Unix(0, 0)},
	"Schedule":          {"name", "taken over"},
	"HolidayCalendar":   {"name", "taken over"},
	"LockdownPlan":      {"name", "taken over"},
	"Lockdown":          {"state", lockdown.StateRELEASED},
	"LockdownDoor":      {"outcome", lockdowndoor.OutcomeAPPLIED},
	"Area":              {"name", "taken over"},
	"Presence":          {"state", presence.StateOUT},
	"Credential":        {"label", "taken over"},
	"Visit":             {"name", "taken over"},
	"APIToken":          {"name", "taken over"},
	"Session":           {"last_seen_at", time.Unix(0, 0)},
	"Application":       {"name", "taken over"},
	"Grant":             {"revoked_at", time.Unix(0, 0)},
	"AuthorizationCode": {"used_at", time.Unix(0, 0)},
	"RefreshToken":      {"used_at", time.Unix(0, 0)},
	"Passkey":           {"sign_count", int64(99)},
	"Command":           {"stage", command.StageCANCELLED},
	"Event":             {}, // never changes
	"JournalHead":       {"seq", int64(0)},
	"Checkpoint":        {}, // never changes
	"LogTile":           {"hashes", make([]byte, 64)},
	"WebhookEndpoint":   {"url", "https://example.com/taken-over"},
	"WebhookCursor":     {"seq", int64(99)},
	"WebhookDelivery":   {"attempts", 99},
	"WebhookAttempt":    {}, // never changes

	"IdentityProvider": {"name", "taken over"},
	"Identity":         {}, // never changes
	"IdentityRequest":  {}, // never changes
}

// unhoused are the nouns of no organization, with how to make a row of each.
var unhoused = map[string]func(context.Context, *ent.Client) error{
	"SignInCode": func(ctx context.Context, c *ent.Client) error {
		return c.SignInCode.Create().SetNonceHash([]byte("n")).SetCodeHash([]byte("c")).
			SetEmail([]byte("e")).SetCreatedAt(schema.Now()).SetExpiresAt(schema.Now()).Exec(ctx)
	},
	"PasskeyChallenge": func(ctx context.Context, c *ent.Client) error {
		return c.PasskeyChallenge.Create().SetNonceHash([]byte("n")).SetChallenge("c").
			SetExpiresAt(schema.Now()).Exec(ctx)
	},
	"SignInAttempt": func(ctx context.Context, c *ent.Client) error {
		return c.SignInAttempt.Create().SetAt(schema.Now()).SetAccount([]byte("a")).
			SetNetwork("192.0.2.0/24").SetCode([16]byte{}).Exec(ctx)
	},
}

// organization holds one row of every noun.
type organization struct {
	id      typeid.Organization
	ctx     context.Context //nolint:containedctx // the actor that the test acts as
	rows    map[string]any
	site    typeid.Site
	door    typeid.Door
	device  typeid.Device
	user    typeid.User
	key     typeid.Key
	hook    typeid.WebhookEndpoint
	deliver typeid.WebhookDelivery

	provider typeid.IdentityProvider
	identity typeid.Identity
}

func populate(t *testing.T, c *ent.Client) organization {
	t.Helper()
	o := organization{id: typeid.New[typeid.Organization]()}
	ctx := actor.NewContext(t.Context(), actor.System("test").Within(o.id))
	o.ctx = ctx
	org := c.Organization.Create().SetID(o.id).SetName("Harbour").SaveX(ctx)
	site := c.Site.Create().SetName("Quay").SetTimeZone("Europe/Rome").SaveX(ctx)
	device := c.Device.Create().SetSiteID(site.ID).SetName("Panel").SaveX(ctx)
	door := c.Door.Create().SetSiteID(site.ID).SetName("Gate").SetDeviceID(device.ID).
		SetDevicePort(1).SaveX(ctx)
	user := c.User.Create().SetName("Front desk").SetEmail("desk@example.com").SaveX(ctx)
	key := c.Key.Create().SetUserID(user.ID).SaveX(ctx)
	target := c.KeyTarget.Create().SetKeyID(key.ID).SetDoorID(door.ID).SaveX(ctx)
	managed := c.ManagedSite.Create().SetUserID(user.ID).SetSiteID(site.ID).SaveX(ctx)
	people := c.UserGroup.Create().SetName("Night shift").SaveX(ctx)
	member := c.UserGroupMember.Create().SetUserGroupID(people.ID).SetUserID(user.ID).SaveX(ctx)
	doors := c.DoorGroup.Create().SetName("Gates").SaveX(ctx)
	groupDoor := c.DoorGroupDoor.Create().SetDoorGroupID(doors.ID).SetDoorID(door.ID).SaveX(ctx)
	plan := c.Schedule.Create().SetName("Day").SetWindows([]schema.Window{}).SaveX(ctx)
	calendar := c.HolidayCalendar.Create().SetName("Feasts").SetHolidays([]schema.Holiday{}).SaveX(ctx)
	closing := c.LockdownPlan.Create().SetName("All").SetSiteIds([]typeid.Site{site.ID}).
		SetDoorIds([]typeid.Door{}).SaveX(ctx)
	closed := c.Lockdown.Create().SetPlanID(closing.ID).SetState(lockdown.StateACTIVE).
		SetSiteIds([]typeid.Site{site.ID}).SetRequestedBy("x").SetRequestedAt(schema.Now()).SaveX(ctx)
	closedDoor := c.LockdownDoor.Create().SetLockdownID(closed.ID).SetDoorID(door.ID).SaveX(ctx)
	area := c.Area.Create().SetSiteID(site.ID).SetName("Yard").SaveX(ctx)
	present := c.Presence.Create().SetAreaID(area.ID).SetUserID(user.ID).SetPasses(nil).
		SetState(presence.StateIN).SetSince(schema.Now()).SaveX(ctx)
	pin := c.Credential.Create().SetUserID(user.ID).SetKind(credential.KindPIN).SetHint("PIN").SaveX(ctx)
	visit := c.Visit.Create().SetHostID(user.ID).SetSiteID(site.ID).SetKeyID(key.ID).SetName("Guest").
		SetStartsAt(schema.Now()).SetEndsAt(schema.Now()).SaveX(ctx)
	token := c.APIToken.Create().SetUserID(user.ID).SetName("portal").SetHash([]byte("h")).SaveX(ctx)
	signedIn := c.Session.Create().SetUserID(user.ID).SetHash([]byte("h")).
		SetMethod(session.MethodEMAIL_CODE).SetCreatedAt(schema.Now()).SetLastSeenAt(schema.Now()).
		SetExpiresAt(schema.Now()).SetAddress("").SetUserAgent("").SaveX(ctx)
	passkey := c.Passkey.Create().SetUserID(user.ID).SetName("Phone").SetCredentialID([]byte(o.id.String())).
		SetPublicKey([]byte("k")).SetAaguid([]byte("a")).SetSignCount(1).SetBackupEligible(false).
		SetBackedUp(false).SetCreatedAt(schema.Now()).SaveX(ctx)
	app := c.Application.Create().SetName("Voice").SetType(application.TypePUBLIC).
		SetRedirectUris([]string{}).SetScopes(nil).SaveX(ctx)
	grant := c.Grant.Create().SetUserID(user.ID).SetApplicationID(app.ID).SetScopes(nil).
		SetCreatedAt(schema.Now()).SaveX(ctx)
	code := c.AuthorizationCode.Create().SetGrantID(grant.ID).SetHash([]byte("h")).SetRedirectURI("x").
		SetChallenge("c").SetExpiresAt(schema.Now()).SaveX(ctx)
	refresh := c.RefreshToken.Create().SetGrantID(grant.ID).SetHash([]byte("h")).
		SetExpiresAt(schema.Now()).SaveX(ctx)
	provider := c.IdentityProvider.Create().SetName("Mill").SetIssuer("https://id.example.com").SetClient("c").
		SetClientSecret([]byte("s")).SetDomains([]string{"example.com"}).SetRequired(false).SetCreateUsers(false).
		SaveX(ctx)
	identity := c.Identity.Create().SetUserID(user.ID).SetProviderID(provider.ID).SetIssuer("i").SetSubject("s").
		SetCreatedAt(schema.Now()).SaveX(ctx)
	request := c.IdentityRequest.Create().SetProviderID(provider.ID).SetStateHash([]byte("s")).
		SetNonceHash([]byte("n")).SetNext("/").SetExpiresAt(schema.Now()).SaveX(ctx)
	cmd := c.Command.Create().SetDoorID(door.ID).SetVerb(command.VerbUNLOCK).
		SetRequesterKind(actor.KindUser).SetRequesterID("x").SetRequestedAt(schema.Now()).
		SetExpiresAt(schema.Now()).SaveX(ctx)
	ev := c.Event.Create().SetID(typeid.New[typeid.Event]()).SetSeq(1).SetType("site.created").
		SetOccurredAt(schema.Now()).SetReceivedAt(schema.Now()).SetDelivery(event.DeliveryLIVE).
		SetActorKind(actor.KindSystem).SetActorID("test").SetSeverity(event.SeverityINFO).
		SetData([]byte("{}")).SetLeafHash([]byte("h")).SaveX(ctx)
	head := c.JournalHead.Create().SetID(o.id).SetSeq(1).SaveX(ctx)
	hook := c.WebhookEndpoint.Create().SetURL("https://example.com").SetSecret([]byte("s")).SaveX(ctx)
	checkpoint := c.Checkpoint.Create().SetSize(1).SetNote("n").SaveX(ctx)
	tile := c.LogTile.Create().SetLevel(0).SetPosition(0).SetHashes(make([]byte, 32)).SaveX(ctx)
	cursor := c.WebhookCursor.Create().SetID(o.id).SaveX(ctx)
	delivery := c.WebhookDelivery.Create().SetEndpointID(hook.ID).SetEventID(ev.ID).SetEventSeq(1).
		SaveX(ctx)
	attempt := c.WebhookAttempt.Create().SetDeliveryID(delivery.ID).SetNumber(1).
		SetStartedAt(schema.Now()).SetDurationMs(1).SaveX(ctx)
	o.site, o.door, o.device, o.user, o.key = site.ID, door.ID, device.ID, user.ID, key.ID
	o.hook, o.deliver, o.provider = hook.ID, delivery.ID, provider.ID
	o.identity = identity.ID
	o.rows = map[string]any{
		"Organization": org.ID, "Site": site.ID, "Door": door.ID, "Device": device.ID,
		"User": user.ID, "Key": key.ID, "KeyTarget": target.ID, "APIToken": token.ID,
		"Application": app.ID, "Grant": grant.ID, "AuthorizationCode": code.ID, "RefreshToken": refresh.ID,
		"Session": signedIn.ID, "Passkey": passkey.ID,
		"IdentityProvider": provider.ID, "Identity": identity.ID, "IdentityRequest": request.ID,
		"Command": cmd.ID, "Event": ev.ID, "JournalHead": head.ID, "WebhookEndpoint": hook.ID,
		"ManagedSite": managed.ID, "UserGroup": people.ID, "UserGroupMember": member.ID, "DoorGroup": doors.ID,
		"DoorGroupDoor": groupDoor.ID, "Schedule": plan.ID, "HolidayCalendar": calendar.ID,
		"LockdownPlan": closing.ID, "Lockdown": closed.ID, "LockdownDoor": closedDoor.ID,
		"Area": area.ID, "Presence": present.ID, "Credential": pin.ID, "Visit": visit.ID,
		"Checkpoint": checkpoint.ID, "LogTile": tile.ID, "WebhookCursor": cursor.ID,
		"WebhookDelivery": delivery.ID, "WebhookAttempt": attempt.ID,
	}
	return o
}

// clients returns the client of every noun that Ent generated.
func clients(c *ent.Client) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.IsExported() && strings.HasSuffix(field.Type.String(), "Client") {
			all[field.Name] = v.Field(i)
		}
	}
	return all
}

func call(v reflect.Value, method string, args ...any) []reflect.Value {
	in := make([]reflect.Value, len(args))
	for i, arg := range args {
		in[i] = reflect.ValueOf(arg)
	}
	return v.MethodByName(method).Call(in)
}

func errOf(results []reflect.Value) error {
	err, _ := reflect.TypeAssert[error](results[len(results)-1])
	return err
}

// refused says that the rule gave its reason. Without the rule, any error is one.
func refused(err, reason error) bool { return errors.Is(err, reason) || removed && err != nil }

func TestEverySchemaIsWalled(t *testing.T) {
	t.Parallel()
	c := testenv.Client(t)
	mine, theirs := populate(t, c), populate(t, c)
	all := clients(c)
	if len(all) != len(nouns)+len(unhoused) {
		t.Fatalf("%d nouns are generated, %d and %d are tested", len(all), len(nouns), len(unhoused))
	}
	for name, client := range all {
		if unhoused[name] != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			noun, known := nouns[name]
			if !known {
				t.Fatal("the noun is not tested")
			}
			foreign := theirs.rows[name]
			stranger := mine.ctx

			count := call(call(client, "Query")[0], "Count", t.Context())
			if !refused(errOf(count), rule.ErrNoActor) && (!removed || count[0].Int() != 0) {
				t.Errorf("read without an actor: %v rows, %v", count[0], errOf(count))
			}
			count = call(call(client, "Query")[0], "Count", stranger)
			if errOf(count) != nil || count[0].Int() != 1 {
				t.Errorf("a stranger counts %v rows, error %v", count[0], errOf(count))
			}
			if got := call(client, "Get", stranger, foreign); !ent.IsNotFound(errOf(got)) {
				t.Errorf("a stranger gets the row: %v", got)
			}
			if noun.field != "" {
				update := call(client, "Update")[0]
				setField(t, update, noun.field, noun.value)
				if n := call(update, "Save", mine.ctx); errOf(n) != nil || n[0].Int() != 1 {
					t.Errorf("an update of all touches %v rows, error %v", n[0], errOf(n))
				}
				one := call(client, "UpdateOneID", foreign)[0]
				setField(t, one, noun.field, noun.value)
				if err := errOf(call(one, "Exec", stranger)); !ent.IsNotFound(err) {
					t.Errorf("a stranger updates the row: %v", err)
				}
			}
			del := call(client, "DeleteOneID", foreign)[0]
			if err := errOf(call(del, "Exec", stranger)); !ent.IsNotFound(err) {
				t.Errorf("a stranger deletes the row: %v", err)
			}
			create := call(client, "Create")[0]
			claim(create, theirs.id)
			if err := errOf(call(create, "Save", stranger)); !refused(err, rule.ErrForeign) {
				t.Errorf("a stranger creates a row there: %v", err)
			}
			unnamed := call(client, "Create")[0]
			everywhere := actor.NewContext(t.Context(), actor.System("test"))
			if _, named := unnamed.Type().MethodByName("SetOrgID"); named {
				if err := errOf(call(unnamed, "Save", everywhere)); !refused(err, rule.ErrForeign) {
					t.Errorf("a row of no organization: %v", err)
				}
			}
			for _, builder := range []reflect.Type{create.Type(), call(client, "CreateBulk")[0].Type()} {
				if _, ok := builder.MethodByName("OnConflict"); ok {
					t.Error("an upsert is generated, which no hook can see")
				}
			}
			still := call(client, "Get", theirs.ctx, foreign)
			if errOf(still) != nil {
				t.Errorf("the row is gone: %v", errOf(still))
			}
		})
	}
}

// What is of no organization is for the system alone, as long as it acts for no organization.
func TestUnhousedAreTheSystems(t *testing.T) {
	t.Parallel()
	c := testenv.Client(t)
	o := populate(t, c)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	for name, create := range unhoused {
		if err := create(everywhere, c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		client := clients(c)[name]
		for who, is := range map[string]struct {
			ctx  context.Context //nolint:containedctx // who it is
			want error
		}{
			"nobody": {t.Context(), rule.ErrNoActor},
			"administrator": {actor.NewContext(t.Context(),
				actor.User(o.id, o.user, actor.RoleAdmin)), rule.ErrForeign},
			"token": {actor.NewContext(t.Context(), actor.Token(o.id, typeid.New[typeid.APIToken](),
				o.user, actor.RoleAdmin)), rule.ErrForeign},
			"device":                 {actor.NewContext(t.Context(), actor.Device(o.id, o.device)), rule.ErrForeign},
			"system in organization": {o.ctx, rule.ErrForeign},
		} {
			if err := create(is.ctx, c); !refused(err, is.want) {
				t.Errorf("%s: write by %s: %v", name, who, err)
			}
			for what, result := range map[string][]reflect.Value{
				"read":   call(call(client, "Query")[0], "Count", is.ctx),
				"change": call(call(client, "Update")[0], "Save", is.ctx),
				"delete": call(call(client, "Delete")[0], "Exec", is.ctx),
			} {
				if !refused(errOf(result), is.want) && (!removed || result[0].Int() != 0) {
					t.Errorf("%s: %s by %s: %v rows, %v", name, what, who, result[0], errOf(result))
				}
			}
		}
		if n := call(call(client, "Query")[0], "Count", everywhere); errOf(n) != nil || n[0].Int() != 1 {
			t.Errorf("%s: %v rows, %v", name, n[0], errOf(n))
		}
	}
}

func setField(t *testing.T, builder reflect.Value, name string, value any) {
	t.Helper()
	m := call(builder, "Mutation")[0].Interface().(ent.Mutation)
	if err := m.SetField(name, value); err != nil {
		t.Fatal(err)
	}
}

// claim makes a row name an organization.
func claim(create reflect.Value, org typeid.Organization) {
	if _, ok := create.Type().MethodByName("SetOrgID"); ok {
		call(create, "SetOrgID", org)
		return
	}
	call(create, "SetID", org)
}

func TestForeignParentsAreRefused(t *testing.T) {
	t.Parallel()
	c := testenv.Client(t)
	mine, theirs := populate(t, c), populate(t, c)
	ctx := mine.ctx
	for name, create := range map[string]interface {
		Exec(context.Context) error
	}{
		"door of a site": c.Door.Create().SetName("x").SetSiteID(theirs.site),
		"door of a device": c.Door.Create().SetName("x").SetSiteID(mine.site).
			SetDeviceID(theirs.device).SetDevicePort(2),
		"device of a site": c.Device.Create().SetName("x").SetSiteID(theirs.site),
		"key of a user":    c.Key.Create().SetUserID(theirs.user),
		"key of a site":    c.KeyTarget.Create().SetKeyID(mine.key).SetSiteID(theirs.site),
		"door of a key":    c.KeyTarget.Create().SetKeyID(theirs.key).SetDoorID(mine.door),
		"key of a door":    c.KeyTarget.Create().SetKeyID(mine.key).SetDoorID(theirs.door),
		"token of a user":  c.APIToken.Create().SetUserID(theirs.user).SetName("x").SetHash([]byte("x")),
		"session of a user": c.Session.Create().SetUserID(theirs.user).SetHash([]byte("x")).
			SetMethod(session.MethodEMAIL_CODE).SetCreatedAt(schema.Now()).SetLastSeenAt(schema.Now()).
			SetExpiresAt(schema.Now()).SetAddress("").SetUserAgent(""),
		"session by an identity": c.Session.Create().SetUserID(mine.user).SetHash([]byte("x")).
			SetMethod(session.MethodOIDC).SetIdentityID(theirs.identity).SetCreatedAt(schema.Now()).
			SetLastSeenAt(schema.Now()).SetExpiresAt(schema.Now()).SetAddress("").SetUserAgent(""),
		"passkey of a user": c.Passkey.Create().SetUserID(theirs.user).SetName("x").
			SetCredentialID([]byte("x")).SetPublicKey([]byte("x")).SetAaguid([]byte("x")).SetSignCount(0).
			SetBackupEligible(false).SetBackedUp(false).SetCreatedAt(schema.Now()),
		"identity of a user": c.Identity.Create().SetUserID(theirs.user).SetProviderID(mine.provider).
			SetIssuer("x").SetSubject("x").SetCreatedAt(schema.Now()),
		"identity at a provider": c.Identity.Create().SetUserID(mine.user).SetProviderID(theirs.provider).
			SetIssuer("x").SetSubject("x").SetCreatedAt(schema.Now()),
		"request to a provider": c.IdentityRequest.Create().SetProviderID(theirs.provider).
			SetStateHash([]byte("x")).SetNonceHash([]byte("x")).SetNext("/").SetExpiresAt(schema.Now()),
		"delivery of a webhook": c.WebhookDelivery.Create().SetEndpointID(theirs.hook).
			SetEventID(typeid.New[typeid.Event]()).SetEventSeq(1),
		"attempt of a delivery": c.WebhookAttempt.Create().SetDeliveryID(theirs.deliver).
			SetNumber(2).SetStartedAt(schema.Now()).SetDurationMs(1),
		"command to a door": c.Command.Create().SetDoorID(theirs.door).SetVerb(command.VerbUNLOCK).
			SetRequesterKind(actor.KindUser).SetRequesterID("x").
			SetRequestedAt(schema.Now()).SetExpiresAt(schema.Now()),
	} {
		if err := create.Exec(ctx); pq.As(err, pqerror.ForeignKeyViolation) == nil {
			t.Errorf("%s of another organization: %v", name, err)
		}
	}
	err := c.Door.UpdateOneID(mine.door).SetSiteID(theirs.site).Exec(ctx)
	if pq.As(err, pqerror.ForeignKeyViolation) == nil {
		t.Errorf("a door moved to a site of another organization: %v", err)
	}
}

// TestCatalogueIsWalled reads Postgres' own catalogue: every unique index but primary keys begins with
// the organization, and every reference carries it.
func TestCatalogueIsWalled(t *testing.T) {
	t.Parallel()
	db := testenv.OpenSQL(t, testenv.Postgres(t))
	rows, err := db.QueryContext(t.Context(), `
		SELECT 'unique index ' || i.indexrelid::regclass
		FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND NOT i.indisprimary
		  AND a.attname <> 'org_id'
		  AND i.indexrelid::regclass::text <> 'passkey_credential_id' -- docs/adr/0017: who knows it, has it
		UNION ALL
		SELECT 'foreign key ' || k.conname FROM pg_constraint k
		WHERE k.contype = 'f' AND NOT EXISTS (
		  SELECT 1 FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
		  AND a.attname = 'org_id')
		UNION ALL
		SELECT 'table without organization ' || t.table_name FROM information_schema.tables t
		WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND t.table_name NOT IN
		    ('organizations', 'sign_in_codes', 'sign_in_attempts', 'passkey_challenges', 'schema_migrations')
		  AND NOT EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_schema = 'public'
		    AND c.table_name = t.table_name AND c.column_name = 'org_id')
		UNION ALL
		SELECT 'reference without foreign key ' || c.table_name || '.' || c.column_name
		FROM information_schema.columns c
		WHERE c.table_schema = 'public' AND c.data_type = 'uuid' AND c.column_name LIKE '%\_id'
		  AND c.table_name <> 'events' AND c.table_name NOT LIKE 'events\_%' -- its partitions
		  AND (c.table_name, c.column_name) NOT IN
		    (('commands', 'requester_user_id'), ('webhook_deliveries', 'event_id'))
		  AND NOT EXISTS (SELECT 1 FROM pg_constraint k JOIN pg_attribute a
		    ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
		    WHERE k.contype IN ('f') AND k.conrelid = c.table_name::regclass
		      AND a.attname = c.column_name)`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var open []string
	for rows.Next() {
		var hole string
		if err := rows.Scan(&hole); err != nil {
			t.Fatal(err)
		}
		open = append(open, hole)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(open)
	if len(open) > 0 {
		t.Errorf("not walled:\n%s", strings.Join(open, "\n"))
	}
}
