package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/stream"
)

// request is what a client asks for, as its transport has read it.
type request struct {
	graphql.RawParams
	id   string // of a document, if that, rather than its text, was sent
	hash string // of the text that was sent, if it is to be kept

	balance stream.Balance // of who asks, afterwards
}

// extensions are those of a request that we know.
type extensions struct {
	PersistedQuery *struct {
		Version int    `json:"version"`
		Hash    string `json:"sha256Hash"`
	} `json:"persistedQuery"`
}

// maxID is how long the identifier of a document may be.
const maxID = 128

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// name reads which document the request is for, and returns what is wrong with how it says so.
func (r *request) name(documentID string, raw json.RawMessage) (wrong string) {
	var e extensions
	if len(raw) > 0 && json.Unmarshal(raw, &e) != nil {
		return "extensions is not a JSON object, or persistedQuery in it is none of version and sha256Hash"
	}
	if p := e.PersistedQuery; p != nil {
		sum := sha256.Sum256([]byte(r.Query))
		switch {
		case p.Version != 1 || !sha256Hex.MatchString(p.Hash):
			return "persistedQuery has version 1 and, as sha256Hash, 64 hexadecimal digits"
		case r.Query == "":
			r.id = p.Hash
		case hex.EncodeToString(sum[:]) != p.Hash:
			return "sha256Hash is not the hash of query"
		default:
			r.hash = p.Hash
		}
	}
	switch {
	case len(documentID) > maxID:
		return "documentId is too long"
	case documentID != "" && r.Query != "":
		return "give either query or documentId"
	case documentID != "":
		r.id = strings.TrimPrefix(documentID, "sha256:")
	}
	if r.Query == "" && r.id == "" {
		return "query is missing"
	}
	return ""
}

// trusted are the documents of an operator's own clients. They need not pass the guard, nor cost what
// others may cost at most.
type trusted struct {
	byID, byText map[string]*judgement
	only         bool // no others are executed
}

func (h *Handler) trust(documents map[string]string, only bool) trusted {
	t := trusted{byID: map[string]*judgement{}, byText: map[string]*judgement{}, only: only}
	for id, text := range documents {
		v := judge(h.schema, text, true)
		if v.faults != nil {
			h.log.LogAttrs(context.Background(), slog.LevelWarn, "a trusted document does not fit the schema",
				slog.String("document", id), slog.String("fault", v.faults[0].Message))
		}
		t.byID[strings.TrimPrefix(id, "sha256:")], t.byText[text] = v, v
	}
	return t
}

var (
	// The message is the one that clients of automatic persisted queries look for.
	errUnknownDocument = refusal(codeUnknownDocument, "PersistedQueryNotFound")
	errNotTrusted      = refusal(codeNotTrusted, "only trusted documents are executed here")
)

// find is what was judged of the document that a request is for, which has its text from then on.
func (h *Handler) find(ctx context.Context, r *request) (*judgement, *gqlerror.Error) {
	known := h.trusted.byText[r.Query]
	if r.Query == "" {
		known = h.trusted.byID[r.id]
	}
	switch {
	case known != nil:
		r.Query = known.text
		return known, nil
	case h.trusted.only:
		return nil, errNotTrusted
	case r.Query == "":
		if r.Query = h.registered(ctx, r.id); r.Query == "" {
			return nil, errUnknownDocument
		}
	case len(r.Query) > maxText:
		return nil, refusal(codeLongDocument, fmt.Sprintf("the document is longer than %d KiB", maxText>>10))
	}
	v := h.documents.get(r.Query)
	if v == nil {
		v = judge(h.schema, r.Query, false)
		h.documents.add(r.Query, v, v.bytes)
	}
	if v.faults == nil && r.hash != "" {
		h.register(ctx, r.hash, r.Query)
	}
	return v, nil
}

// registered is a text that a client of the organization has sent with its hash, "" if none has lately.
// Nobody learns what those of other organizations have sent.
func (h *Handler) registered(ctx context.Context, hash string) string {
	org, err := organization(ctx)
	if err != nil || h.config.Stream == nil || !sha256Hex.MatchString(hash) {
		return ""
	}
	key := org.String() + hash
	text := h.texts.get(key)
	if text == "" {
		// Without Redis the client sends the text again, which is what it does anyway at the first time.
		text, _ = h.config.Stream.Document(ctx, org, hash)
		if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != hash {
			return ""
		}
		h.texts.add(key, text, bareBytes+len(text))
	}
	return text
}

// register keeps a text that was found good, for all clients of the organization and on all nodes.
func (h *Handler) register(ctx context.Context, hash, text string) {
	org, err := organization(ctx)
	if err != nil || h.config.Stream == nil || h.texts.get(org.String()+hash) != "" {
		return
	}
	if h.config.Stream.KeepDocument(ctx, org, hash, text) == nil { // else the stream has logged it
		h.texts.add(org.String()+hash, text, bareBytes+len(text))
	}
}

// cost is what an operation costs, and why that is too much.
func (v *judgement) cost(
	op *ast.OperationDefinition, variables map[string]any,
) (cost int, fault *gqlerror.Error) {
	cost, known := v.prices[op]
	if !known {
		cost, _, fault = price(op, variables)
	}
	if v.trusted {
		fault = nil
	}
	return cost, fault
}
