package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/transfer/bucket"
	"github.com/cardea/cardea/typeid"
)

// exportLog writes the audit log of an organization with its proof.
func (p program) exportLog(ctx context.Context, args []string) error {
	flags := p.flags("export-log")
	organization := flags.String("organization", "", "its identifier, org_…")
	out := flags.String("out", "audit-log.ndjson", "the file to write, or in a bucket: "+
		"s3://bucket/key?endpoint=https://…&region=…, with AWS_ACCESS_KEY_ID and so on in the environment")
	from := flags.String("from", "", "only what came at this instant or later, such as 2026-11-01T00:00:00Z")
	to := flags.String("to", "", "only what came before this instant")
	previous := flags.Int64("previous", 0, "the size of a checkpoint that you have: show that this extends it")
	resume := flags.Bool("resume", false, "go on with what broke off")
	if err := flags.Parse(args); err != nil {
		return err
	}
	id, err := typeid.Parse[typeid.Organization](*organization)
	if err != nil {
		return fmt.Errorf("name the organization: %w", err)
	}
	want := transfer.LogRange{Previous: *previous}
	for text, at := range map[*string]*time.Time{from: &want.From, to: &want.To} {
		if *text == "" {
			continue
		}
		if *at, err = time.Parse(time.RFC3339, *text); err != nil {
			return fmt.Errorf("-from and -to are instants: %w", err)
		}
	}
	write, err := p.logTo(*out, *resume)
	if err != nil {
		return err
	}
	if err := p.checkSigns(); err != nil {
		return err
	}
	c, db, err := p.openDatabase()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	model := pool.Client(db)
	ctx = actor.NewContext(ctx, actor.System("export").Within(id))
	if _, err := model.Organization.Query().Only(ctx); err != nil {
		return fmt.Errorf("look for the organization: %w", err)
	}
	s := access.New(access.Config{DB: model, Secrets: c.Secrets, Log: p.logger(c)})
	if err := s.RecordExport(ctx, access.AuditLog); err != nil {
		return fmt.Errorf("record the export: %w", err)
	}
	notary := journal.NewNotary(journal.NotaryConfig{DB: model, Keys: c.LogKeys, Log: p.logger(c)})
	source := transfer.LogSource{DB: model, Notary: notary, Organization: id}
	wrote, err := write(ctx, source, want)
	if err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	_, _ = fmt.Fprintln(p.stdout, "wrote", wrote)
	return nil
}

// logWriter writes a log, and says where to.
type logWriter func(context.Context, transfer.LogSource, transfer.LogRange) (string, error)

// logTo is a writer to a file, or to a bucket.
func (p program) logTo(out string, resume bool) (logWriter, error) {
	if !strings.HasPrefix(out, "s3:") {
		return func(ctx context.Context, source transfer.LogSource, want transfer.LogRange) (string, error) {
			return out, writeLog(ctx, source, want, out, resume)
		}, nil
	}
	place, err := bucket.Parse(out, p.env)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, source transfer.LogSource, want transfer.LogRange) (string, error) {
		return place.String(), putLog(ctx, source, want, place, resume)
	}, nil
}

// putLog writes a log into a bucket, where nothing is yet, or goes on with what broke off.
func putLog(
	ctx context.Context, source transfer.LogSource, want transfer.LogRange, place *bucket.Place, resume bool,
) error {
	begin := func() (*bucket.Upload, error) { return place.Begin(ctx, want.Previous) }
	if resume {
		begin = func() (*bucket.Upload, error) { return place.Resume(ctx) }
	}
	upload, err := begin()
	if err != nil {
		return err
	}
	if resume {
		r := upload.Range()
		want = transfer.LogRange{
			First: r.First, Last: r.Last, Size: r.Size, After: r.After, Previous: r.Previous}
	}
	if err := transfer.WriteLog(ctx, source, want, upload); err != nil {
		return err
	}
	return upload.Close()
}

// checkSigns refuses to sign with keys that were made up for the length of this run.
func (p program) checkSigns() error {
	for _, name := range []string{"CARDEA_SECRETS", "CARDEA_LOG_KEYS"} {
		if value, err := lookUp(p.env, name); value != "" || err != nil {
			return err
		}
	}
	return errors.New("CARDEA_SECRETS or CARDEA_LOG_KEYS is not set: an export is signed")
}

// writeLog writes a log to a file that is not there yet, or that broke off.
func writeLog(
	ctx context.Context, source transfer.LogSource, want transfer.LogRange, out string, resume bool,
) error {
	how := os.O_RDWR | os.O_CREATE | os.O_EXCL
	if resume {
		how = os.O_RDWR
	}
	file, err := os.OpenFile(out, how, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	if resume {
		err = goOn(file, &want)
	}
	if err == nil {
		buffered := bufio.NewWriterSize(file, 1<<20)
		err = errors.Join(transfer.WriteLog(ctx, source, want, buffered), buffered.Flush())
	}
	return errors.Join(err, file.Close())
}

// goOn cuts a file after its last whole entry, and has the export go on from there.
func goOn(file *os.File, want *transfer.LogRange) error {
	lines := bufio.NewReaderSize(file, 1<<20)
	var h extract.Header
	var at, end int64
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var entry struct {
			Sequence int64 `json:"sequence"`
		}
		switch {
		case at == 0:
			if err := json.Unmarshal(line, &h); err != nil || h.Format != extract.Format {
				return errors.New("the file is no export of a log")
			}
			end = int64(len(line))
		case json.Unmarshal(line, &entry) == nil && entry.Sequence > 0:
			want.After, end = entry.Sequence, at+int64(len(line))
		}
		at += int64(len(line))
	}
	if h.Size == 0 || want.After == 0 {
		return errors.New("the file has no whole entry: begin anew")
	}
	want.First, want.Last, want.Size = h.First, h.Last, h.Size
	want.From, want.To = time.Time{}, time.Time{}
	if err := file.Truncate(end); err != nil {
		return err
	}
	_, err := file.Seek(end, io.SeekStart)
	return err
}
