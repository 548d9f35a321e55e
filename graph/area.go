package graph

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *resolver) readAreas(ctx context.Context) (*ent.AreaQuery, error) {
	visible, err := r.access.VisibleAreas(ctx)
	return r.db.Area.Query().Where(visible), err
}

// readPresent opens a query over who is in some area.
func (r *resolver) readPresent(ctx context.Context) (*ent.PresenceQuery, error) {
	visible, err := r.access.VisiblePresences(ctx)
	return r.db.Presence.Query().Where(presence.StateEQ(presence.StateIN), visible), err
}

func (r *resolver) areasOfSites(
	ctx context.Context, asked nested[typeid.Site], of []typeid.Site,
) (map[typeid.Site]*shape.AreaConnection, error) {
	q, err := r.readAreas(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, areas, asked.page, q, of, childOf(area.FieldSiteID))
}

func (r *resolver) entrancesOfAreas(
	ctx context.Context, asked nested[typeid.Area], of []typeid.Area,
) (map[typeid.Area]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doors, asked.page, q, of, childOf(door.FieldIntoAreaID))
}

func (r *resolver) exitsOfAreas(
	ctx context.Context, asked nested[typeid.Area], of []typeid.Area,
) (map[typeid.Area]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doors, asked.page, q, of, childOf(door.FieldOutOfAreaID))
}

func (r *resolver) presentInAreas(
	ctx context.Context, asked nested[typeid.Area], of []typeid.Area,
) (map[typeid.Area]*shape.PresenceConnection, error) {
	q, err := r.readPresent(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, presences, asked.page, q, of, childOf(presence.FieldAreaID))
}

// occupancies counts who is in. An area that nobody is in is not among them.
func (r *resolver) occupancies(
	ctx context.Context, of []typeid.Area,
) (map[typeid.Area]int, error) {
	q, err := r.readPresent(ctx)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		AreaID typeid.Area `json:"area_id"`
		Count  int
	}
	err = q.Where(func(s *sql.Selector) { s.Where(isAny(s.C(presence.FieldAreaID), of)) }).
		GroupBy(presence.FieldAreaID).Aggregate(ent.Count()).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count who is in: %w", err)
	}
	counts := make(map[typeid.Area]int, len(rows))
	for _, row := range rows {
		counts[row.AreaID] = row.Count
	}
	return counts, nil
}

// musterOfSites reads who is in, and then where each of them came into last. The pages are cut along
// names, so nobody is missed or met twice because they walk from area to area meanwhile.
func (r *resolver) musterOfSites(
	ctx context.Context, asked nested[typeid.Site], of []typeid.Site,
) (map[typeid.Site]*shape.PresenceConnection, error) {
	if err := access.Authorize(ctx, access.ReadAreas); err != nil {
		return nil, err
	}
	q, err := r.readUsers(ctx)
	if err != nil {
		return nil, err
	}
	people, err := paginateEach(ctx, users, asked.page, q, of, isAtSite)
	if err != nil {
		return nil, err
	}
	last, err := r.lastPresences(ctx, of, people)
	musters := make(map[typeid.Site]*shape.PresenceConnection, len(people))
	for site, page := range people {
		muster := &shape.PresenceConnection{PageInfo: page.PageInfo}
		for _, edge := range page.Edges {
			if at := last[site][edge.Node.ID]; at != nil { // they may have left in between
				muster.Edges = append(muster.Edges, shape.PresenceEdge{Cursor: edge.Cursor, Node: at})
			}
		}
		musters[site] = muster
	}
	return musters, err
}

// isAtSite is true of people who are in an area of the site.
func isAtSite(s *sql.Selector, of operand) *sql.Predicate {
	org, id := s.C(user.FieldOrgID), s.C(user.FieldID)
	return sql.P(func(b *sql.Builder) {
		b.WriteByte('(').Ident(org).Comma().Ident(id).WriteString(`) IN (
			SELECT p.org_id, p.user_id FROM sites AS s
			JOIN areas AS a ON a.org_id = s.org_id AND a.site_id = s.id
			JOIN presences AS p ON p.org_id = a.org_id AND p.area_id = a.id AND p.state = 'IN'
			WHERE s.id = `)
		of(b)
		b.WriteByte(')')
	})
}

// lastPresences is where the people of each page came into last at its site.
func (r *resolver) lastPresences(
	ctx context.Context, of []typeid.Site, people map[typeid.Site]*shape.UserConnection,
) (map[typeid.Site]map[typeid.User]*ent.Presence, error) {
	var ids []typeid.User
	for _, page := range people {
		for _, edge := range page.Edges {
			ids = append(ids, edge.Node.ID)
		}
	}
	q, err := r.readPresent(ctx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	q.Modify(func(s *sql.Selector) {
		s.Where(isAny(s.C(presence.FieldUserID), ids)).OrderBy(s.C(presence.FieldSince)).
			AppendSelectExprAs(sql.Raw(
				"(SELECT a.site_id::text FROM areas AS a WHERE a.id = presences.area_id)"), parentColumn)
	})
	rows, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read presences: %w", err)
	}
	found, err := byParent(of, rows)
	last := make(map[typeid.Site]map[typeid.User]*ent.Presence, len(of))
	for site, presences := range found {
		last[site] = make(map[typeid.User]*ent.Presence, len(presences))
		for _, p := range presences { // the later ones last
			last[site][p.UserID] = p
		}
	}
	return last, err
}
