package graph

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/99designs/gqlgen/graphql"
	"github.com/lib/pq"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// urgent are the fields that work while the pool for everything else is exhausted: an operation of
// nothing else reads through the reserve.
var urgent = map[string]bool{
	"triggerLockdown": true, "releaseLockdown": true, "lockdown": true, "lockdowns": true,
	"lockdownPlan": true, "lockdownPlans": true, "__typename": true,
}

// readerFor is the resolver that an operation reads with.
func (r *resolver) readerFor(op *ast.OperationDefinition) *resolver {
	if op == nil || op.Operation == ast.Subscription || !allUrgent(op.SelectionSet) {
		return r
	}
	return r.reserved
}

func allUrgent(set ast.SelectionSet) bool {
	for _, selection := range set {
		is := false
		switch s := selection.(type) {
		case *ast.Field:
			is = urgent[s.Name]
		case *ast.InlineFragment:
			is = allUrgent(s.SelectionSet)
		case *ast.FragmentSpread:
			is = s.Definition != nil && allUrgent(s.Definition.SelectionSet)
		}
		if !is {
			return false
		}
	}
	return true
}

// readerOf is the resolver that the operation of ctx reads with.
func (r *resolver) readerOf(ctx context.Context) *resolver {
	return r.readerFor(graphql.GetOperationContext(ctx).Operation)
}

func (r *resolver) listPlans(ctx context.Context, p page) (*shape.LockdownPlanConnection, error) {
	q, err := r.readPlans(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, plans, p, q)
}

func (r *resolver) listLockdowns(
	ctx context.Context, p page, state *lockdown.State,
) (*shape.LockdownConnection, error) {
	q, err := r.readLockdowns(ctx)
	if err != nil {
		return nil, err
	}
	if state != nil {
		q.Where(lockdown.StateEQ(*state))
	}
	return paginate(ctx, lockdowns, p, q)
}

func (r *resolver) sitesOfPlans(
	ctx context.Context, asked nested[typeid.LockdownPlan], of []typeid.LockdownPlan,
) (map[typeid.LockdownPlan]*shape.SiteConnection, error) {
	q, err := r.readSites(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := listedIn(ctx, of, site.FieldID,
		func(p *ent.LockdownPlan) []typeid.Site { return p.SiteIds })
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, sites, asked.page, q, of, listed)
}

func (r *resolver) doorsOfPlans(
	ctx context.Context, asked nested[typeid.LockdownPlan], of []typeid.LockdownPlan,
) (map[typeid.LockdownPlan]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := listedIn(ctx, of, door.FieldID,
		func(p *ent.LockdownPlan) []typeid.Door { return p.DoorIds })
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doors, asked.page, q, of, listed)
}

// listedIn is true of rows whose identifier is in a list that their parent, a plan, keeps.
func listedIn[K any](
	ctx context.Context, of []typeid.LockdownPlan, column string, list func(*ent.LockdownPlan) []K,
) (func(*sql.Selector, operand) *sql.Predicate, error) {
	kept, err := loadersOf(ctx).plans.loadAll(ctx, of)
	if err != nil {
		return nil, err
	}
	var parents []typeid.LockdownPlan
	var children []K
	for _, id := range of {
		if kept[id] == nil { // deleted in between
			continue
		}
		for _, child := range list(kept[id]) {
			parents, children = append(parents, id), append(children, child)
		}
	}
	return func(s *sql.Selector, of operand) *sql.Predicate {
		column := s.C(column)
		return sql.P(func(b *sql.Builder) {
			b.Ident(column).WriteString(" IN (SELECT listed.child FROM unnest(").
				Arg(pq.Array(parents)).WriteString("::uuid[], ").Arg(pq.Array(children)).
				WriteString("::uuid[]) AS listed(parent, child) WHERE listed.parent = ")
			of(b)
			b.WriteByte(')')
		})
	}, nil
}

func (r *resolver) lockdownsOfPlans(
	ctx context.Context, asked nested[typeid.LockdownPlan], of []typeid.LockdownPlan,
) (map[typeid.LockdownPlan]*shape.LockdownConnection, error) {
	q, err := r.readLockdowns(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, lockdowns, asked.page, q, of, childOf(lockdown.FieldPlanID))
}

func (r *resolver) doorsOfLockdowns(
	ctx context.Context, asked nested[typeid.Lockdown], of []typeid.Lockdown,
) (map[typeid.Lockdown]*shape.LockdownDoorConnection, error) {
	q, err := r.readLockdownDoors(ctx)
	if err != nil {
		return nil, err
	}
	if asked.filter != "" {
		q.Where(lockdowndoor.OutcomeEQ(lockdowndoor.Outcome(asked.filter)))
	}
	return paginateEach(ctx, lockdownDoors, asked.page, q, of,
		childOf(lockdowndoor.FieldLockdownID))
}

// lockdownCount is how many doors of a lockdown have which outcome.
type lockdownCount map[lockdowndoor.Outcome]int

func (c lockdownCount) total() (sum int) {
	for _, n := range c {
		sum += n
	}
	return sum
}

func (r *resolver) countsOfLockdowns(
	ctx context.Context, of []typeid.Lockdown,
) (map[typeid.Lockdown]lockdownCount, error) {
	q, err := r.readLockdownDoors(ctx)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		LockdownID typeid.Lockdown      `json:"lockdown_id"`
		Outcome    lockdowndoor.Outcome `json:"outcome"`
		Count      int                  `json:"count"`
	}
	err = q.Where(func(s *sql.Selector) { s.Where(isAny(s.C(lockdowndoor.FieldLockdownID), of)) }).
		GroupBy(lockdowndoor.FieldLockdownID, lockdowndoor.FieldOutcome).
		Aggregate(ent.Count()).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count doors of lockdowns: %w", err)
	}
	counts := make(map[typeid.Lockdown]lockdownCount, len(of))
	for _, row := range rows {
		if counts[row.LockdownID] == nil {
			counts[row.LockdownID] = lockdownCount{}
		}
		counts[row.LockdownID][row.Outcome] = row.Count
	}
	return counts, nil
}

// actorNamed is an actor by the identifier that a column keeps; nil for none.
func actorNamed(id *string) *journal.Actor {
	if id == nil {
		return nil
	}
	kind := actor.KindSystem
	if _, err := typeid.Parse[typeid.User](*id); err == nil {
		kind = actor.KindUser
	} else if _, err := typeid.Parse[typeid.APIToken](*id); err == nil {
		kind = actor.KindToken
	} else if _, err := typeid.Parse[typeid.Grant](*id); err == nil {
		kind = actor.KindApplication
	}
	return &journal.Actor{Kind: kind, ID: *id}
}
