package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// OfflineGrace is how long a device may decide by itself from a list.
const OfflineGrace = 24 * time.Hour

// OfflineList is what a device decides by while it cannot reach the server, one sheet for each of its
// doors. Keys that count their uses are not in it, for a device cannot count those of others.
type OfflineList struct {
	Device typeid.Device
	// Sequence is the last event of the journal that it takes into account. Of two lists, the one
	// with the higher sequence counts.
	Sequence     int64
	At, NotAfter time.Time
	Sheets       map[int]verdict.Sheet // by port
}

// OfflineList works out the list of a device from an instant on. It is one view of the database: all
// that the journal tells up to its sequence is in it, and nothing else.
func (s *Service) OfflineList(
	ctx context.Context, id typeid.Device, at time.Time,
) (list OfflineList, err error) {
	visible, err := s.VisibleDevices(ctx)
	if err != nil {
		return OfflineList{}, err
	}
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return OfflineList{}, fmt.Errorf("begin: %w", err)
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()
	list = OfflineList{
		Device: id, At: at, NotAfter: at.Add(OfflineGrace), Sheets: map[int]verdict.Sheet{},
	}
	if _, err := tx.Device.Query().Where(device.ID(id), visible).Only(ctx); err != nil {
		return OfflineList{}, found(err, "device", "deviceId")
	}
	l := s.newFacts(ctx, tx.Client(), at, free)
	head, err := tx.JournalHead.Get(ctx, l.org)
	if err != nil {
		return OfflineList{}, fmt.Errorf("load journal's head: %w", err)
	}
	list.Sequence = head.Seq
	doors, err := tx.Door.Query().Where(door.DeviceID(id)).All(ctx)
	if err != nil {
		return OfflineList{}, fmt.Errorf("load doors: %w", err)
	}
	err = l.list(ctx, &list, doors)
	return list, err
}

func (l *factLoader) list(ctx context.Context, list *OfflineList, doors []*ent.Door) error {
	if err := l.loadDoors(ctx, doors); err != nil {
		return err
	}
	people, err := pick[typeid.User](ctx, l, peopleOfDoors, l.org, pq.Array(l.targets))
	if err != nil {
		return err
	}
	if err := l.loadPeople(ctx, people); err != nil {
		return err
	}
	f, err := l.complete(ctx)
	if err != nil {
		return err
	}
	policy := verdict.Compile(f)
	for _, d := range doors {
		list.Sheets[*d.DevicePort], _ = policy.Sheet(d.ID, people, list.At, list.NotAfter)
	}
	return nil
}

// peopleOfDoors finds everybody to whom a key for one of the targets $2 may lead, sooner or later.
const peopleOfDoors = `
	WITH held AS (
		SELECT DISTINCT t.user_id, t.user_group_id
		FROM key_targets t JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
		WHERE t.org_id = $1 AND t.target = ANY ($2::uuid[])
		  AND k.revoked_at IS NULL
	), part AS (
		SELECT user_group_id AS id FROM held WHERE user_group_id IS NOT NULL
		UNION SELECT g.id FROM held h
		  JOIN user_groups g ON g.org_id = $1 AND g.parent_id = h.user_group_id
	)
	SELECT user_id FROM held WHERE user_id IS NOT NULL
	UNION
	SELECT m.user_id FROM part JOIN user_group_members m
	  ON m.org_id = $1 AND m.user_group_id = part.id
	ORDER BY user_id`
