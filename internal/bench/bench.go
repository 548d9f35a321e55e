package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cardea/cardea/internal/bench/tally"
	"github.com/cardea/cardea/internal/localservices"
)

// bench is a run of it, with all that stays up for the whole run.
type bench struct {
	dir      string
	scale    scale
	progress io.Writer
	services *localservices.Services
	db       *sql.DB
	world    world
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) close() (err error) {
	if b.db != nil {
		err = b.db.Close()
	}
	return errors.Join(err, b.services.Stop())
}

// sides are the two programs that are compared.
type sides struct{ cardea, floor *program }

func (b *bench) start(ctx context.Context) (s sides, err error) {
	if s.cardea, err = b.startCardea(ctx); err != nil {
		return s, err
	}
	if s.floor, err = b.startFloor(ctx); err != nil {
		return s, errors.Join(err, s.cardea.stop())
	}
	return s, nil
}

func (s sides) stop() error { return errors.Join(s.cardea.stop(), s.floor.stop()) }

// contest is one thing that both sides do. Each call of a side is one block.
type contest struct {
	name          string
	rounds        int // pairs of blocks
	cardea, floor func(context.Context) (tally.Block, error)
}

// measured is a contest with its blocks, in pairs that were measured one right after the other.
type measured struct {
	name          string
	cardea, floor []tally.Block
}

func (b *bench) measure(ctx context.Context, c contest) (measured, error) {
	m := measured{name: c.name}
	for range c.rounds {
		ours, err := c.cardea(ctx)
		if err != nil {
			return m, fmt.Errorf("%s: %w", c.name, err)
		}
		theirs, err := c.floor(ctx)
		if err != nil {
			return m, fmt.Errorf("%s, floor: %w", c.name, err)
		}
		m.cardea, m.floor = append(m.cardea, ours), append(m.floor, theirs)
	}
	_, err := fmt.Fprintf(b.progress, "%s: %s\n", c.name, strings.Join(m.cells(allFigures), ", "))
	return m, err
}

// figures measures everything whose name matches, and returns it as Markdown.
func (b *bench) figures(ctx context.Context, only string) (string, error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return "", fmt.Errorf("-only: %w", err)
	}
	facts, err := b.machine(ctx) // before we load it ourselves
	if err != nil {
		return "", err
	}
	busy, err := b.busy(ctx, wanted)
	if err != nil {
		return "", err
	}
	idle, err := b.idle(ctx, wanted)
	if err != nil {
		return "", err
	}
	return facts + table(busy, workFigures) + table(idle, memoryFigures), nil
}

// busy measures what work costs, all of it on one pair of programs.
func (b *bench) busy(ctx context.Context, wanted *regexp.Regexp) (all []measured, err error) {
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	requests, err := b.requests(ctx, s)
	if err != nil {
		return nil, err
	}
	unlock, err := b.unlock(s)
	if err != nil {
		return nil, err
	}
	contests := slices.Concat(requests, []contest{unlock}, b.reports(s), b.fanouts(s))
	return b.measureAll(ctx, contests, wanted)
}

func (b *bench) measureAll(
	ctx context.Context, contests []contest, wanted *regexp.Regexp,
) (all []measured, err error) {
	for _, c := range contests {
		if !wanted.MatchString(c.name) {
			continue
		}
		m, err := b.measure(ctx, c)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}
