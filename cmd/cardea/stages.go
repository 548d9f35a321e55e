package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// part is something long-lived: it returns when ctx has ended and all that it started is gone.
type part struct {
	name string
	run  func(context.Context) error
}

// runStages runs all parts of all stages until ctx ends or one of them fails, and then stops the
// stages one after another, in their order. It returns the failures.
func runStages(ctx context.Context, stages ...[]part) error {
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	stops := make([]func() error, len(stages))
	for i, parts := range stages {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var group errgroup.Group
		for _, p := range parts {
			group.Go(func() error {
				defer fail()
				err := p.run(own)
				switch {
				case own.Err() != nil && errors.Is(err, context.Canceled):
					return nil
				case err == nil && own.Err() == nil:
					err = errors.New("ended by itself")
				}
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				return nil
			})
		}
		stops[i] = func() error {
			cancel()
			return group.Wait()
		}
	}
	<-ctx.Done()
	var failures []error
	for _, stop := range stops {
		failures = append(failures, stop())
	}
	return errors.Join(failures...)
}
