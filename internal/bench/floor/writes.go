package main

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/lib/pq"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/typeid"
)

type grant struct {
	UserID typeid.User `json:"userId"`
	DoorID typeid.Door `json:"doorId"`
}

type keyData struct {
	GrantKey struct {
		Key struct {
			ID        typeid.Key `json:"id"`
			CreatedAt string     `json:"createdAt"`
		} `json:"key"`
	} `json:"grantKey"`
}

// noHash stands for an event's leaf hash.
var noHash = make([]byte, sha256.Size)

// grantKey answers Q4: the key, its door and the audit row in one statement.
func (f *floor) grantKey(ctx context.Context, v grant) (data keyData, err error) {
	id, now := typeid.New[typeid.Key](), time.Now().UTC()
	_, err = f.db.ExecContext(ctx, `
		WITH key AS (
			INSERT INTO floor.keys (id, org_id, created_at, updated_at, user_id)
			VALUES ($1, $2, $3, $3, $4)
		), opens AS (
			INSERT INTO floor.key_targets (id, org_id, key_id, user_id, door_id)
			VALUES ($5, $2, $1, $4, $6)
		)
		INSERT INTO floor.events (id, org_id, seq, type, occurred_at, received_at, delivery,
			actor_kind, actor_id, door_id, user_id, key_id, severity, data, leaf_hash)
		VALUES ($7, $2, $8, 'key.created', $3, $3, 'LIVE', 'API_TOKEN', 'floor', $6, $4, $1, 'INFO',
			'{}', $9)`,
		id, f.org, now, v.UserID, typeid.New[typeid.KeyTarget](), v.DoorID,
		typeid.New[typeid.Event](), f.sequence.Add(1), noHash)
	data.GrantKey.Key.ID, data.GrantKey.Key.CreatedAt = id, instant(now)
	return data, err
}

type unlock struct {
	DoorID typeid.Door `json:"doorId"`
}

type unlockData struct {
	UnlockDoor struct {
		Command struct {
			ID    typeid.Command `json:"id"`
			Stage command.Stage  `json:"stage"`
		} `json:"command"`
	} `json:"unlockDoor"`
}

// unlock is one durable insert and two hops: to the device, and back.
func (f *floor) unlock(ctx context.Context, v unlock) (data unlockData, err error) {
	now := time.Now().UTC()
	order := &devicelink.Command{
		CommandID: typeid.New[typeid.Command](), Verb: command.VerbUNLOCK, DoorID: v.DoorID, Port: 1,
		Seconds: 5, IssuedAt: now, NotAfter: now.Add(10 * time.Second),
	}
	_, err = f.db.ExecContext(ctx, `
		INSERT INTO floor.commands (id, org_id, door_id, verb, requester_kind, requester_id, stage,
			requested_at, expires_at)
		VALUES ($1, $2, $3, $4, 'API_TOKEN', 'floor', 'CREATED', $5, $6)`,
		order.CommandID, f.org, order.DoorID, order.Verb, order.IssuedAt, order.NotAfter)
	if err == nil {
		err = f.lock.turn(ctx, order)
	}
	data.UnlockDoor.Command.ID = order.CommandID
	data.UnlockDoor.Command.Stage = command.StageCONFIRMED
	return data, err
}

// record inserts reports as rows of the event table, by one statement and so in one transaction.
func (f *floor) record(ctx context.Context, reports []*devicelink.Report) error {
	ids, sequences := make([]string, len(reports)), make([]int64, len(reports))
	types, times := make([]string, len(reports)), make([]string, len(reports))
	last := f.sequence.Add(int64(len(reports)))
	for i, r := range reports {
		id := typeid.New[typeid.Event]()
		raw, err := id.Value()
		if err != nil {
			return err
		}
		ids[i], _ = raw.(string)
		sequences[i] = last - int64(len(reports)-1-i)
		types[i], times[i] = r.Event, instant(r.At)
	}
	_, err := f.db.ExecContext(ctx, `
		INSERT INTO floor.events (id, org_id, seq, type, occurred_at, received_at, delivery,
			actor_kind, actor_id, site_id, door_id, device_id, severity, data, leaf_hash)
		SELECT r.id, $1, r.seq, r.type, r.at, $2, 'LIVE', 'DEVICE', 'floor', $3, $4, $5, 'INFO', '{}', $6
		FROM unnest($7::uuid[], $8::bigint[], $9::text[], $10::timestamptz[]) AS r (id, seq, type, at)`,
		f.org, time.Now().UTC(), f.site, f.door, f.device, noHash,
		pq.Array(ids), pq.Array(sequences), pq.Array(types), pq.Array(times))
	return err
}
