package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

// note writes down which of these events, all recorded before an instant, are about to go, beside their leaf
// hashes and signed. It returns the identifiers of those that may go, and the first that may not: it was
// edited, and gone it could not be found any more.
func (k *Keeper) note(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, rows []*ent.Event, until time.Time,
) (going []typeid.Event, edited int64, err error) {
	tiles, err := readTiles(ctx, tx.Client(), placesOf(rows))
	if err != nil {
		return nil, 0, err
	}
	notes := map[int64]*notes{}
	for _, row := range rows {
		at := place{0, (row.Seq - 1) / tileSize}
		tile := tiles[at]
		if tile == nil || !isLeaf(row, tile) {
			edited = first(edited, row.Seq)
			continue
		}
		if notes[at.position] == nil {
			notes[at.position] = k.notesOf(org, tile)
		}
		notes[at.position].own.Add((row.Seq - 1) % tileSize)
		going = append(going, row.ID)
	}
	return going, edited, k.write(ctx, tx, org, notes, until)
}

func placesOf(rows []*ent.Event) []place {
	all := map[place]bool{}
	for _, row := range rows {
		all[place{0, (row.Seq - 1) / tileSize}] = true
	}
	return slices.Collect(maps.Keys(all))
}

// isLeaf says whether an event is the one whose leaf hash stands in its tile.
func isLeaf(row *ent.Event, tile *ent.LogTile) bool {
	leaf, err := LeafHash(FromRow(row))
	at := (row.Seq - 1) % tileSize * hashSize
	return err == nil && int64(len(tile.Hashes)) >= at+hashSize &&
		bytes.Equal(leaf, tile.Hashes[at:at+hashSize])
}

// first is the smaller of two sequences, of which the one may be none yet.
func first(one, other int64) int64 {
	if one == 0 {
		return other
	}
	return min(one, other)
}

// notes are those of a tile: of others, whose keys are not known here, and our own.
type notes struct {
	others []string
	own    signed.Pruned
}

// notesOf reads those that are there. Nothing that was not signed becomes our own.
func (k *Keeper) notesOf(org typeid.Organization, tile *ent.LogTile) *notes {
	n := &notes{own: signed.Pruned{Origin: signed.Origin(org), Position: tile.Position}}
	for _, text := range tile.Pruned {
		said, err := signed.OpenPruned(text, k.keys.Public()...)
		if err != nil || said.Origin != n.own.Origin || said.Position != tile.Position {
			n.others = append(n.others, text)
			continue
		}
		for i := range said.Entries {
			n.own.Entries[i] |= said.Entries[i]
		}
		if said.Before.After(n.own.Before) {
			n.own.Before = said.Before
		}
	}
	return n
}

// write signs the notes of tiles, by position, and writes them.
func (k *Keeper) write(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, of map[int64]*notes, until time.Time,
) error {
	positions, texts := make([]int64, 0, len(of)), make([]string, 0, len(of))
	for position, n := range of {
		if until = until.UTC().Truncate(time.Microsecond); until.After(n.own.Before) {
			n.own.Before = until
		}
		text, err := k.keys.SignPruned(n.own, k.now())
		if err != nil {
			return err
		}
		all, err := json.Marshal(append(n.others, text))
		if err != nil {
			return fmt.Errorf("write notes: %w", err)
		}
		positions, texts = append(positions, position), append(texts, string(all))
	}
	_, err := tx.ExecContext(ctx, `UPDATE log_tiles AS t SET pruned = n.notes::jsonb
		FROM unnest($2::bigint[], $3::text[]) AS n (position, notes)
		WHERE t.org_id = $1 AND t.level = 0 AND t.position = n.position`,
		org, pq.Array(positions), pq.Array(texts))
	if err != nil {
		return fmt.Errorf("write notes: %w", err)
	}
	return nil
}
