package graph_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
)

// listener reads a stream of events.
type listener struct {
	*answer
	lines *bufio.Scanner
	stop  context.CancelFunc
}

// listen asks for a stream. What is no stream is in the answer.
func (w *world) listen(p person, method, query string, variables vars) *listener {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 6*patience)
	w.t.Cleanup(stop)
	target, body := w.url, ""
	if method == http.MethodGet {
		target += "?query=" + url.QueryEscape(query)
	} else {
		text, err := json.Marshal(vars{"query": query, "variables": variables})
		must(w.t, err)
		body = string(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	must(w.t, err)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	if p.secret != "" {
		r.Header.Set("Authorization", "Bearer "+p.secret)
	}
	response, err := http.DefaultClient.Do(r)
	must(w.t, err)
	w.t.Cleanup(func() { _ = response.Body.Close() })
	return &listener{
		answer: &answer{t: w.t, status: response.StatusCode, header: response.Header},
		lines:  bufio.NewScanner(response.Body), stop: stop,
	}
}

// event is the next one's name and data; both are "" at the end.
func (l *listener) event() (name, data string) {
	for l.lines.Scan() {
		field, value, _ := strings.Cut(l.lines.Text(), ":")
		switch value = strings.TrimPrefix(value, " "); {
		case field == "event":
			name = value
		case field == "data":
			data = value
		case l.lines.Text() == "" && name != "":
			return name, data
		}
	}
	return "", ""
}

// next is the response of the next event.
func (l *listener) next() answer {
	l.t.Helper()
	name, data := l.event()
	equal(l.t, name, "next")
	a := answer{t: l.t, raw: []byte(data)}
	must(l.t, json.Unmarshal(a.raw, &a))
	return a
}

// ended fails the test unless the stream has come to its end, with all said.
func (l *listener) ended() {
	l.t.Helper()
	name, data := l.event()
	equal(l.t, name+data, "complete")
	name, _ = l.event()
	equal(l.t, name, "")
}

func TestOperationsAsStreams(t *testing.T) {
	t.Parallel()
	w := setup(t)
	query := w.listen(w.admin, http.MethodGet, `{ viewer { user { name } } }`, nil)
	equal(t, query.status, http.StatusOK)
	equal(t, query.header.Get("Content-Type"), "text/event-stream; charset=utf-8")
	equal(t, query.next().ok().text("viewer.user.name"), "Front desk")
	query.ended()

	const create = `mutation { createSite(input: {name: "Harbour", timeZone: "UTC"}) { site { name } } }`
	made := w.listen(w.admin, http.MethodPost, create, nil)
	equal(t, made.next().ok().text("createSite.site.name"), "Harbour")
	made.ended()
	byGet := w.listen(w.admin, http.MethodGet, create, nil)
	equal(t, byGet.status, http.StatusMethodNotAllowed)
	equal(t, byGet.header.Get("Allow"), http.MethodPost)

	for document, code := range map[string]string{
		`{ ... @defer { viewer { role } } }`: "GRAPHQL_VALIDATION_FAILED",
		`{ nothing }`:                        "GRAPHQL_VALIDATION_FAILED",
		`{`:                                  "GRAPHQL_PARSE_FAILED",
		`subscription { events(after: "x") { cursor } }`: "BAD_USER_INPUT after",
	} {
		l := w.listen(w.admin, http.MethodPost, document, nil)
		equal(t, l.status, http.StatusOK)
		l.next().refused(code)
		l.ended()
	}
	nobody := w.listen(person{}, http.MethodPost, watch, nil)
	equal(t, nobody.status, http.StatusUnauthorized)
	equal(t, nobody.header.Get("Content-Type"), plain)
}

// A subscription as a stream tells what one over a WebSocket does, and goes on after a cursor.
func TestSubscriptionAsStream(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const events = `subscription($after: Cursor) { events(after: $after) { cursor event { type } } }`
	l := w.listen(w.admin, http.MethodPost, events, vars{"after": w.now(w.admin)})
	site := w.site(w.admin, "Harbour")
	equal(t, l.next().ok().text("events.event.type"), "site.created")
	w.door(w.admin, site, "Gate")
	created := l.next().ok()
	equal(t, created.text("events.event.type"), "door.created")
	l.stop()
	w.door(w.admin, site, "Cellar")
	w.site(w.admin, "Mill")
	again := w.listen(w.admin, http.MethodPost, events, vars{"after": created.text("events.cursor")})
	equal(t, again.next().ok().text("events.event.type"), "door.created")
	equal(t, again.next().ok().text("events.event.type"), "site.created")
}

// A stream ends, and says so, when what it was opened with does.
func TestStreamEndsWithItsRights(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	w.key(w.admin, w.member.user, w.door(w.admin, site, "Gate"))
	l := w.listen(w.member, http.MethodPost, watch, nil)
	l.next().ok()
	_, err := w.access.RevokeAPIToken(w.admin.ctx, access.RevokeAPITokenInput{ID: w.member.token.ID})
	must(t, err)
	l.next().refused("UNAUTHENTICATED")
	l.ended()

	soon := time.Now().Add(1500 * time.Millisecond)
	made, err := w.access.CreateAPIToken(w.admin.ctx, access.CreateAPITokenInput{
		Name: "short", ExpiresAt: &soon})
	must(t, err)
	l = w.listen(person{secret: made.Secret}, http.MethodPost, watch, nil)
	l.next().ok()
	l.next().refused("UNAUTHENTICATED")
	l.ended()
}

// A server that restarts cuts its streams: a client that has not read "complete" asks again.
func TestStreamsEndWhenDraining(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	l := w.listen(w.admin, http.MethodPost, watch, nil)
	l.next().ok()
	w.stop()
	name, _ := l.event()
	equal(t, name, "")
	late := w.listen(w.admin, http.MethodPost, watch, nil)
	name, _ = late.event()
	equal(t, name, "")
}
