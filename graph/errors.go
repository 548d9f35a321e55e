package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// The codes that access does not have. error.graphqls describes the whole list.
const (
	codeCursorExpired access.Code = "CURSOR_EXPIRED"
	codeSlowConsumer  access.Code = "SLOW_CONSUMER"
	codeTimeout       access.Code = "TIMEOUT"
	codeUnavailable   access.Code = "UNAVAILABLE"
	codeInternal      access.Code = "INTERNAL"
	codeParse         access.Code = errcode.ParseFailed
	codeValidation    access.Code = errcode.ValidationFailed
	codeBadRequest    access.Code = "BAD_REQUEST"
)

// The codes of limits, one for each.
const (
	codeLongBody       access.Code = "BODY_TOO_LONG"
	codeBatch          access.Code = "BATCH_REFUSED"
	codeLongDocument   access.Code = "DOCUMENT_TOO_LONG"
	codeManyTokens     access.Code = "TOO_MANY_TOKENS"
	codeDeep           access.Code = "DOCUMENT_TOO_DEEP"
	codeManyFields     access.Code = "TOO_MANY_FIELDS"
	codeOverlaps       access.Code = "TOO_MANY_OVERLAPS"
	codeManyRoots      access.Code = "TOO_MANY_ROOT_FIELDS"
	codeManyAliases    access.Code = "TOO_MANY_ALIASES"
	codeManyDirectives access.Code = "TOO_MANY_DIRECTIVES"
	codeManyFragments  access.Code = "TOO_MANY_FRAGMENTS"
	codeLongVariables  access.Code = "VARIABLES_TOO_LONG"
	codeDeepValue      access.Code = "VALUE_TOO_DEEP"
	codeLongList       access.Code = "LIST_TOO_LONG"
	codePage           access.Code = "PAGE_TOO_LONG"
	codeCost           access.Code = "COST_TOO_HIGH"
	codeManyOperations access.Code = "TOO_MANY_OPERATIONS"

	codeManyConnections access.Code = "TOO_MANY_CONNECTIONS"
)

// The codes of documents that are known by a name.
const (
	codeUnknownDocument access.Code = "PERSISTED_QUERY_NOT_FOUND"
	codeNotTrusted      access.Code = "DOCUMENT_NOT_TRUSTED"
)

// Codes are the values of extensions.code.
var Codes = []access.Code{
	access.CodeUnauthenticated, access.CodeForbidden, access.CodeNotFound, access.CodeBadUserInput,
	access.CodeConflict, access.CodeConfirmationRequired, access.CodeRateLimited, codeCursorExpired,
	codeSlowConsumer, codeTimeout, codeUnavailable, codeInternal, codeParse, codeValidation, codeBadRequest,
	codeLongBody, codeBatch, codeLongDocument, codeManyTokens, codeDeep, codeManyFields, codeOverlaps,
	codeManyRoots, codeManyAliases, codeManyDirectives, codeManyFragments, codeLongVariables, codeDeepValue,
	codeLongList, codePage, codeCost, codeManyOperations,
	codeUnknownDocument, codeNotTrusted, codeManyConnections,
}

const (
	maxErrors     = 10   // in one answer
	maxErrorBytes = 3500 // of them all, where nothing was executed
	maxShown      = 300  // bytes: messages of the parser quote the document
	maxPlaces     = 4    // in the document, of one error
)

// refusals is what the client may know of errors that are not access's own.
var refusals = []struct {
	err error
	as  access.Error
}{
	{rule.ErrNoActor, unauthenticated},
	{journal.ErrCursorExpired, access.Error{Code: codeCursorExpired, Field: "after",
		Message: "what followed this cursor is no longer kept"}},
	{stream.ErrCursorAhead, badInput("after", errCursor.Error())},
	{stream.ErrSlowConsumer, access.Error{Code: codeSlowConsumer,
		Message: "events came faster than they were taken"}},
	{stream.ErrClosed, unavailable},
	{errDraining, unavailable},
}

var (
	unauthenticated = access.Error{Code: access.CodeUnauthenticated,
		Message: "a valid token is required"}
	unavailable = access.Error{Code: codeUnavailable, Message: "the server cannot answer now"}
	timeout     = access.Error{Code: codeTimeout, Message: "the request ran out of time"}
	internal    = access.Error{Code: codeInternal, Message: "internal error"}
)

// errLogged is wrapped by internal errors that the log has.
var errLogged = errors.New("logged")

// present is gqlgen's error presenter: it decides what of an error the client sees.
func (h *Handler) present(ctx context.Context, err error) *gqlerror.Error {
	shown := &gqlerror.Error{Path: graphql.GetPath(ctx)}
	var input ast.Path
	if located := new(gqlerror.Error); errors.As(err, &located) {
		if code, ok := located.Extensions["code"].(string); ok {
			places := located.Locations[:min(len(located.Locations), maxPlaces)]
			return h.show(ctx, &gqlerror.Error{Locations: places}, access.Error{
				Code: access.Code(code), Message: located.Message, Field: variable(located.Path),
			})
		}
		shown.Path, input = split(ctx, located.Path)
		shown.Locations = located.Locations
	}
	faults := h.explain(ctx, err, input)
	last := len(faults) - 1
	for _, fault := range faults[:last] { // each comes back here, alone
		graphql.AddError(ctx, &gqlerror.Error{
			Err: fault, Path: shown.Path, Locations: shown.Locations,
		})
	}
	return h.show(ctx, shown, faults[last])
}

// variable is the input that an error of gqlgen about a variable is about.
func variable(path ast.Path) string {
	if len(path) < 2 || path[0] != ast.PathName("variable") {
		return ""
	}
	return inputName(path[1:])
}

// show writes a refusal into an error. The request ID is the one under which we log.
func (h *Handler) show(
	ctx context.Context, shown *gqlerror.Error, fault access.Error,
) *gqlerror.Error {
	h.metrics.errors.WithLabelValues(string(fault.Code)).Inc()
	shown.Message = strings.ToValidUTF8(fault.Message[:min(len(fault.Message), maxShown)], "")
	shown.Extensions = map[string]any{"code": string(fault.Code)}
	if fault.Field != "" {
		shown.Extensions["field"] = fault.Field
	}
	if request := actor.RequestID(ctx); request != "" {
		shown.Extensions["requestId"] = request
	}
	return shown
}

// split divides the path of an error, to which gqlgen adds that of the input at fault, into the
// field's and the input's.
func split(ctx context.Context, path ast.Path) (field, input ast.Path) {
	f := graphql.GetFieldContext(ctx)
	if f == nil {
		return path, nil
	}
	field = f.Path()
	return field, path[min(len(field), len(path)):]
}

// explain returns what the client may know of an error, at least one refusal. What it may not know
// is logged here, and only here.
func (h *Handler) explain(ctx context.Context, err error, input ast.Path) access.Errors {
	var one access.Error
	var many access.Errors
	switch {
	case errors.As(err, &many) && len(many) > 0:
		return many[:min(len(many), maxErrors)]
	case errors.As(err, &one):
		return access.Errors{one}
	case len(input) > 0:
		return access.Errors{badInput(inputName(input), inputMessage(err))}
	case ent.IsNotFound(err):
		return access.Errors{{Code: access.CodeNotFound, Message: "no such thing"}}
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal.err) {
			return access.Errors{refusal.as}
		}
	}
	return access.Errors{h.mask(ctx, err)}
}

// mask is what is shown of an error that is ours. Drivers do not say that a query was cancelled in a
// way that errors.Is knows, so the context is asked, too.
func (h *Handler) mask(ctx context.Context, err error) access.Error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return timeout
	case cause != nil || errors.Is(err, context.Canceled):
		return unavailable
	case errors.Is(err, errLogged):
		return internal
	}
	h.log.LogAttrs(ctx, slog.LevelError, "operation failed",
		slog.String("request", actor.RequestID(ctx)),
		slog.String("path", graphql.GetPath(ctx).String()), slog.Any("error", err))
	if pool.Unavailable(err) {
		return unavailable
	}
	return internal
}

// contain turns a resolver's panic into an error, and logs its stack.
func (r *resolver) contain(ctx context.Context, cause any) error {
	r.log.LogAttrs(ctx, slog.LevelError, "panic in resolver",
		slog.String("request", actor.RequestID(ctx)),
		slog.String("path", graphql.GetPath(ctx).String()),
		slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
	return fmt.Errorf("%w: panic", errLogged)
}

// inputName is the input at fault as access.Error.Field has it: siteId, or doorIds.2.
func inputName(input ast.Path) string {
	var names []string
	for _, element := range input {
		switch e := element.(type) {
		case ast.PathName:
			names = append(names, string(e))
		case ast.PathIndex:
			names = append(names, strconv.Itoa(int(e)))
		}
	}
	if len(names) > 1 && (names[0] == "input" || names[0] == "filter") {
		names = names[1:]
	}
	return strings.Join(names, ".")
}

func inputMessage(err error) string {
	var known shape.ScalarError
	switch {
	case errors.As(err, &known):
		return known.Error()
	case errors.Is(err, typeid.ErrMalformed):
		return "must be an identifier such as door_01k0c5a2m8f7xb3v9q6t4s2r1p, of the right noun"
	}
	return "malformed value"
}
