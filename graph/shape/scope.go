package shape

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/cardea/cardea/actor"
)

// A scope is an enumeration in GraphQL, whose names have no colons: doors:read is DOORS_READ.

// MarshalAPIScope writes a scope.
func MarshalAPIScope(s actor.Scope) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(ScopeName(s)))
	})
}

// UnmarshalAPIScope reads a scope.
func UnmarshalAPIScope(v any) (actor.Scope, error) {
	text, ok := v.(string)
	if !ok {
		return "", errors.New("must be the name of a scope")
	}
	return actor.Scope(strings.Replace(strings.ToLower(text), "_", ":", 1)), nil
}

// ScopeName is the name of a scope in GraphQL.
func ScopeName(s actor.Scope) string {
	return strings.ToUpper(strings.Replace(string(s), ":", "_", 1))
}
