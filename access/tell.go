package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// A device has to be told whenever the mode of one of its doors turns. Whoever turned it tells it
// after the commit. Each door keeps what its device was last told, so that nobody has to remember
// whom they could not tell, or that they were about to: TellDevices finds out.

const (
	// tellers is how many devices are told at once.
	tellers = 64
	// patience is how long a device that is being told keeps others from it.
	patience = 500 * time.Millisecond
	// untoldBatch is how many doors TellDevices looks at in one statement.
	untoldBatch = 500
)

// devicesOf is the devices of doors, each once: those that are thought to be online first.
func devicesOf(doors []*ent.Door) []typeid.Device {
	var online, others []typeid.Device
	for _, d := range doors {
		switch {
		case d.DeviceID == nil:
		case d.Connectivity == schema.ConnectivityOnline:
			online = append(online, *d.DeviceID)
		default:
			others = append(others, *d.DeviceID)
		}
	}
	return onceEach(append(online, others...))
}

// tellDevices tells devices what their doors are, some at once, and returns to whom it may have got
// when all are told or ctx ends. A device that does not read holds up others for a moment only.
func (s *Service) tellDevices(ctx context.Context, devices []typeid.Device) map[typeid.Device]bool {
	type answer struct {
		id   typeid.Device
		told bool
	}
	answers := make(chan answer, len(devices))
	slots := make(chan struct{}, tellers)
	go func() {
		for _, id := range devices {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			leave := sync.OnceFunc(func() { <-slots })
			time.AfterFunc(patience, leave)
			go func() {
				defer leave()
				answers <- answer{id, s.configure(ctx, &id)}
			}()
		}
	}()
	told := make(map[typeid.Device]bool, len(devices))
	for range devices {
		select {
		case a := <-answers:
			told[a.id] = a.told
		case <-ctx.Done():
			return told
		}
	}
	return told
}

// RecordConfigured records what the device of ctx was told of its doors, which DoorsOf returned. Those
// that are in lockdown are APPLIED. It is bookkeeping, like when a device was last seen, and no event.
func (s *Service) RecordConfigured(ctx context.Context, told []*ent.Door) error {
	var closed []typeid.Door
	news := map[door.EffectiveMode][]typeid.Door{}
	for _, d := range told {
		if d.EffectiveMode == door.EffectiveModeLOCKDOWN {
			closed = append(closed, d.ID)
		}
		if d.ToldMode == nil || string(*d.ToldMode) != string(d.EffectiveMode) {
			news[d.EffectiveMode] = append(news[d.EffectiveMode], d.ID)
		}
	}
	if err := s.recordLockdown(ctx, closed); err != nil {
		return err
	}
	if len(news) == 0 {
		return nil
	}
	return s.writeTo(ctx, s.reserve, func(tx *ent.Tx) ([]journal.Event, error) {
		return nil, recordTold(ctx, tx, told, news)
	})
}

func (s *Service) recordLockdown(ctx context.Context, doors []typeid.Door) error {
	if len(doors) == 0 {
		return nil
	}
	err := s.reserve.LockdownDoor.Update().Where(
		whose(lockdowndoor.FieldDoorID, doors),
		lockdowndoor.ReleasedAtIsNil(), lockdowndoor.OutcomeNEQ(lockdowndoor.OutcomeAPPLIED),
	).SetOutcome(lockdowndoor.OutcomeAPPLIED).Exec(ctx)
	if err != nil {
		return fmt.Errorf("record lockdown: %w", err)
	}
	return nil
}

// recordTold records modes of doors that are still the device's.
func recordTold(
	ctx context.Context, tx *ent.Tx, told []*ent.Door, news map[door.EffectiveMode][]typeid.Door,
) error {
	if _, err := tx.Door.Query().Where(forChange, whose(door.FieldID, doorIDs(told))).
		Order(door.ByID()).All(ctx); err != nil {
		return fmt.Errorf("lock doors: %w", err)
	}
	by, _ := actor.FromContext(ctx)
	for mode, ids := range news {
		err := tx.Door.Update().Where(door.DeviceID(by.Device), whose(door.FieldID, ids)).
			SetToldMode(door.ToldMode(mode)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("record what a device was told: %w", err)
		}
	}
	return nil
}

// tellAnyhow has the devices of doors told, whatever they were told before.
func tellAnyhow(ctx context.Context, tx *ent.Tx, doors []typeid.Door) error {
	err := tx.Door.Update().Where(whose(door.FieldID, doors)).ClearToldMode().Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget what devices were told: %w", err)
	}
	return nil
}

// TellDevices tells the devices of all organizations that are online and were last told another mode
// of a door than is in force, because the node that turned it died, or could not reach them. It
// returns how many. Many nodes may call it at once.
func (s *Service) TellDevices(ctx context.Context) (int, error) {
	sweeper := actor.System("sweeper")
	ctx, cancel := context.WithTimeout(actor.NewContext(ctx, sweeper), tellingTime)
	defer cancel()
	count := 0
	for after := (typeid.Door{}); ; {
		query := s.reserve.Door.Query().
			Where(door.ConnectivityEQ(schema.ConnectivityOnline), untold).
			Order(door.ByID()).Limit(untoldBatch)
		if !after.IsZero() {
			query.Where(door.IDGT(after))
		}
		untold, err := query.All(ctx)
		if err != nil {
			return count, fmt.Errorf("find devices to tell: %w", err)
		}
		within := map[typeid.Organization][]*ent.Door{}
		for _, d := range untold {
			within[d.OrgID] = append(within[d.OrgID], d)
			after = d.ID
		}
		for org, doors := range within {
			told := s.tellDevices(actor.NewContext(ctx, sweeper.Within(org)), devicesOf(doors))
			count += len(told)
		}
		if len(untold) < untoldBatch || ctx.Err() != nil {
			return count, nil
		}
	}
}

// untold is what the index door_untold has.
func untold(q *sql.Selector) {
	q.Where(sql.ExprP("device_id IS NOT NULL AND told_mode IS DISTINCT FROM effective_mode"))
}
