package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/internal/bench/tally"
)

// devices are links that obey commands at once, and report if they are told to. With identities they
// link as Cardea's devices do; without, they skip the handshake and send the same frames.
type devices struct {
	url, file string
	count     int
	rate      float64
	window    int
	ports     int

	linked []*device
	lost   chan error
}

func (d *devices) flags(set *flag.FlagSet) {
	set.StringVar(&d.url, "url", "http://localhost:8080",
		"the server; without identities, the whole URL, with {link} for which one")
	set.StringVar(&d.file, "identities", "", "file of enrolled devices, as cardea sim keeps them")
	set.IntVar(&d.count, "n", 1, "devices")
	set.Float64Var(&d.rate, "rate", 0, "reports a second, of each")
	set.IntVar(&d.ports, "ports", 0, "doors of each that report in turn; 0: the first")
	set.IntVar(&d.window, "window", 0, "report as fast as acknowledged, with so many on the way")
}

func (d *devices) prepare(ctx context.Context) error {
	identities := make([]client.Identity, d.count)
	if d.file != "" {
		text, err := os.ReadFile(d.file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &identities); err != nil {
			return err
		}
		if len(identities) < d.count {
			return fmt.Errorf("%s has %d devices", d.file, len(identities))
		}
	}
	d.lost, d.linked = make(chan error, d.count), make([]*device, d.count)
	return connect(ctx, d.count, func(ctx context.Context, i int) (err error) {
		url := strings.ReplaceAll(d.url, "{link}", strconv.Itoa(i))
		d.linked[i], err = dial(ctx, url, identities[i], max(d.window, 1024))
		if err == nil {
			d.linked[i].ports = d.ports
			go func() { d.lost <- d.linked[i].listen() }()
		}
		return err
	})
}

func (d *devices) work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.lost:
			return errors.Join(errors.New("a link was lost"), err)
		}
	})
	for _, one := range d.linked {
		switch {
		case d.window > 0:
			group.Go(func() error { return one.pipeline(ctx, d.window) })
		case d.rate > 0:
			group.Go(func() error {
				return one.tick(ctx, time.Duration(float64(time.Second)/d.rate))
			})
		}
	}
	return group.Wait()
}

func (d *devices) clocks() []*tally.Clock {
	all := make([]*tally.Clock, len(d.linked))
	for i, one := range d.linked {
		all[i] = &one.Clock
	}
	return all
}

func (d *devices) close() {
	for _, one := range d.linked {
		if one != nil {
			_ = one.conn.CloseNow()
		}
	}
}
