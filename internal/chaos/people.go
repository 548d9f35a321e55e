package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/cardea/cardea/typeid"
)

// clerk changes things in an organization, and notes what was answered.
type clerk struct {
	chaos *chaos
	org   *organization

	mu      sync.Mutex
	unlocks map[string]typeid.Command // what was answered, by idempotency key
	granted map[typeid.Key]bool       // acknowledged
	revoked map[typeid.Key]bool
	doubted int // grants that nobody answered
}

const (
	unlocking = `mutation ($door: ID!, $key: String!) {
		unlockDoor(input: {doorId: $door, idempotencyKey: $key}) { command { id stage } } }`
	granting = `mutation ($user: ID!, $door: ID!) {
		grantKey(input: {userId: $user, doorIds: [$door]}) { key { id } } }`
	revoking = `mutation ($key: ID!) { revokeKey(input: {id: $key}) { key { id } } }`
	renaming = `mutation ($door: ID!, $seconds: Int!) {
		updateDoor(input: {id: $door, relockSeconds: $seconds}) { door { id } } }`
)

// work does something so many times a second until ctx ends, without waiting for answers.
func (k *clerk) work(ctx context.Context, every time.Duration, do func(context.Context)) {
	var under sync.WaitGroup
	defer under.Wait()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	room := make(chan struct{}, 50)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		select {
		case room <- struct{}{}:
		default:
			continue // nobody presses a button fifty times
		}
		under.Go(func() {
			defer func() { <-room }()
			do(context.WithoutCancel(ctx))
		})
	}
}

func (k *clerk) door() typeid.Door {
	return k.org.doors[mathrand.IntN(len(k.org.doors))] //nolint:gosec // any
}

// unlock asks for an unlock until somebody answers: the same wish, by its idempotency key.
func (k *clerk) unlock(ctx context.Context) {
	door, wish := k.door(), rand.Text()
	for range 4 {
		var answer struct {
			UnlockDoor struct {
				Command struct {
					ID    typeid.Command
					Stage string
				}
			}
		}
		err := k.ask(ctx, &answer, unlocking, map[string]any{"door": door, "key": wish})
		if err == nil {
			k.answered(wish, answer.UnlockDoor.Command.ID)
			return
		}
		pause(ctx, 300*time.Millisecond)
	}
}

func (k *clerk) answered(wish string, command typeid.Command) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if first, again := k.unlocks[wish]; again && first != command {
		k.chaos.wrong("one wish became %s and %s", first, command)
	}
	k.unlocks[wish] = command
	k.chaos.work.mutations.Add(1)
}

// grant gives a key and, half of the time, takes it away again.
func (k *clerk) grant(ctx context.Context) {
	var answer struct {
		GrantKey struct{ Key struct{ ID typeid.Key } }
	}
	err := k.ask(ctx, &answer, granting, map[string]any{"user": k.org.visitor, "door": k.door()})
	k.mu.Lock()
	if err != nil {
		k.doubted++
	} else {
		k.granted[answer.GrantKey.Key.ID] = true
		k.chaos.work.mutations.Add(1)
	}
	k.mu.Unlock()
	if err != nil || mathrand.IntN(2) == 0 { //nolint:gosec // a simulation
		return
	}
	key := answer.GrantKey.Key.ID
	var revoked any
	if k.ask(ctx, &revoked, revoking, map[string]any{"key": key}) == nil {
		k.mu.Lock()
		k.revoked[key] = true
		k.mu.Unlock()
		k.chaos.work.mutations.Add(1)
	}
}

// ask sends an operation to some node, as the owner.
func (k *clerk) ask(ctx context.Context, data any, query string, variables map[string]any) error {
	return k.chaos.ask(ctx, k.chaos.anyNode("api"), k.org.owner.token, data, query, variables)
}

// asker waits longer than the server does.
var asker = &http.Client{
	Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 50},
}

// ask sends an operation to a node. An error means that nobody knows what came of it.
func (c *chaos) ask(
	ctx context.Context, n *node, token string, data any, query string, variables map[string]any,
) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		"http://"+n.front.address+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	request.GetBody = nil // what may have been done is not sent again behind our back
	response, err := asker.Do(request)
	if err != nil {
		asker.CloseIdleConnections() // whatever swallowed this one may swallow the next
		c.refused("no answer")
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.refused("no answer")
		return err
	}
	return c.judge(response.StatusCode, text, data)
}

// judge takes an answer. Refused for any other reason than a fault is wrong.
func (c *chaos) judge(status int, text []byte, data any) error {
	var answer struct {
		Data   json.RawMessage
		Errors []refusal
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		c.wrong("answer %d is not one: %.300s", status, text)
		return err
	}
	if len(answer.Errors) == 0 {
		return json.Unmarshal(answer.Data, data)
	}
	code := answer.Errors[0].Extensions.Code
	c.refused(code)
	if !passing[code] {
		c.wrong("answer %d: %.300s", status, text)
	}
	return fmt.Errorf("%s: %s", code, answer.Errors[0].Message)
}
