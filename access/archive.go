package access

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
)

// ArchiveFile is a table of an organization as lines in its archive, by identifier.
type ArchiveFile struct {
	Name string
	// Write writes the rows of the actor's organization, and says how many those are. It holds a page of
	// them at a time.
	Write func(ctx context.Context, db *ent.Client, to io.Writer) (int, error)

	load loader
}

// loader makes the rows that lines tell, and says how many those are.
type loader func(ctx context.Context, tx *ent.Tx, lines iter.Seq2[[]byte, error]) (int, error)

// ArchiveFiles are what an archive holds, in an order in which rows refer to earlier ones.
//
// A column that is sensitive is left out unless it is named here. Those that are named let nobody in who
// has only the archive: hashes of random secrets, and what was sealed with the secrets of the
// installation.
var ArchiveFiles = []ArchiveFile{
	rows("organizations", func(db *ent.Client) *ent.OrganizationClient { return db.Organization }),
	rows("holiday_calendars",
		func(db *ent.Client) *ent.HolidayCalendarClient { return db.HolidayCalendar }),
	rows("sites", func(db *ent.Client) *ent.SiteClient { return db.Site }),
	rows("schedules", func(db *ent.Client) *ent.ScheduleClient { return db.Schedule }),
	rows("areas", func(db *ent.Client) *ent.AreaClient { return db.Area }),
	rows("devices", func(db *ent.Client) *ent.DeviceClient { return db.Device },
		keeping("claim_code_hash"), leaving("connectivity")),
	rows("doors",
		func(db *ent.Client) *ent.DoorClient { return db.Door }, leaving("connectivity", "told_mode")),
	rows("door_groups", func(db *ent.Client) *ent.DoorGroupClient { return db.DoorGroup }),
	rows("door_group_doors",
		func(db *ent.Client) *ent.DoorGroupDoorClient { return db.DoorGroupDoor }),
	rows("users", func(db *ent.Client) *ent.UserClient { return db.User }),
	rows("managed_sites", func(db *ent.Client) *ent.ManagedSiteClient { return db.ManagedSite }),
	rows("passkeys", func(db *ent.Client) *ent.PasskeyClient { return db.Passkey },
		keeping("credential_id", "public_key")),
	rows("identity_providers",
		func(db *ent.Client) *ent.IdentityProviderClient { return db.IdentityProvider },
		keeping("client_secret")),
	rows("identities", func(db *ent.Client) *ent.IdentityClient { return db.Identity }),
	rows("user_groups", func(db *ent.Client) *ent.UserGroupClient { return db.UserGroup }),
	rows("user_group_members",
		func(db *ent.Client) *ent.UserGroupMemberClient { return db.UserGroupMember }),
	rows("credentials", func(db *ent.Client) *ent.CredentialClient { return db.Credential },
		keeping("pin_hash", "sealed", "lookup", "number_lookup")),
	rows("keys", func(db *ent.Client) *ent.KeyClient { return db.Key },
		keeping("recipient", "recipient_name", "link_hash")),
	rows("key_targets", func(db *ent.Client) *ent.KeyTargetClient { return db.KeyTarget }),
	rows("visits", func(db *ent.Client) *ent.VisitClient { return db.Visit }),
	rows("presences", func(db *ent.Client) *ent.PresenceClient { return db.Presence }),
	rows("lockdown_plans", func(db *ent.Client) *ent.LockdownPlanClient { return db.LockdownPlan }),
	rows("lockdowns", func(db *ent.Client) *ent.LockdownClient { return db.Lockdown }),
	rows("lockdown_doors", func(db *ent.Client) *ent.LockdownDoorClient { return db.LockdownDoor }),
	rows("commands", func(db *ent.Client) *ent.CommandClient { return db.Command }),
	rows("applications", func(db *ent.Client) *ent.ApplicationClient { return db.Application },
		keeping("hash", "previous_hash")),
	rows("grants", func(db *ent.Client) *ent.GrantClient { return db.Grant }),
	rows("refresh_tokens", func(db *ent.Client) *ent.RefreshTokenClient { return db.RefreshToken },
		keeping("hash")),
	rows("api_tokens", func(db *ent.Client) *ent.APITokenClient { return db.APIToken },
		keeping("hash", "previous_hash")),
	rows("webhook_endpoints",
		func(db *ent.Client) *ent.WebhookEndpointClient { return db.WebhookEndpoint },
		leaving("enabled", "disabled_reason"), arriving(silenced)),
	{Name: prunedFile, Write: writePruned},
	{Name: eventsFile, Write: writeEvents},
}

// The journal comes last, in its own form: the leaves of the events that were pruned, and the events.
const (
	prunedFile = "pruned"
	eventsFile = "events"
)

// LeftOut is a table, or a column of one, that no archive holds.
type LeftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// ArchiveLeavesOut is everything that an archive of an organization does not hold.
var ArchiveLeavesOut = []LeftOut{
	{"sessions", "people sign in anew where the organization is imported"},
	{"devices.connectivity", "links do not move: a device is OFFLINE until it links"},
	{"doors.connectivity", "likewise"},
	{"doors.told_mode", "every device is told anew"},
	{"webhook_endpoints.secret", "it is a secret: an endpoint gets another"},
	{"webhook_endpoints.enabled", "an endpoint is imported disabled, or it would hear of everything twice"},
	{"webhook_endpoints.disabled_reason", "likewise"},
	{"webhook_deliveries", "what was delivered is the endpoints' to know"},
	{"webhook_attempts", "likewise"},
	{"webhook_cursors", "events are not delivered again: it goes on after those of the archive"},
	{"checkpoints", "signed with a key of the installation; whoever kept one can hold the journal to it"},
	{"log_tiles", "computed from the events"},
	{"journal_heads", "computed from the events, and compared with what the manifest tells"},
	{"authorization_codes", "good for a minute"},
	{"identity_requests", "good for minutes"},
	{"sign_in_codes", "of no organization"},
	{"sign_in_attempts", "of no organization"},
	{"passkey_challenges", "of no organization"},
}

// silenced is what is special about a webhook endpoint that was imported. Nobody knows its secret.
func silenced() map[string]any {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return map[string]any{
		"secret": secret, "enabled": false, "disabled_reason": "imported: make it anew to get a secret",
	}
}

// archivePage is how many rows are read at once.
const archivePage = 200

// writePruned writes the leaves of events that are not there any more.
func writePruned(ctx context.Context, db *ent.Client, to io.Writer) (count int, err error) {
	out := json.NewEncoder(to)
	for gap, err := range journal.Gaps(ctx, db) {
		if err != nil {
			return count, err
		}
		if err := out.Encode(gap); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

// readPruned reads what writePruned wrote, and counts the lines.
func readPruned(lines iter.Seq2[[]byte, error], count *int) iter.Seq2[journal.Gap, error] {
	return func(yield func(journal.Gap, error) bool) {
		for line, err := range lines {
			var gap journal.Gap
			if err == nil && json.Unmarshal(line, &gap) != nil {
				err = Error{CodeBadUserInput, "a line is not JSON", prunedFile}
			}
			if *count++; !yield(gap, err) {
				return
			}
		}
	}
}

// writeEvents writes the journal's canonical bytes, an event a line: each line hashes to its leaf.
func writeEvents(ctx context.Context, db *ent.Client, to io.Writer) (count int, err error) {
	var last int64
	for {
		page, err := db.Event.Query().Modify(func(s *sql.Selector) {
			s.Where(sql.GT(s.C("seq"), last)).OrderBy(s.C("seq")).Limit(archivePage)
		}).All(ctx)
		if err != nil {
			return count, fmt.Errorf("read journal: %w", err)
		}
		for _, row := range page {
			line, err := journal.FromRow(row).Encode()
			if err != nil {
				return count, err
			}
			if _, err := to.Write(append(line, '\n')); err != nil {
				return count, err
			}
			last = row.Seq
		}
		if count += len(page); len(page) < archivePage {
			return count, nil
		}
	}
}
