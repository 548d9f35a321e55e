package main

import (
	"context"
	"fmt"
	"strings"
)

// serve runs a node until ctx ends.
func (p program) serve(ctx context.Context, args []string) error {
	flags := p.flags("serve")
	check := flags.Bool("check", false, "check the configuration and end")
	roles := flags.String("roles", "", "parts to run, such as api,link,worker; instead of CARDEA_ROLES")
	if err := flags.Parse(args); err != nil {
		return err
	}
	env := p.env
	if *roles != "" {
		env = with(env, "CARDEA_ROLES", *roles)
	}
	c, err := readConfig(env, nil)
	if err != nil || *check {
		return err
	}
	n, err := newNode(ctx, c, p.logger(c))
	if err != nil {
		return err
	}
	if env("GOGC") == "" { // an operator's word is last
		n.stages.work = append(n.stages.work, part{"garbage", spareWork})
	}
	_, _ = fmt.Fprintf(p.stdout, "serving %s on %s\n", strings.Join(c.Roles, ", "), n.url())
	return n.run(ctx)
}

// with is an environment in which a variable has another value.
func with(env func(string) string, name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return env(asked)
	}
}
