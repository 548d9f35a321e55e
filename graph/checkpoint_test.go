package graph_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/stream"
)

func logKeys(t *testing.T) *signed.Keyring {
	t.Helper()
	keys, err := signed.NewKeyring(bytes.Repeat([]byte{3}, 32))
	must(t, err)
	return keys
}

// decoded is a list of hashes, or one.
func decoded(t *testing.T, found any) (hashes [][]byte) {
	t.Helper()
	list, many := found.([]any)
	if !many {
		list = []any{found}
	}
	for _, one := range list {
		hash, err := base64.StdEncoding.DecodeString(one.(string))
		must(t, err)
		hashes = append(hashes, hash)
	}
	return hashes
}

// TestProofsOfTheLog asks the graph for all that proves an event, and verifies it with another's code.
func TestProofsOfTheLog(t *testing.T) {
	t.Parallel()
	keys := logKeys(t)
	w := setup(t, func(c *graph.Config, _ *stream.HubConfig) { c.LogKeys = keys })
	notary := journal.NewNotary(journal.NotaryConfig{DB: w.db, Keys: keys, Log: testenv.Logger(t)})
	sign := func() {
		t.Helper()
		_, err := notary.Sign(t.Context(), w.admin.user.OrgID)
		must(t, err)
	}
	none := w.ask(w.admin, `{ checkpoint { size } inclusionProof(sequence: 1) { size }
		consistencyProof(from: 1) { to } }`).ok()
	for _, field := range []string{"checkpoint", "inclusionProof", "consistencyProof"} {
		equal(t, none.at(field), nil)
	}
	sign()
	early := w.ask(w.admin, `{ checkpoint { size root note origin signedAt } logKeys { verifier validFrom } }`).ok()
	key, err := signed.ParsePublicKey(early.text("logKeys.0.verifier"))
	must(t, err)
	said, err := signed.Open(early.text("checkpoint.note"), key)
	must(t, err)
	equal(t, float64(said.Size), early.at("checkpoint.size").(float64))

	w.happen(300)
	sign()
	got := w.ask(w.admin, fmt.Sprintf(`{ newest: checkpoint { size root }
		covering: checkpoint(atLeast: %[1]d) { size }
		auditLog(last: 2) { nodes { sequence leafHash } }
		inclusionProof(sequence: 2) { sequence size leafHash hashes checkpoint { root } }
		old: inclusionProof(sequence: 2, size: %[1]d) { size hashes checkpoint { note } }
		beyond: inclusionProof(sequence: 2, size: 1000000) { size }
		consistencyProof(from: %[1]d) { from to hashes } }`, said.Size)).ok()
	root := decoded(t, got.at("newest.root"))[0]
	size := uint64(got.at("newest.size").(float64))
	equal(t, got.at("covering.size").(float64), float64(said.Size))
	equal(t, got.at("beyond"), nil)
	equal(t, got.text("old.checkpoint.note"), early.text("checkpoint.note"))
	equal(t, got.text("auditLog.nodes.0.leafHash"), got.text("inclusionProof.leafHash"))
	must(t, proof.VerifyInclusion(rfc6962.DefaultHasher, 1, size,
		decoded(t, got.at("inclusionProof.leafHash"))[0], decoded(t, got.at("inclusionProof.hashes")), root))
	must(t, proof.VerifyInclusion(rfc6962.DefaultHasher, 1, uint64(said.Size),
		decoded(t, got.at("inclusionProof.leafHash"))[0], decoded(t, got.at("old.hashes")), said.Root))
	must(t, proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(said.Size), size,
		decoded(t, got.at("consistencyProof.hashes")), said.Root, root))

	for query, refusal := range map[string]string{
		`{ checkpoint(atLeast: 0) { size } }`:               "BAD_USER_INPUT atLeast",
		`{ inclusionProof(sequence: 0) { size } }`:          "BAD_USER_INPUT sequence",
		`{ inclusionProof(sequence: 3, size: 2) { size } }`: "BAD_USER_INPUT size",
		`{ consistencyProof(from: 0) { to } }`:              "BAD_USER_INPUT from",
		`{ consistencyProof(from: 3, to: 2) { to } }`:       "BAD_USER_INPUT to",
	} {
		w.ask(w.admin, query).refused(refusal)
	}
	for _, query := range []string{
		`{ checkpoint { size } }`, `{ inclusionProof(sequence: 1) { size } }`,
		`{ consistencyProof(from: 1) { to } }`, `{ logKeys { verifier } }`,
	} {
		w.ask(w.member, query).refused("FORBIDDEN")
	}
	equal(t, w.ask(w.stranger, `{ checkpoint { size } }`).ok().at("checkpoint"), nil)
}

// happen records so many events.
func (w *world) happen(count int) {
	w.t.Helper()
	ctx := actor.NewContext(w.t.Context(), actor.System("test").Within(w.admin.user.OrgID))
	tx, err := w.db.Tx(ctx)
	must(w.t, err)
	events := make([]journal.Event, count)
	for i := range events {
		events[i].Type = "site.updated"
	}
	_, err = journal.Append(ctx, tx, w.admin.user.OrgID, events...)
	must(w.t, err)
	must(w.t, tx.Commit())
}
