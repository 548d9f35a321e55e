package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/checkpoint"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/signed"
)

// Proofs tell hashes and how many events there are: all who read any event may have them.

func (r *resolver) checkpointOf(ctx context.Context, atLeast *int) (*shape.Checkpoint, error) {
	if err := access.Authorize(ctx, access.ReadEvents); err != nil {
		return nil, err
	}
	if atLeast != nil && *atLeast < 1 {
		return nil, badInput("atLeast", "must be positive")
	}
	row, err := journal.Covering(ctx, r.db, int64(value(atLeast)))
	if row == nil || err != nil {
		return nil, err
	}
	return showCheckpoint(row)
}

func showCheckpoint(row *ent.Checkpoint) (*shape.Checkpoint, error) {
	said, err := signed.Peek(row.Note)
	return &shape.Checkpoint{
		Origin: said.Origin, Size: row.Size, Root: base64Of(said.Root), Note: row.Note, SignedAt: row.SignedAt,
	}, err
}

func base64Of(hash []byte) string { return base64.StdEncoding.EncodeToString(hash) }

func base64All(hashes [][]byte) []string {
	texts := make([]string, len(hashes))
	for i, hash := range hashes {
		texts[i] = base64Of(hash)
	}
	return texts
}

// sized is the checkpoint of a size, or the newest; nil if there is none.
func (r *resolver) sized(ctx context.Context, size *int) (*ent.Checkpoint, error) {
	if size == nil {
		return journal.Covering(ctx, r.db, 0)
	}
	row, err := r.db.Checkpoint.Query().Where(checkpoint.Size(int64(*size))).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

func (r *resolver) proveInclusion(
	ctx context.Context, sequence int, size *int,
) (*shape.InclusionProof, error) {
	if err := access.Authorize(ctx, access.ReadEvents); err != nil {
		return nil, err
	}
	if sequence < 1 {
		return nil, badInput("sequence", "must be positive")
	}
	if size != nil && *size < sequence {
		return nil, badInput("size", "must be at least the sequence")
	}
	row, err := r.sized(ctx, size)
	if err != nil || row == nil && size == nil {
		return nil, err
	}
	proof := &shape.InclusionProof{Sequence: int64(sequence), Size: int64(value(size))}
	if row != nil {
		if proof.Checkpoint, err = showCheckpoint(row); err != nil {
			return nil, err
		}
		proof.Size = row.Size
	}
	leaf, hashes, err := journal.Inclusion(ctx, r.db, proof.Sequence, proof.Size)
	if errors.Is(err, journal.ErrNotKept) {
		return nil, nil
	}
	proof.LeafHash, proof.Hashes = base64Of(leaf), base64All(hashes)
	return proof, err
}

func (r *resolver) proveConsistency(
	ctx context.Context, from int, to *int,
) (*shape.ConsistencyProof, error) {
	if err := access.Authorize(ctx, access.ReadEvents); err != nil {
		return nil, err
	}
	if from < 1 {
		return nil, badInput("from", "must be positive")
	}
	if to != nil && *to < from {
		return nil, badInput("to", "must be at least `from`")
	}
	proof := &shape.ConsistencyProof{From: int64(from), To: int64(value(to))}
	if to == nil {
		row, err := r.sized(ctx, nil)
		if err != nil || row == nil {
			return nil, err
		}
		proof.To = row.Size
	}
	hashes, err := journal.Consistency(ctx, r.db, proof.From, proof.To)
	if errors.Is(err, journal.ErrNotKept) {
		return nil, nil
	}
	proof.Hashes = base64All(hashes)
	return proof, err
}

func (r *resolver) keysOfLog(ctx context.Context) ([]*shape.LogKey, error) {
	if err := access.Authorize(ctx, access.ReadEvents); err != nil || r.logKeys == nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	var shown []*shape.LogKey
	for _, key := range r.logKeys.Keys(by.Organization) {
		shown = append(shown, &shape.LogKey{
			Verifier: key.PublicKey.String(), ValidFrom: instant(key.From), ValidUntil: instant(key.Until),
		})
	}
	return shown, nil
}

// instant is nil for none.
func instant(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
