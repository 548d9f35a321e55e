package access

import (
	"context"
	"slices"
	"strings"

	"github.com/cardea/cardea/actor"
)

// Reach is how far a permission goes.
type Reach string

// The reaches.
const (
	ReachOwn   Reach = "OWN"
	ReachSites Reach = "SITES"
	ReachAll   Reach = "ALL"
)

// Permission is an action that an actor may take.
type Permission struct {
	Action string
	Scope  actor.Scope // that a token needs for it
	Reach  Reach
}

// Permissions are what the actor of ctx may do now, by action.
func Permissions(ctx context.Context) []*Permission {
	found := []*Permission{}
	for action, row := range policy {
		reached, err := reach(ctx, action)
		if err != nil {
			continue
		}
		p := &Permission{Action: string(action), Scope: row.scope, Reach: ReachOwn}
		switch reached {
		case sites:
			p.Reach = ReachSites
		case all:
			p.Reach = ReachAll
		case own, nothing:
		}
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b *Permission) int { return strings.Compare(a.Action, b.Action) })
	return found
}
