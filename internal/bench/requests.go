package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/cardea/cardea/internal/bench/tally"
	"github.com/cardea/cardea/typeid"
)

// question is a GraphQL operation and the path of the floor that answers it.
type question struct {
	name, document, path string
	variables            []any // one set for each body, taken in turn
	write                bool  // answers differ from call to call
}

const (
	q1 = `query ($id: ID!) { door(id: $id) {
		id name lockState position mode site { id name timeZone } } }`
	q2 = `query ($id: ID!) { site(id: $id) { id name doors(first: 50) { nodes {
		id name lockState events(first: 5) { nodes { id sequence type occurredAt } } } } } }`
	q3 = `query ($id: ID!) { door(id: $id) { id events(first: 100) { nodes {
		id sequence type occurredAt outcome reason method actor { kind id } user { id name } } } } }`
	q4 = `mutation ($userId: ID!, $doorId: ID!) {
		grantKey(input: {userId: $userId, doorIds: [$doorId]}) { key { id createdAt } } }`
	unlocking = `mutation ($doorId: ID!) {
		unlockDoor(input: {doorId: $doorId}) { command { id stage } } }`
)

// requests are Q1 to Q4, each with one client and with many, once the answers have been compared.
func (b *bench) requests(ctx context.Context, s sides) (all []contest, err error) {
	questions, err := b.questions(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range questions {
		bodies, err := b.bodies(q)
		if err != nil {
			return nil, err
		}
		if err := b.compare(ctx, s, q); err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
		for _, clients := range []int{1, 16} {
			all = append(all, contest{
				name: fmt.Sprintf("%s, c=%d", q.name, clients), rounds: b.scale.rounds,
				cardea: func(ctx context.Context) (tally.Block, error) {
					return b.ask(ctx, s.cardea, "/graphql", bodies, clients)
				},
				floor: func(ctx context.Context) (tally.Block, error) {
					return b.ask(ctx, s.floor, q.path, bodies, clients)
				},
			})
		}
	}
	return all, nil
}

// ask is a block of requests. The floor needs no token and is sent one all the same.
func (b *bench) ask(
	ctx context.Context, p *program, path, bodies string, clients int, more ...string,
) (tally.Block, error) {
	return b.loaded(ctx, p, append([]string{
		"requests", "-url", p.url + path, "-token", b.world.Token, "-bodies", bodies,
		"-c", strconv.Itoa(clients), "-for", b.scale.block.String(),
	}, more...)...)
}

// questions have variables from the seed, none of them touched by the other measures.
func (b *bench) questions(ctx context.Context) ([]question, error) {
	doors, err := list[typeid.Door](ctx, b, `SELECT id FROM doors WHERE org_id = $1 AND site_id <> $2`)
	if err != nil {
		return nil, err
	}
	sites, err := list[typeid.Site](ctx, b, `SELECT id FROM sites WHERE org_id = $1 AND id <> $2`)
	if err != nil {
		return nil, err
	}
	users, err := list[typeid.User](ctx, b, `SELECT id FROM users WHERE org_id = $1 AND $2::uuid IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	questions := []question{
		{name: "Q1 door with its site", document: q1, path: "/door"},
		{name: "Q2 fifty doors of a site, five events each", document: q2, path: "/site"},
		{name: "Q3 hundred newest events of a door", document: q3, path: "/events"},
		{name: "Q4 grant a key", document: q4, path: "/key", write: true},
	}
	for i, door := range doors {
		id := map[string]any{"id": door}
		questions[0].variables = append(questions[0].variables, id)
		questions[2].variables = append(questions[2].variables, id)
		questions[3].variables = append(questions[3].variables,
			map[string]any{"userId": users[i%len(users)], "doorId": door})
	}
	for _, site := range sites {
		questions[1].variables = append(questions[1].variables, map[string]any{"id": site})
	}
	return questions, nil
}

// list reads up to 500 identifiers, in an order that has nothing to do with where they lie.
func list[ID any](ctx context.Context, b *bench, query string) (ids []ID, err error) {
	rows, err := b.db.QueryContext(ctx, query+` ORDER BY md5(id::text) LIMIT 500`,
		b.world.Organization, b.world.Site)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// bodies writes a question's requests into a file for the load client.
func (b *bench) bodies(q question) (path string, err error) {
	var text bytes.Buffer
	for _, variables := range q.variables {
		body, err := q.body(variables)
		if err != nil {
			return "", err
		}
		text.Write(append(body, '\n'))
	}
	path = b.path(strings.Trim(q.path, "/") + ".jsonl")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

func (q question) body(variables any) ([]byte, error) {
	return json.Marshal(map[string]any{"query": q.document, "variables": variables})
}

// compared is how many answers to each question are compared.
const compared = 20

// compare checks that the floor's answers are Cardea's.
func (b *bench) compare(ctx context.Context, s sides, q question) error {
	for _, variables := range q.variables[:min(compared, len(q.variables))] {
		if q.write {
			return nil
		}
		body, err := q.body(variables)
		if err != nil {
			return err
		}
		ours, err := b.post(ctx, s.cardea.url+"/graphql", body)
		if err != nil {
			return err
		}
		theirs, err := b.post(ctx, s.floor.url+q.path, body)
		if err != nil {
			return err
		}
		if ours == nil || !reflect.DeepEqual(ours, theirs) {
			return fmt.Errorf("the floor answers otherwise: %.300v and %.300v", ours, theirs)
		}
	}
	return nil
}

func (b *bench) post(ctx context.Context, url string, body []byte) (answer any, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+b.world.Token)
	response, err := new(http.Client).Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	err = json.Unmarshal(text, &answer)
	if fields, ok := answer.(map[string]any); ok {
		delete(fields, "extensions") // what it cost, which the floor does not count
	}
	return answer, err
}
