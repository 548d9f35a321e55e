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

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// archiveFormat counts the forms of archives. A reader refuses what is newer than itself; a column that an
// archive of its own form lacks is of an older model.
const archiveFormat = 2

// manifestName is the last file of an archive: one that lacks it broke off.
const manifestName = "manifest.json"

// manifest tells what an archive holds, and what not.
type manifest struct {
	Format       int                 `json:"format"`
	Organization typeid.Organization `json:"organizationId"`
	ExportedAt   time.Time           `json:"exportedAt"`
	Files        []fileEntry         `json:"files"`
	Journal      journalEntry        `json:"journal"`
	LeftOut      []access.LeftOut    `json:"leftOut"`
}

type fileEntry struct {
	Name   string `json:"name"`
	Lines  int    `json:"lines"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// journalEntry is the journal's Merkle tree (RFC 6962): how many leaves, and its root.
type journalEntry struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// fileName is the name of a table's file.
func fileName(table string) string { return table + ".ndjson" }

// Archive writes all of the actor's organization but some secrets, as a zip: what is true at one instant.
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
	whole := &marked{to: to, sum: sha256.New()}
	files := zip.NewWriter(whole)
	if err := files.SetComment(noMark); err != nil {
		return err
	}
	told := manifest{
		Format: archiveFormat, Organization: by.Organization, ExportedAt: time.Now().UTC(),
		LeftOut: access.ArchiveLeavesOut,
	}
	for _, file := range access.ArchiveFiles {
		entry, err := writeFile(ctx, tx.Client(), files, file)
		if err != nil {
			return fmt.Errorf("write %s: %w", file.Name, err)
		}
		told.Files = append(told.Files, entry)
	}
	if told.Journal, err = journalOf(ctx, tx.Client(), by.Organization); err != nil {
		return err
	}
	file, err := files.Create(manifestName)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := json.NewEncoder(file).Encode(told); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return errors.Join(files.Close(), whole.end())
}

func writeFile(
	ctx context.Context, db *ent.Client, files *zip.Writer, of access.ArchiveFile,
) (fileEntry, error) {
	entry := fileEntry{Name: fileName(of.Name)}
	file, err := files.Create(entry.Name)
	if err != nil {
		return entry, err
	}
	counted := &hashed{to: file, sum: sha256.New()}
	entry.Lines, err = of.Write(ctx, db, counted)
	entry.Bytes, entry.SHA256 = counted.bytes, hex.EncodeToString(counted.sum.Sum(nil))
	return entry, err
}

// hashed hashes and counts what it writes.
type hashed struct {
	to    io.Writer
	sum   hash.Hash
	bytes int64
}

func (h *hashed) Write(text []byte) (int, error) {
	_, _ = h.sum.Write(text) // never fails
	h.bytes += int64(len(text))
	return h.to.Write(text)
}

// markSize is the length of an archive's mark: the zip's comment, its last bytes. It is the SHA-256, in
// hexadecimal, of all that comes before it, so that no bit of an archive can turn unseen.
const markSize = 2 * sha256.Size

// noMark stands for the mark while the zip is written.
var noMark = string(bytes.Repeat([]byte{'0'}, markSize))

// marked writes all but the last bytes that it is given, and then the mark in their place.
type marked struct {
	to   io.Writer
	sum  hash.Hash
	held []byte
}

func (m *marked) Write(text []byte) (int, error) {
	m.held = append(m.held, text...)
	if ready := len(m.held) - markSize; ready > 0 {
		_, _ = m.sum.Write(m.held[:ready]) // never fails
		if _, err := m.to.Write(m.held[:ready]); err != nil {
			return 0, err
		}
		m.held = append(m.held[:0], m.held[ready:]...)
	}
	return len(text), nil
}

func (m *marked) end() error {
	_, err := io.WriteString(m.to, hex.EncodeToString(m.sum.Sum(nil)))
	return err
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
