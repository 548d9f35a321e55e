package journal

import (
	"context"
	"fmt"
	"slices"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	"github.com/transparency-dev/merkle/compact"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/logtile"
)

// The tree is kept in tiles, as C2SP tlog-tiles cuts it: tileSize hashes side by side, each the root
// of a full tile of the level below. All that a proof needs is in a few of them.
const (
	tileHeight = 8
	tileSize   = 1 << tileHeight
)

// maxPosition is beyond that of any tile that there will be, so that sizes stay far within a bigint.
const maxPosition = 1 << 40

// place names a tile.
type place struct{ level, position int64 }

// placeOf is the tile that a node of the tree is in, or is made of, and where: its hashes from first
// on, so many.
func placeOf(id compact.NodeID) (at place, first, count uint64) {
	height := id.Level % tileHeight
	begin := id.Index << height
	return place{int64(id.Level / tileHeight), int64(begin / tileSize)}, //nolint:gosec // of bigints
		begin % tileSize, 1 << height
}

// readTiles returns tiles of the organization of the actor of ctx. Those that are not there are left out.
func readTiles(
	ctx context.Context, db *ent.Client, places []place,
) (map[place]*ent.LogTile, error) {
	levels, positions := make([]int64, len(places)), make([]int64, len(places))
	for i, at := range places {
		levels[i], positions[i] = at.level, at.position
	}
	rows, err := db.LogTile.Query().Where(func(s *sql.Selector) {
		level, position := s.C(logtile.FieldLevel), s.C(logtile.FieldPosition)
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteByte('(').Ident(level).WriteString(", ").Ident(position).
				WriteString(") IN (SELECT * FROM unnest(").Arg(pq.Array(levels)).WriteString("::bigint[], ").
				Arg(pq.Array(positions)).WriteString("::bigint[]))")
		}))
	}).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tiles: %w", err)
	}
	found := make(map[place]*ent.LogTile, len(rows))
	for _, row := range rows {
		found[place{row.Level, row.Position}] = row
	}
	return found, nil
}

// readNodes returns the hashes of nodes of the tree, by one statement. It fails with ErrNotKept if one
// is beyond what the tiles hold.
func readNodes(ctx context.Context, db *ent.Client, ids []compact.NodeID) ([][]byte, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var places []place
	seen := map[place]bool{}
	for _, id := range ids {
		if at, _, _ := placeOf(id); !seen[at] {
			places, seen[at] = append(places, at), true
		}
	}
	tiles, err := readTiles(ctx, db, places)
	if err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		at, first, count := placeOf(id)
		tile := tiles[at]
		if tile == nil || uint64(len(tile.Hashes)) < (first+count)*hashSize {
			return nil, fmt.Errorf("%w: node %d of level %d", ErrNotKept, id.Index, id.Level)
		}
		hashes[i] = fold(split(tile.Hashes[first*hashSize : (first+count)*hashSize]))
	}
	return hashes, nil
}

// fold is the root of a perfect tree over neighbouring hashes.
func fold(hashes [][]byte) []byte {
	for len(hashes) > 1 {
		for i := range len(hashes) / 2 {
			hashes[i] = hasher.HashChildren(hashes[2*i], hashes[2*i+1])
		}
		hashes = hashes[:len(hashes)/2]
	}
	return hashes[0]
}

// split cuts joined hashes apart.
func split(joined []byte) [][]byte {
	hashes := make([][]byte, 0, len(joined)/hashSize)
	for ; len(joined) >= hashSize; joined = joined[hashSize:] {
		hashes = append(hashes, joined[:hashSize:hashSize])
	}
	return hashes
}

// join is split backwards.
func join(hashes [][]byte) []byte {
	joined := make([]byte, 0, len(hashes)*hashSize)
	for _, hash := range hashes {
		joined = append(joined, hash...)
	}
	return joined
}

// edge is the right end of an organization's tiles, as they grow.
type edge struct {
	size  uint64 // leaves in tiles
	open  []tile // the last of each level, lowest first; never full
	grown []tile // full ones to be written
}

// tile is one on its way to Postgres.
type tile struct {
	place
	row    *ent.LogTile // nil: it is new
	hashes []byte
	pruned []string // notes, of a new one
}

// openEdge reads the right end of the tiles of the organization of the actor of ctx.
func openEdge(ctx context.Context, db *ent.Client) (*edge, error) {
	last, err := db.LogTile.Query().Where(logtile.Level(0)).
		Order(logtile.ByPosition(sql.OrderDesc())).First(ctx)
	if ent.IsNotFound(err) {
		return &edge{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read last tile: %w", err)
	}
	if last.Position > maxPosition {
		return nil, fmt.Errorf("%w: there is a tile at %d", ErrBroken, last.Position)
	}
	e := &edge{size: uint64(last.Position*tileSize) + uint64(len(last.Hashes)/hashSize)} //nolint:gosec // of bigints
	var places []place
	for entries := int64(e.size); entries > 0; entries /= tileSize { //nolint:gosec // of bigints
		places = append(places, place{int64(len(places)), entries / tileSize})
	}
	tiles, err := readTiles(ctx, db, places)
	if err != nil {
		return nil, err
	}
	for _, at := range places {
		open := tile{place: at, row: tiles[at]}
		if open.row != nil {
			open.hashes = open.row.Hashes
		}
		e.open = append(e.open, open)
	}
	return e, nil
}

// add appends a leaf's hash, or at higher levels that of a full tile.
func (e *edge) add(level int, hash []byte) {
	if level == 0 {
		e.size++
	}
	if level == len(e.open) {
		e.open = append(e.open, tile{place: place{level: int64(level)}})
	}
	t := &e.open[level]
	t.hashes = append(slices.Clip(t.hashes), hash...)
	if len(t.hashes) == tileSize*hashSize {
		e.grown = append(e.grown, *t)
		root := fold(split(t.hashes))
		*t = tile{place: place{t.level, t.position + 1}}
		e.add(level+1, root)
	}
}

// noted gives the tile of leaves that is open its notes of what was pruned.
func (e *edge) noted(notes []string) {
	if len(e.open) == 0 {
		e.open = append(e.open, tile{})
	}
	e.open[0].pruned = notes
}

// write writes what grew.
func (e *edge) write(ctx context.Context, tx *ent.Tx) error {
	var fresh []*ent.LogTileCreate
	for _, t := range append(e.grown, e.open...) {
		switch {
		case len(t.hashes) == 0:
		case t.row == nil:
			create := tx.LogTile.Create().SetLevel(t.level).SetPosition(t.position).SetHashes(t.hashes)
			if t.pruned != nil {
				create.SetPruned(t.pruned)
			}
			fresh = append(fresh, create)
		case len(t.hashes) > len(t.row.Hashes):
			if err := tx.LogTile.UpdateOne(t.row).SetHashes(t.hashes).Exec(ctx); err != nil {
				return fmt.Errorf("grow tile: %w", err)
			}
		}
	}
	if err := tx.LogTile.CreateBulk(fresh...).Exec(ctx); err != nil && len(fresh) > 0 {
		return fmt.Errorf("write tiles: %w", err)
	}
	return nil
}
