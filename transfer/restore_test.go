package transfer_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/migrate"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

// installation is a database of its own, with its secrets.
type installation struct {
	t      *testing.T
	db     *ent.Client
	access *access.Service
	codes  []string        // that were mailed
	system context.Context //nolint:containedctx // the operator
}

func install(t *testing.T, secrets *seal.Keyring) *installation {
	t.Helper()
	i := &installation{t: t, db: testenv.Client(t)}
	i.access = access.New(access.Config{DB: i.db, Log: testenv.Logger(t), Secrets: secrets,
		Send: func(l access.Letter) { i.codes = append(i.codes, l.Code) }})
	i.system = actor.NewContext(t.Context(), actor.System("test"))
	return i
}

func (i *installation) within(org typeid.Organization) context.Context {
	return actor.NewContext(i.t.Context(), actor.System("test").Within(org))
}

// archive is the archive of an organization.
func (i *installation) archive(org typeid.Organization) []byte {
	i.t.Helper()
	var to bytes.Buffer
	must(i.t, transfer.Archive(i.within(org), i.db, &to))
	return to.Bytes()
}

func (i *installation) restore(
	archive []byte, how transfer.RestoreOptions,
) (*access.ImportedOrganization, error) {
	return transfer.Restore(i.system, i.access, bytes.NewReader(archive), int64(len(archive)), how)
}

// estate is an organization with something of everything.
type estate struct {
	org         typeid.Organization
	desk, night typeid.User
	gate        *ent.Door
	device      typeid.Device
	pin, token  string
	link        string
	private     ed25519.PrivateKey // of a device
}

// settle makes an organization with at least a row in each of its tables.
func (i *installation) settle() estate { //nolint:maintidx // it is long because there is so much
	t := i.t
	t.Helper()
	s := i.access
	org, desk, err := s.CreateOrganization(i.system, access.CreateOrganizationInput{
		Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	e := estate{org: org.ID, desk: desk.ID}
	owner := actor.NewContext(t.Context(), actor.User(org.ID, desk.ID, actor.RoleOwner))
	within := i.within(org.ID)
	manager := actor.RoleManager
	calendar, err := s.CreateHolidayCalendar(owner, access.CreateHolidayCalendarInput{
		Name: "Feasts", Holidays: []schema.Holiday{{Name: "New year", First: "2026-01-01", Yearly: true}}})
	must(t, err)
	site, err := s.CreateSite(owner, access.CreateSiteInput{Name: "Quay <&>", TimeZone: "Europe/Rome"})
	must(t, err)
	must(t, i.db.Site.UpdateOne(site.Site).SetHolidayCalendarID(calendar.HolidayCalendar.ID).Exec(owner))
	day, err := s.CreateSchedule(owner, access.CreateScheduleInput{Name: "Always", Windows: []schema.Window{
		{Start: "2026-01-01T00:00:00", End: "2026-01-02T00:00:00", Rule: "FREQ=DAILY", Holidays: schema.HolidayKeep}}})
	must(t, err)
	area, err := s.CreateArea(owner, access.CreateAreaInput{SiteID: site.Site.ID, Name: "Yard"})
	must(t, err)
	claim, err := s.CreateDevice(owner, access.CreateDeviceInput{SiteID: site.Site.ID, Name: "Panel"})
	must(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	device, err := s.Enrol(actor.NewContext(t.Context(), actor.System("devicelink")), access.EnrolInput{
		ClaimCode: claim.ClaimCode, Serial: "S1", Model: "M1", Firmware: "1.0", PublicKey: public})
	must(t, err)
	_, err = s.CreateDevice(owner, access.CreateDeviceInput{SiteID: site.Site.ID, Name: "Not enrolled"})
	must(t, err)
	door, err := s.CreateDoor(owner, access.CreateDoorInput{SiteID: site.Site.ID, Name: "Gate"})
	must(t, err)
	e.gate = i.db.Door.UpdateOne(door.Door).SetDeviceID(device.ID).SetDevicePort(1).
		SetIntoAreaID(area.Area.ID).SaveX(owner)
	e.device, e.private = device.ID, private
	night, err := s.CreateUser(owner, access.CreateUserInput{Name: "Night shift", Email: "night@example.com"})
	must(t, err)
	e.night = night.User.ID
	_, err = s.CreateUser(owner, access.CreateUserInput{Name: "Quay master", Email: "quay@example.com",
		Role: &manager, SiteIDs: []typeid.Site{site.Site.ID}})
	must(t, err)

	// The part was made before its whole.
	part, err := s.CreateUserGroup(owner, access.CreateUserGroupInput{Name: "Part"})
	must(t, err)
	whole, err := s.CreateUserGroup(owner, access.CreateUserGroupInput{Name: "Whole"})
	must(t, err)
	must(t, i.db.UserGroup.UpdateOne(part.UserGroup).SetParentID(whole.UserGroup.ID).Exec(owner))
	_, err = s.AddUserGroupMembers(owner, access.AddUserGroupMembersInput{
		UserGroupID: part.UserGroup.ID, UserIDs: []typeid.User{e.night}})
	must(t, err)
	gates, err := s.CreateDoorGroup(owner, access.CreateDoorGroupInput{Name: "Gates"})
	must(t, err)
	_, err = s.AddDoorGroupDoors(owner, access.AddDoorGroupDoorsInput{
		DoorGroupID: gates.DoorGroup.ID, DoorIDs: []typeid.Door{e.gate.ID}})
	must(t, err)

	given, err := s.CreatePIN(owner, access.CreatePINInput{UserID: e.night})
	must(t, err)
	e.pin = given.PIN
	_, err = s.AddCard(owner, access.AddCardInput{UserID: e.night, Format: access.CardCSN56, Number: "04A1B2C3D4E5F6"})
	must(t, err)
	_, err = s.AddMobile(owner, access.AddMobileInput{UserID: e.night,
		PublicKey: base64.StdEncoding.EncodeToString(public)})
	must(t, err)
	shares := 2
	key, err := s.GrantKey(owner, access.GrantKeyInput{UserID: e.night, DoorIDs: []typeid.Door{e.gate.ID},
		ScheduleID: &day.Schedule.ID, Shares: &shares})
	must(t, err)
	shared, err := s.ShareKey(actor.NewContext(t.Context(), actor.User(org.ID, e.night, actor.RoleMember)),
		access.ShareKeyInput{KeyID: key.Key.ID, Recipient: "guest@example.com"})
	must(t, err)
	e.link = shared.Link
	_, err = s.GrantKey(owner, access.GrantKeyInput{UserGroupID: whole.UserGroup.ID,
		DoorGroupIDs: []typeid.DoorGroup{gates.DoorGroup.ID}})
	must(t, err)
	now := time.Now()
	_, err = s.InviteVisitor(owner, access.InviteVisitorInput{Name: "Pilot", SiteID: site.Site.ID,
		DoorIDs: []typeid.Door{e.gate.ID}, StartsAt: now, EndsAt: now.Add(time.Hour)})
	must(t, err)
	_, err = s.RecordPresence(owner, access.RecordPresenceInput{
		AreaID: area.Area.ID, UserID: e.night, State: presence.StateIN})
	must(t, err)
	plan, err := s.CreateLockdownPlan(owner, access.CreateLockdownPlanInput{
		Name: "Storm", DoorIDs: []typeid.Door{e.gate.ID}, TriggerGroupID: &whole.UserGroup.ID})
	must(t, err)
	storm := i.db.Lockdown.Create().SetPlanID(plan.LockdownPlan.ID).SetSiteIds([]typeid.Site{}).
		SetState(lockdown.StateRELEASED).
		SetRequestedBy("x").SetRequestedAt(schema.Now()).SaveX(within)
	i.db.LockdownDoor.Create().SetLockdownID(storm.ID).SetDoorID(e.gate.ID).SetReleasedAt(schema.Now()).
		SaveX(within)
	_, err = s.UnlockDoor(actor.NewContext(t.Context(), actor.User(org.ID, e.night, actor.RoleMember)),
		access.UnlockDoorInput{DoorID: e.gate.ID, ClientContext: []byte(`{"b": 1.50, "a": "<x>"}`)})
	must(t, err)

	const back = "https://voice.example.com/back"
	app, err := s.CreateApplication(owner, access.CreateApplicationInput{Name: "Voice",
		Type: application.TypeCONFIDENTIAL, RedirectURIs: []string{back}, Scopes: []actor.Scope{"doors:read"}})
	must(t, err)
	_, err = s.GiveGrant(actor.NewContext(t.Context(), actor.User(org.ID, e.night, actor.RoleMember)),
		access.GiveGrantInput{ApplicationID: app.Application.ID, RedirectURI: back,
			Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"})
	must(t, err)
	grant := i.db.Grant.Query().OnlyX(within)
	i.db.RefreshToken.Create().SetGrantID(grant.ID).SetHash([]byte("refreshing")).
		SetExpiresAt(schema.Now().Add(time.Hour)).SaveX(within)
	made, err := s.CreateAPIToken(owner, access.CreateAPITokenInput{Name: "Kiosk"})
	must(t, err)
	e.token = made.Secret
	provider, err := s.CreateIdentityProvider(owner, access.CreateIdentityProviderInput{Name: "Mill",
		Issuer: "https://id.example.com", Client: "c", ClientSecret: "whatever", Domains: []string{"example.net"}})
	must(t, err)
	i.db.Identity.Create().SetUserID(e.desk).SetProviderID(provider.Provider.ID).SetIssuer("https://id.example.com").
		SetSubject("7").SetCreatedAt(schema.Now()).SaveX(within)
	i.db.Passkey.Create().SetUserID(e.desk).SetName("Phone").SetCredentialID([]byte(rand.Text())).
		SetPublicKey([]byte("k")).SetAaguid([]byte("a")).SetSignCount(1).SetBackupEligible(false).
		SetBackedUp(false).SetCreatedAt(schema.Now()).SaveX(within)
	_, err = s.CreateWebhookEndpoint(owner, access.CreateWebhookEndpointInput{URL: "https://example.com/hook"})
	must(t, err)
	// Some events were pruned, after their leaves had come into a tile.
	_, err = journal.NewNotary(journal.NotaryConfig{
		DB: i.db, Keys: logKeys(t), Log: testenv.Logger(t)}).Sign(i.system, org.ID)
	must(t, err)
	equal(t, i.db.Event.Delete().Where(event.SeqIn(4, 5, 9)).ExecX(within), 3)
	return e
}

// same complains of each file, but those that are named, that two archives do not have byte for byte.
func same(t *testing.T, one, other map[string]string, but ...string) {
	t.Helper()
	if !slices.Equal(slices.Sorted(maps.Keys(one)), slices.Sorted(maps.Keys(other))) {
		t.Fatal("the archives hold other files")
	}
	for name, content := range one {
		if !slices.Contains(but, name) && content != other[name] {
			t.Errorf("%s\n got %s\nwant %s", name, other[name], content)
		}
	}
}

// An organization goes from one installation to another and is there what it was, but for what the
// manifest says is left out.
func TestRestore(t *testing.T) {
	t.Parallel()
	secrets := seal.Random()
	from, to := install(t, secrets), install(t, secrets)
	e := from.settle()
	from.crowd(e)
	_, _, err := to.access.CreateOrganization(to.system, access.CreateOrganizationInput{
		Name: "Quay", AdminName: "Other desk", AdminEmail: "desk@example.org"})
	must(t, err)
	archive := from.archive(e.org)
	told, before := read(t, string(archive))
	for _, f := range told.Files {
		if f.Lines == 0 {
			t.Errorf("%s is not tested: it is empty", f.Name)
		}
	}

	dry, err := to.restore(archive, transfer.RestoreOptions{DryRun: true})
	must(t, err)
	equal(t, to.db.Organization.Query().CountX(to.system), 1)
	done, err := to.restore(archive, transfer.RestoreOptions{})
	must(t, err)
	equal(t, done.Organization.ID, e.org)
	equal(t, fmt.Sprint(done.Lines), fmt.Sprint(dry.Lines))
	equal(t, done.Lacking, access.Lacking{Endpoints: 1})

	again, after := read(t, string(to.archive(e.org)))
	same(t, before, after, "manifest.json", "events.ndjson")
	rest, continues := strings.CutPrefix(after["events.ndjson"], before["events.ndjson"])
	if !continues || strings.Count(rest, "\n") != 1 || !strings.Contains(rest, `"type":"data.imported"`) ||
		!strings.Contains(rest, fmt.Sprintf(`"sequence":%d,`, told.Journal.Size+1)) {
		t.Errorf("the journal goes on with %s", rest)
	}
	equal(t, again.Journal.Size, told.Journal.Size+1)
	to.lives(e)

	// The leaves are those that were.
	for _, row := range to.db.Event.Query().Where(event.SeqLTE(int64(told.Journal.Size))).AllX(to.within(e.org)) {
		if was := from.db.Event.GetX(from.within(e.org), row.ID); !bytes.Equal(was.LeafHash, row.LeafHash) {
			t.Errorf("event %d has another leaf", row.Seq)
		}
	}
	_, err = to.restore(archive, transfer.RestoreOptions{})
	equal(t, access.IsCode(err, access.CodeConflict), true)
}

// crowd makes more groups than one statement inserts between a part and its whole.
func (i *installation) crowd(e estate) {
	i.t.Helper()
	owner := actor.NewContext(i.t.Context(), actor.User(e.org, e.desk, actor.RoleOwner))
	var made []*ent.UserGroupCreate
	for n := range 1200 {
		made = append(made, i.db.UserGroup.Create().SetName(fmt.Sprintf("Group %d", n)))
	}
	groups := i.db.UserGroup.CreateBulk(made...).SaveX(owner)
	must(i.t, i.db.UserGroup.UpdateOne(groups[0]).SetParentID(groups[len(groups)-1].ID).Exec(owner))
}

// An archive holds every column of every table, or its manifest says that it does not, and why.
func TestArchiveIsComplete(t *testing.T) {
	t.Parallel()
	i := install(t, seal.Random())
	told, files := read(t, string(i.archive(i.settle().org)))
	left := map[string]bool{}
	for _, l := range told.LeftOut {
		if left[l.What] = true; l.Why == "" {
			t.Errorf("%s is left out: why?", l.What)
		}
	}
	for _, table := range migrate.Tables {
		text, there := files[table.Name+".ndjson"]
		if there == left[table.Name] {
			t.Errorf("%s: export it, or say why not", table.Name)
		}
		if !there || table.Name == "events" { // which are in their canonical form
			continue
		}
		line, _, _ := strings.Cut(text, "\n")
		var row map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(line), &row))
		for _, column := range table.Columns {
			_, there := row[column.Name]
			if name := table.Name + "." + column.Name; there == left[name] {
				t.Errorf("%s: export it, or say why not", name)
			}
		}
	}
}

// lives checks that an organization works that was imported.
func (i *installation) lives(e estate) {
	t := i.t
	t.Helper()
	decision, err := i.access.EffectiveAccess(actor.NewContext(t.Context(),
		actor.User(e.org, e.desk, actor.RoleOwner)), access.AccessQuestion{User: e.night, Door: e.gate.ID})
	must(t, err)
	equal(t, decision.Granted, true)
	night := actor.NewContext(t.Context(), actor.User(e.org, e.night, actor.RoleMember))
	unlocked, err := i.access.UnlockDoor(night, access.UnlockDoorInput{DoorID: e.gate.ID})
	must(t, err)
	equal(t, *unlocked.Command.Reason, schema.ReasonDeviceOffline) // which comes after the decision

	asked, err := i.access.SendSignInCode(t.Context(), "night@example.com", access.Client{Address: "192.0.2.7"})
	must(t, err)
	in, err := i.access.ShowSignInCode(t.Context(), asked.Nonce, i.codes[len(i.codes)-1],
		access.Client{Address: "192.0.2.7"})
	must(t, err)
	by, err := i.access.Authenticate(t.Context(), in.SignedIn.Secret)
	must(t, err)
	equal(t, by.User, e.night)
	by, err = i.access.Authenticate(t.Context(), e.token)
	must(t, err)
	equal(t, by.User, e.desk)

	system := actor.NewContext(t.Context(), actor.System("devicelink"))
	device, err := i.access.DeviceForLink(system, e.device)
	must(t, err)
	equal(t, bytes.Equal(device.PublicKey, e.private.Public().(ed25519.PublicKey)), true)
	link, err := i.access.OpenLink(actor.NewContext(t.Context(), actor.Device(e.org, e.device)),
		access.OpenLinkInput{
			LogEpoch: device.LogEpoch, Firmware: "1.0", Challenged: time.Now(), Key: device.PublicKey,
		})
	must(t, err)
	equal(t, link.Epoch, device.Epoch+1)
	pin := e.pin
	presented, err := i.access.PresentCredential(actor.NewContext(t.Context(),
		actor.User(e.org, e.desk, actor.RoleOwner)), access.PresentCredentialInput{DoorID: e.gate.ID,
		Credential: access.PresentedCredentialInput{PIN: &pin}})
	must(t, err)
	equal(t, presented.Command.RequesterUserID != nil && *presented.Command.RequesterUserID == e.night, true)
	hook := i.db.WebhookEndpoint.Query().OnlyX(i.within(e.org))
	equal(t, hook.Enabled || len(hook.Secret) != 32, false)
}
