package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/journal/signed"
)

// errUnproved ends the program with a code of its own: what is wrong has been said.
var errUnproved = errors.New("the log does not verify")

// verify proves an export of the audit log, offline. It says what is wrong first, and ends with an error.
func (p program) verify(_ context.Context, args []string) error {
	flags := p.flags("verify")
	var o extract.Options
	flags.Func("key", "a public key, or a file of them; may be given again (/.well-known/cardea-log-keys)",
		func(v string) error { return readPublicKeys(&o, v) })
	flags.Func("previous", "a file with a checkpoint that you kept, or with an earlier export: this must extend it",
		func(v string) (err error) { o.Previous, err = readCheckpoint(v); return err })
	path, err := parseAround(flags, args)
	if err != nil {
		return err
	}
	if len(o.Keys) == 0 {
		return errors.New("name the public key: -key")
	}
	file, err := os.Open(path) //nolint:gosec // whoever runs it names it
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r, err := extract.Verify(file, o)
	if err != nil {
		return err
	}
	return p.tell(r)
}

// parseAround parses flags before and after the one argument.
func parseAround(flags *flag.FlagSet, args []string) (string, error) {
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	path := flags.Arg(0)
	if err := flags.Parse(flags.Args()[min(1, flags.NArg()):]); err != nil {
		return "", err
	}
	if path == "" || flags.NArg() > 0 {
		return "", errors.New("name one file: cardea verify FILE -key KEY")
	}
	return path, nil
}

// tell says what a file proves, or what is wrong.
func (p program) tell(r *extract.Report) error {
	if r.Wrong != nil {
		_, _ = fmt.Fprintln(p.stdout, "WRONG:", r.Wrong)
		return errUnproved
	}
	h := r.Header
	_, _ = fmt.Fprintf(p.stdout, "verified: entries %d to %d of %s, under the checkpoint of %d\n",
		h.First, h.Last, h.Origin, h.Size)
	if r.Pruned > 0 {
		_, _ = fmt.Fprintf(p.stdout, "retention took %d of these, all recorded before %s; %s\n",
			r.Pruned, r.Before.Format(time.RFC3339), begin(r))
	}
	if r.Previous > 0 {
		_, _ = fmt.Fprintf(p.stdout, "they extend the earlier checkpoint, of %d\n", r.Previous)
	}
	return nil
}

// begin says what is the first entry that is left.
func begin(r *extract.Report) string {
	if r.Begin == 0 {
		return "none is left"
	}
	return fmt.Sprintf("the first that is left is %d", r.Begin)
}

// readPublicKeys takes a key, or each line of a file.
func readPublicKeys(o *extract.Options, v string) error {
	text := v
	if file, err := os.ReadFile(v); err == nil { //nolint:gosec // whoever runs it names it
		text = string(file)
	}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, err := signed.ParsePublicKey(line)
		if err != nil {
			return err
		}
		o.Keys = append(o.Keys, key)
	}
	return nil
}

// readCheckpoint takes a file that is a note, or an export of a log.
func readCheckpoint(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // whoever runs it names it
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	return extract.CheckpointIn(file)
}
