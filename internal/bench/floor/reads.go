package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/typeid"
)

// named are the variables of every read.
type named[ID any] struct {
	ID ID `json:"id"`
}

type siteJSON struct {
	ID       typeid.Site `json:"id"`
	Name     string      `json:"name"`
	TimeZone string      `json:"timeZone"`
}

type doorJSON struct {
	ID        typeid.Door `json:"id"`
	Name      string      `json:"name"`
	LockState string      `json:"lockState"`
	Position  string      `json:"position"`
	Mode      string      `json:"mode"`
	Site      siteJSON    `json:"site"`
}

type doorData struct {
	Door doorJSON `json:"door"`
}

// readDoor answers Q1.
func (f *floor) readDoor(ctx context.Context, v named[typeid.Door]) (data doorData, err error) {
	d := &data.Door
	err = f.db.QueryRowContext(ctx, `
		SELECT d.id, d.name, d.lock_state, d.position, d.mode, s.id, s.name, s.time_zone
		FROM doors d JOIN sites s ON s.org_id = d.org_id AND s.id = d.site_id
		WHERE d.org_id = $1 AND d.id = $2`, f.org, v.ID).
		Scan(&d.ID, &d.Name, &d.LockState, &d.Position, &d.Mode, &d.Site.ID, &d.Site.Name,
			&d.Site.TimeZone)
	return data, err
}

type nodes[T any] struct {
	Nodes []T `json:"nodes"`
}

type shortEvent struct {
	ID         typeid.Event `json:"id"`
	Sequence   int64        `json:"sequence"`
	Type       string       `json:"type"`
	OccurredAt string       `json:"occurredAt"`
}

type eventfulDoor struct {
	ID        typeid.Door       `json:"id"`
	Name      string            `json:"name"`
	LockState string            `json:"lockState"`
	Events    nodes[shortEvent] `json:"events"`
}

type siteData struct {
	Site struct {
		ID    typeid.Site         `json:"id"`
		Name  string              `json:"name"`
		Doors nodes[eventfulDoor] `json:"doors"`
	} `json:"site"`
}

// readSite answers Q2.
func (f *floor) readSite(ctx context.Context, v named[typeid.Site]) (data siteData, err error) {
	rows, err := f.db.QueryContext(ctx, `
		SELECT s.id, s.name, d.id, d.name, d.lock_state, e.id, e.seq, e.type, e.occurred_at
		FROM sites s
		CROSS JOIN LATERAL (
			SELECT id, name, lock_state FROM doors WHERE org_id = s.org_id AND site_id = s.id
			ORDER BY name, id LIMIT 50) d
		LEFT JOIN LATERAL (
			SELECT id, seq, type, occurred_at FROM events WHERE org_id = s.org_id AND door_id = d.id
			ORDER BY seq DESC LIMIT 5) e ON true
		WHERE s.org_id = $1 AND s.id = $2
		ORDER BY d.name, d.id, e.seq DESC`, f.org, v.ID)
	if err != nil {
		return data, err
	}
	defer func() { _ = rows.Close() }()
	for s := &data.Site; rows.Next(); {
		var d eventfulDoor
		var e shortEvent
		var sequence *int64
		var kind *string
		var at *time.Time
		err := rows.Scan(&s.ID, &s.Name, &d.ID, &d.Name, &d.LockState, &e.ID, &sequence, &kind, &at)
		if err != nil {
			return data, err
		}
		if last := len(s.Doors.Nodes) - 1; last < 0 || s.Doors.Nodes[last].ID != d.ID {
			d.Events.Nodes = []shortEvent{}
			s.Doors.Nodes = append(s.Doors.Nodes, d)
		}
		if sequence != nil {
			e.Sequence, e.Type, e.OccurredAt = *sequence, *kind, instant(*at)
			of := &s.Doors.Nodes[len(s.Doors.Nodes)-1].Events
			of.Nodes = append(of.Nodes, e)
		}
	}
	return data, rows.Err()
}

type actorJSON struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

type userJSON struct {
	ID   typeid.User `json:"id"`
	Name string      `json:"name"`
}

type longEvent struct {
	shortEvent
	Outcome *string   `json:"outcome"`
	Reason  *string   `json:"reason"`
	Method  *string   `json:"method"`
	Actor   actorJSON `json:"actor"`
	User    *userJSON `json:"user"`
}

type eventsData struct {
	Door struct {
		ID     typeid.Door      `json:"id"`
		Events nodes[longEvent] `json:"events"`
	} `json:"door"`
}

// readEvents answers Q3.
func (f *floor) readEvents(ctx context.Context, v named[typeid.Door]) (data eventsData, err error) {
	rows, err := f.db.QueryContext(ctx, `
		SELECT e.id, e.seq, e.type, e.occurred_at, e.outcome, e.reason, e.method, e.actor_kind,
			e.actor_id, u.id, u.name
		FROM events e LEFT JOIN users u ON u.org_id = e.org_id AND u.id = e.user_id
		WHERE e.org_id = $1 AND e.door_id = $2
		ORDER BY e.seq DESC LIMIT 100`, f.org, v.ID)
	if err != nil {
		return data, fmt.Errorf("read events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	data.Door.ID, data.Door.Events.Nodes = v.ID, []longEvent{}
	for rows.Next() {
		var e longEvent
		var at time.Time
		var u userJSON
		var name *string
		err := rows.Scan(&e.ID, &e.Sequence, &e.Type, &at, &e.Outcome, &e.Reason, &e.Method,
			&e.Actor.Kind, &e.Actor.ID, &u.ID, &name)
		if err != nil {
			return data, err
		}
		e.OccurredAt = instant(at)
		if name != nil {
			u.Name = *name
			e.User = &u
		}
		data.Door.Events.Nodes = append(data.Door.Events.Nodes, e)
	}
	return data, rows.Err()
}
