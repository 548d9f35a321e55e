package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// GraphQL over HTTP, as its specification has it: two media types, statuses that mean something,
// and nothing of what the client sent in what it is told about it.

const (
	maxBody          = 64 << 10
	operationTimeout = 10 * time.Second

	typeJSON    = "application/json"
	typeGraphQL = "application/graphql-response+json"
	typeEvents  = "text/event-stream"
)

// refused is a request that is not executed.
type refused struct {
	status int
	fault  access.Error
	allow  string // the header of that name
	retry  int    // seconds, likewise
}

func badRequest(status int, message string) *refused {
	return &refused{status: status, fault: access.Error{Code: codeBadRequest, Message: message}}
}

func (h *Handler) serveRequest(w http.ResponseWriter, r *http.Request) {
	media, ok := mediaType(r.Header.Values("Accept"))
	switch {
	case !ok:
		h.refuseRequest(w, r, media, badRequest(http.StatusNotAcceptable,
			"answers are "+typeGraphQL+", "+typeJSON+" or "+typeEvents))
	case media == typeEvents:
		if no := h.serveEvents(w, r); no != nil {
			h.refuseRequest(w, r, typeJSON, no)
		}
	default:
		ctx, cancel := context.WithTimeout(r.Context(), h.deadline())
		defer cancel()
		body, no := h.answer(ctx, w.Header(), r, media)
		if body == nil {
			h.refuseRequest(w, r, media, no)
			return
		}
		status := http.StatusOK
		if no != nil {
			status = no.status
		}
		write(w, status, media, body)
	}
}

func (h *Handler) deadline() time.Duration { return orDefault(h.config.Deadline, operationTimeout) }

// refuseRequest answers a request that is not executed.
func (h *Handler) refuseRequest(
	w http.ResponseWriter, r *http.Request, media string, no *refused,
) {
	if no.allow != "" {
		w.Header().Set("Allow", no.allow)
	}
	if no.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(no.retry))
	}
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	shown := h.show(r.Context(), &gqlerror.Error{}, no.fault)
	write(w, no.status, media, encode(&graphql.Response{Errors: gqlerror.List{shown}}))
}

func write(w http.ResponseWriter, status int, media string, body []byte) {
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	w.WriteHeader(status)
	// That the client has gone is nothing to act on. The body is JSON by its type and by encoding.
	_, _ = w.Write(body) //nolint:gosec // G705 takes it for HTML
}

// answer executes a request. Where it is not executed it says why, and may have an answer all the
// same.
func (h *Handler) answer(
	ctx context.Context, header http.Header, r *http.Request, media string,
) (body []byte, no *refused) {
	if _, ok := actor.FromContext(ctx); !ok {
		return nil, &refused{status: http.StatusUnauthorized, fault: unauthenticated}
	}
	params, no := readParams(r)
	if no != nil {
		return nil, no
	}
	defer func() {
		if cause := recover(); cause != nil {
			_ = h.contain(ctx, cause)
			body, no = nil, &refused{status: http.StatusInternalServerError, fault: internal}
		}
	}()
	ctx = graphql.StartOperationTrace(ctx)
	op, faults := h.prepare(ctx, params)
	tellBalance(header, params.balance)
	if no := tooFast(params, faults); no != nil {
		return nil, no
	}
	if len(faults) > 0 {
		response := h.refuse(ctx, op, faults)
		if media == typeGraphQL {
			return encode(response), badRequest(http.StatusBadRequest, "")
		}
		return encode(response), nil
	}
	if no := wrongMethod(r.Method, op.Operation.Operation); no != nil {
		return nil, no
	}
	respond, inner := h.executor.DispatchOperation(ctx, op)
	response := respond(inner)
	if response == nil { // its time was over before it began
		response = h.refuse(ctx, op, gqlerror.List{gqlerror.Wrap(ctx.Err())})
	}
	response.Extensions = map[string]any{statCost: op.Stats.GetExtension(statCost)}
	return encode(response), nil
}

// refuse answers an operation that cannot be executed. Others may be refused with the same faults at
// the same time, and gqlgen writes on those that it is given.
func (h *Handler) refuse(
	ctx context.Context, op *graphql.OperationContext, faults gqlerror.List,
) *graphql.Response {
	ctx = graphql.WithOperationContext(ctx, op)
	var own gqlerror.List
	for _, f := range faults[:min(len(faults), maxErrors)] {
		fault := *f
		own = append(own, &fault)
	}
	response := h.executor.DispatchError(ctx, own)
	response.Errors = fitting(response.Errors)
	return response
}

// fitting are the first of some errors that an answer has room for, one at least.
func fitting(faults gqlerror.List) gqlerror.List {
	room := maxErrorBytes
	for i, f := range faults {
		text, _ := json.Marshal(f)
		if room -= len(text) + 1; room < 0 && i > 0 {
			return faults[:i]
		}
	}
	return faults
}

func wrongMethod(method string, operation ast.Operation) *refused {
	switch {
	case operation == ast.Subscription:
		return badRequest(http.StatusBadRequest, "subscriptions are served over WebSocket, and as "+typeEvents)
	case operation == ast.Mutation && method != http.MethodPost:
		no := badRequest(http.StatusMethodNotAllowed, "mutations are sent by POST")
		no.allow = http.MethodPost
		return no
	}
	return nil
}

// readParams reads a request from the body or, for GET, from the URL.
func readParams(r *http.Request) (*request, *refused) {
	switch r.Method {
	case http.MethodGet:
		return readURL(r)
	case http.MethodPost:
		return readBody(r)
	}
	no := badRequest(http.StatusMethodNotAllowed, "requests are sent by GET or POST")
	no.allow = http.MethodGet + ", " + http.MethodPost
	return nil, no
}

func readURL(r *http.Request) (*request, *refused) {
	if len(r.URL.RawQuery) > maxBody {
		return nil, badRequest(http.StatusRequestURITooLong, "the URL is too long")
	}
	given := r.URL.Query()
	wire := wireParams{
		Query: given.Get("query"), DocumentID: given.Get("documentId"),
		OperationName: given.Get("operationName"),
		Variables:     json.RawMessage(given.Get("variables")),
		Extensions:    json.RawMessage(given.Get("extensions")),
	}
	return wire.params()
}

func readBody(r *http.Request) (*request, *refused) {
	kind, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := options["charset"]
	if err != nil || kind != typeJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, badRequest(http.StatusUnsupportedMediaType, "bodies are "+typeJSON+" in UTF-8")
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		return nil, &refused{status: http.StatusRequestEntityTooLarge, fault: access.Error{
			Code: codeLongBody, Message: fmt.Sprintf("the body is longer than %d KiB", maxBody>>10)}}
	}
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "the body could not be read")
	}
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return nil, &refused{status: http.StatusBadRequest, fault: access.Error{Code: codeBatch,
			Message: "operations are sent one by one"}}
	}
	var wire wireParams
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, badRequest(http.StatusBadRequest,
			"the body is not a JSON object with the strings query, documentId and operationName")
	}
	return wire.params()
}

// wireParams is a request as clients write it, over HTTP and over WebSocket.
type wireParams struct {
	Query         string          `json:"query"`
	DocumentID    string          `json:"documentId"`
	OperationName string          `json:"operationName"`
	Variables     json.RawMessage `json:"variables"`
	Extensions    json.RawMessage `json:"extensions"`
}

func (wire wireParams) params() (*request, *refused) {
	if fault := checkVariables(wire.Variables); fault != nil {
		return nil, &refused{status: http.StatusBadRequest, fault: *fault}
	}
	variables, ok := object(wire.Variables)
	if !ok {
		return nil, badRequest(http.StatusBadRequest, "variables is not a JSON object")
	}
	now := time.Now()
	r := &request{RawParams: graphql.RawParams{
		Query: wire.Query, OperationName: wire.OperationName, Variables: variables,
		ReadTime: graphql.TraceTiming{Start: now, End: now},
	}}
	if wrong := r.name(wire.DocumentID, wire.Extensions); wrong != "" {
		return nil, badRequest(http.StatusBadRequest, wrong)
	}
	return r, nil
}

// object reads a JSON object, numbers digit by digit; none and null are an empty one.
func object(raw json.RawMessage) (map[string]any, bool) {
	if len(raw) == 0 {
		return nil, true
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil || decoder.More() {
		return nil, false
	}
	return fields, true
}

// mediaType chooses how to answer: application/json unless the newer type is asked for.
func mediaType(accept []string) (string, bool) {
	if len(accept) == 0 {
		return typeJSON, true
	}
	for wanted := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, options, err := mime.ParseMediaType(wanted)
		if charset := options["charset"]; err != nil || options["q"] == "0" ||
			charset != "" && !strings.EqualFold(charset, "utf-8") {
			continue
		}
		switch kind {
		case typeJSON, "*/*", "application/*":
			return typeJSON, true
		case typeGraphQL, typeEvents:
			return kind, true
		}
	}
	return typeJSON, false
}

// encode writes a response. One that was not executed has no data, which is not the same as null.
func encode(response *graphql.Response) []byte {
	var b bytes.Buffer
	b.Grow(len(response.Data) + 64)
	b.WriteByte('{')
	if len(response.Errors) > 0 {
		faults, _ := json.Marshal(response.Errors) // strings, numbers and lists of them
		b.WriteString(`"errors":`)
		b.Write(faults)
	}
	if response.Data != nil {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"data":`)
		b.Write(response.Data)
	}
	if cost, ok := response.Extensions[statCost].(int); ok {
		b.WriteString(`,"extensions":{"cost":{"requested":`)
		b.WriteString(strconv.Itoa(cost))
		b.WriteString(`}}`)
	}
	b.WriteByte('}')
	return b.Bytes()
}
