package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/internal/bench/tally"
)

// requests are POSTs by clients that each wait for an answer before they ask again.
type requests struct {
	url, token, file, expect string
	count                    int
	warm, every              time.Duration

	client  *http.Client
	bodies  [][]byte
	clients []*caller
}

// caller is one of them. Each begins at another body and takes them in turn.
type caller struct {
	*requests
	tally.Clock
	next int
}

func (r *requests) flags(set *flag.FlagSet) {
	set.StringVar(&r.url, "url", "http://localhost:8080/graphql", "where to POST")
	set.StringVar(&r.token, "token", "", "bearer token")
	set.StringVar(&r.file, "bodies", "", "file of bodies, one a line, that are sent in turn")
	set.StringVar(&r.expect, "expect", `"data":{`, "text that every answer must contain")
	set.IntVar(&r.count, "c", 1, "clients")
	set.DurationVar(&r.every, "every", 0, "how often each client asks, at most; 0: as soon as it has its answer")
	set.DurationVar(&r.warm, "warm", 500*time.Millisecond, "how long to ask before counting")
}

func (r *requests) prepare(ctx context.Context) error {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return err
	}
	r.bodies = bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	r.client = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: r.count}, Timeout: 30 * time.Second,
	}
	for i := range r.count {
		r.clients = append(r.clients, &caller{requests: r, next: i * len(r.bodies) / r.count})
	}
	ctx, cancel := context.WithTimeout(ctx, r.warm)
	defer cancel()
	if err := r.work(ctx); err != nil {
		return err
	}
	for _, c := range r.clients {
		c.Clock = tally.Clock{}
	}
	return nil
}

func (r *requests) work(ctx context.Context) error {
	var group errgroup.Group
	for _, c := range r.clients {
		group.Go(func() error {
			for next := time.Now(); ctx.Err() == nil; next = next.Add(r.every) {
				time.Sleep(time.Until(next)) //nolint:forbidigo // the pace is what is asked for
				if err := c.ask(context.WithoutCancel(ctx)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (c *caller) ask(ctx context.Context) error {
	body := c.bodies[c.next%len(c.bodies)]
	c.next++
	begun := time.Now()
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(response.Body)
	if err := firstOf(err, response.Body.Close()); err != nil {
		return err
	}
	c.Add(time.Since(begun), len(answer))
	if response.StatusCode >= http.StatusInternalServerError || !bytes.Contains(answer, []byte(c.expect)) {
		return fmt.Errorf("%s answered %s: %s", c.url, response.Status, answer)
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *requests) clocks() []*tally.Clock {
	all := make([]*tally.Clock, len(r.clients))
	for i, c := range r.clients {
		all[i] = &c.Clock
	}
	return all
}

func (r *requests) close() {
	if r.client != nil {
		r.client.CloseIdleConnections()
	}
}
