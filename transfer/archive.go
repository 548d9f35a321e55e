package transfer

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// noun is a table of an organization that goes into its archive, as lines of JSON.
type noun struct {
	Name  string
	write func(ctx context.Context, db *ent.Client, to io.Writer) (int, error)
}

// nouns are what an archive holds, in an order in which rows refer to earlier ones. Columns that are
// sensitive are never written: Ent leaves them out of JSON.
var nouns = []noun{
	{"organizations", lines(func(db *ent.Client) *ent.OrganizationQuery { return db.Organization.Query() },
		func(o *ent.Organization) any { return o.ID })},
	{"holiday_calendars", lines(func(db *ent.Client) *ent.HolidayCalendarQuery { return db.HolidayCalendar.Query() },
		func(c *ent.HolidayCalendar) any { return c.ID })},
	{"sites", lines(func(db *ent.Client) *ent.SiteQuery { return db.Site.Query() },
		func(s *ent.Site) any { return s.ID })},
	{"schedules", lines(func(db *ent.Client) *ent.ScheduleQuery { return db.Schedule.Query() },
		func(s *ent.Schedule) any { return s.ID })},
	{"areas", lines(func(db *ent.Client) *ent.AreaQuery { return db.Area.Query() },
		func(a *ent.Area) any { return a.ID })},
	{"devices", lines(func(db *ent.Client) *ent.DeviceQuery { return db.Device.Query() },
		func(d *ent.Device) any { return d.ID })},
	{"doors", lines(func(db *ent.Client) *ent.DoorQuery { return db.Door.Query() },
		func(d *ent.Door) any { return d.ID })},
	{"door_groups", lines(func(db *ent.Client) *ent.DoorGroupQuery { return db.DoorGroup.Query() },
		func(g *ent.DoorGroup) any { return g.ID })},
	{"door_group_doors", lines(func(db *ent.Client) *ent.DoorGroupDoorQuery { return db.DoorGroupDoor.Query() },
		func(m *ent.DoorGroupDoor) any { return m.ID })},
	{"users", lines(func(db *ent.Client) *ent.UserQuery { return db.User.Query() },
		func(u *ent.User) any { return u.ID })},
	{"managed_sites", lines(func(db *ent.Client) *ent.ManagedSiteQuery { return db.ManagedSite.Query() },
		func(m *ent.ManagedSite) any { return m.ID })},
	{"user_groups", lines(func(db *ent.Client) *ent.UserGroupQuery { return db.UserGroup.Query() },
		func(g *ent.UserGroup) any { return g.ID })},
	{"user_group_members", lines(func(db *ent.Client) *ent.UserGroupMemberQuery { return db.UserGroupMember.Query() },
		func(m *ent.UserGroupMember) any { return m.ID })},
	{"credentials", lines(func(db *ent.Client) *ent.CredentialQuery { return db.Credential.Query() },
		func(c *ent.Credential) any { return c.ID })},
	{"keys", lines(func(db *ent.Client) *ent.KeyQuery { return db.Key.Query() },
		func(k *ent.Key) any { return k.ID })},
	{"key_targets", lines(func(db *ent.Client) *ent.KeyTargetQuery { return db.KeyTarget.Query() },
		func(t *ent.KeyTarget) any { return t.ID })},
	{"visits", lines(func(db *ent.Client) *ent.VisitQuery { return db.Visit.Query() },
		func(v *ent.Visit) any { return v.ID })},
	{"presences", lines(func(db *ent.Client) *ent.PresenceQuery { return db.Presence.Query() },
		func(p *ent.Presence) any { return p.ID })},
	{"lockdown_plans", lines(func(db *ent.Client) *ent.LockdownPlanQuery { return db.LockdownPlan.Query() },
		func(p *ent.LockdownPlan) any { return p.ID })},
	{"lockdowns", lines(func(db *ent.Client) *ent.LockdownQuery { return db.Lockdown.Query() },
		func(l *ent.Lockdown) any { return l.ID })},
	{"lockdown_doors", lines(func(db *ent.Client) *ent.LockdownDoorQuery { return db.LockdownDoor.Query() },
		func(d *ent.LockdownDoor) any { return d.ID })},
	{"commands", lines(func(db *ent.Client) *ent.CommandQuery { return db.Command.Query() },
		func(c *ent.Command) any { return c.ID })},
	{"api_tokens", lines(func(db *ent.Client) *ent.APITokenQuery { return db.APIToken.Query() },
		func(t *ent.APIToken) any { return t.ID })},
	{"events", writeEvents},
}

// query is an Ent query of rows T.
type query[T, S any] interface {
	Modify(...func(*entsql.Selector)) S
	All(context.Context) ([]T, error)
}

// lines writes the rows of a query by identifier, a page at a time.
func lines[T, S any, Q query[T, S]](
	all func(*ent.Client) Q, id func(T) any,
) func(context.Context, *ent.Client, io.Writer) (int, error) {
	return func(ctx context.Context, db *ent.Client, to io.Writer) (count int, err error) {
		out := json.NewEncoder(to)
		var after any
		for {
			q := all(db)
			q.Modify(func(s *entsql.Selector) {
				if after != nil {
					s.Where(entsql.GT(s.C("id"), after))
				}
				s.OrderBy(s.C("id")).Limit(pageSize)
			})
			page, err := q.All(ctx)
			if err != nil {
				return count, err
			}
			for _, row := range page {
				if err := out.Encode(row); err != nil {
					return count, err
				}
				after = id(row)
			}
			if count += len(page); len(page) < pageSize {
				return count, nil
			}
		}
	}
}

// writeEvents writes the journal's canonical bytes, an event a line: each line hashes to its leaf, and
// they all to the root that the manifest tells.
func writeEvents(ctx context.Context, db *ent.Client, to io.Writer) (count int, err error) {
	for {
		page, err := db.Event.Query().Modify(func(s *entsql.Selector) {
			s.Where(entsql.GT(s.C("seq"), count)).OrderBy(s.C("seq")).Limit(pageSize)
		}).All(ctx)
		if err != nil {
			return count, err
		}
		for _, row := range page {
			line, err := journal.FromRow(row).Encode()
			if err != nil {
				return count, err
			}
			if _, err := to.Write(append(line, '\n')); err != nil {
				return count, err
			}
		}
		if count += len(page); len(page) < pageSize {
			return count, nil
		}
	}
}

// manifest is the last file of an archive: one that lacks it broke off.
type manifest struct {
	Format       int                 `json:"format"`
	Organization typeid.Organization `json:"organizationId"`
	ExportedAt   time.Time           `json:"exportedAt"`
	Files        []fileEntry         `json:"files"`
	Journal      journalEntry        `json:"journal"`
}

type fileEntry struct {
	Name   string `json:"name"`
	Lines  int    `json:"lines"`
	SHA256 string `json:"sha256"`
}

// journalEntry is the journal's Merkle tree (RFC 6962): how many leaves, and its root.
type journalEntry struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// Archive writes all of the actor's organization but its secrets, as a zip: what is true at one instant.
// It needs little memory, however much there is.
func Archive(ctx context.Context, db *ent.Client, to io.Writer) (err error) {
	by, _ := actor.FromContext(ctx)
	if by.Organization.IsZero() {
		return errors.New("archive: no organization")
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	files := zip.NewWriter(to)
	told := manifest{Format: 1, Organization: by.Organization, ExportedAt: time.Now().UTC()}
	for _, n := range nouns {
		entry, err := writeFile(ctx, tx.Client(), files, n)
		if err != nil {
			return fmt.Errorf("write %s: %w", n.Name, err)
		}
		told.Files = append(told.Files, entry)
	}
	if told.Journal, err = journalOf(ctx, tx.Client(), by.Organization); err != nil {
		return err
	}
	file, err := files.Create("manifest.json")
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := json.NewEncoder(file).Encode(told); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return files.Close()
}

func writeFile(
	ctx context.Context, db *ent.Client, files *zip.Writer, n noun,
) (fileEntry, error) {
	entry := fileEntry{Name: n.Name + ".ndjson"}
	file, err := files.Create(entry.Name)
	if err != nil {
		return entry, err
	}
	sum := sha256.New()
	entry.Lines, err = n.write(ctx, db, &hashed{file, sum})
	entry.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return entry, err
}

// hashed hashes what it writes.
type hashed struct {
	to  io.Writer
	sum hash.Hash
}

func (h *hashed) Write(text []byte) (int, error) {
	_, _ = h.sum.Write(text) // never fails
	return h.to.Write(text)
}

func journalOf(
	ctx context.Context, db *ent.Client, org typeid.Organization,
) (journalEntry, error) {
	head, err := db.JournalHead.Query().Only(ctx)
	if err != nil {
		return journalEntry{}, fmt.Errorf("read journal's head: %w", err)
	}
	chain, err := journal.Resume(org, head.Seq, bytes.Clone(head.CompactRange))
	if err != nil {
		return journalEntry{}, err
	}
	root, err := chain.Root()
	return journalEntry{head.Seq, hex.EncodeToString(root)}, err
}

// giveArchive sends the archive to an owner.
func (t *transfer) giveArchive(w http.ResponseWriter, r *http.Request) {
	if err := t.access.RecordExport(r.Context(), access.WholeOrganization); err != nil {
		t.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="organization.zip"`)
	if err := Archive(r.Context(), t.db, patient{w, http.NewResponseController(w)}); err != nil {
		t.broke(r, err)
	}
}

// patient gives a client a minute for each piece that it is sent.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p patient) Write(piece []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(time.Minute)) // where there is none, none is needed
	return p.ResponseWriter.Write(piece)
}
