package graph

import (
	"context"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// resolver is what the resolvers work with.
type resolver struct {
	access   *access.Service
	db       *ent.Client
	hub      *stream.Hub
	present  *present
	logKeys  *signed.Keyring // nil: nothing is signed
	log      *slog.Logger
	loaders  *loaders  // what it reads with
	reserved *resolver // that reads through a pool of its own: see urgent
}

type contextKey int

const (
	loadersKey contextKey = iota
	operationKey
	proofKey
	documentKey
)

// withLoaders puts fresh loaders in place for each response: for a query, and for every item of a
// subscription, which so never sees what an earlier one has loaded.
func (r *resolver) withLoaders(
	ctx context.Context, next graphql.ResponseHandler,
) *graphql.Response {
	return next(context.WithValue(ctx, loadersKey,
		&loaded{loaders: r.readerOf(ctx).loaders, viewer: viewerOf(ctx)}))
}

func loadedOf(ctx context.Context) *loaded { return ctx.Value(loadersKey).(*loaded) }

func loadersOf(ctx context.Context) *loaders { return loadedOf(ctx).loaders }

// lookup returns what an argument "id" names, or nil.
func lookup[K comparable, T any](
	ctx context.Context, id typeid.Any, as func(typeid.Any) (K, error), l *loader[K, *T],
) (*T, error) {
	key, err := as(id)
	if err != nil {
		return nil, badInput("id", err.Error())
	}
	return l.load(ctx, key)
}

// load returns what a column names: nil if it names nothing, or nothing that the viewer may see.
func load[K comparable, T any](ctx context.Context, id *K, l *loader[K, *T]) (*T, error) {
	if id == nil {
		return nil, nil
	}
	return l.load(ctx, *id)
}

// loadNonZero is load for identifiers that are zero for none.
func loadNonZero[K comparable, T any](ctx context.Context, id K, l *loader[K, *T]) (*T, error) {
	var zero K
	if id == zero {
		return nil, nil
	}
	return l.load(ctx, id)
}

// require is load for what the model guarantees. It may be gone all the same: the response is read
// in several statements.
func require[K comparable, T any](ctx context.Context, id K, l *loader[K, *T]) (*T, error) {
	found, err := l.load(ctx, id)
	if err == nil && found == nil {
		err = access.Error{Code: access.CodeNotFound, Message: "it is gone"}
	}
	return found, err
}

// narrow reads an optional identifier of one noun.
func narrow[K any](
	field string, id *typeid.Any, as func(typeid.Any) (K, error),
) (*K, error) {
	if id == nil {
		return nil, nil
	}
	key, err := as(*id)
	if err != nil {
		return nil, badInput(field, err.Error())
	}
	return &key, nil
}

// orNil is a text that is empty for none.
func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
