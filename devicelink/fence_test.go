package devicelink_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/typeid"
)

// TestOlderLinkIsFenced races two links of a device on two nodes, while the older one says what came of
// a command. Once the newer one is welcomed nothing that the older one said is taken any more, whether
// it was read by then or not; and what was taken before, the welcome has told.
func TestOlderLinkIsFenced(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(here, "Gate")
	var before int64
	for round := range 20 {
		older, welcome := linktest.Link(t, here.url, identity)
		newer := linktest.Dial(t, there.url, identity)
		hello := newer.Hello()
		raced := make(chan struct{})
		go func() {
			defer close(raced)
			for i := range int64(5) {
				_ = older.TrySend(&devicelink.Result{
					Sequence: welcome.Sequence + 1 + i, At: time.Now(), Port: 1, CommandID: b.unlockRow(gate).ID,
					Stage: command.StageCONFIRMED, Confirmation: command.ConfirmationLOCK_STATE,
				})
			}
		}()
		newer.Send(hello)
		now := linktest.Receive[*devicelink.Welcome](newer)
		<-raced
		older.Drain()
		b.settle(identity.Device)
		if b.device(identity.Device).LastSequence != now.Sequence {
			t.Fatalf("round %d: the welcome said %d, and %d are taken",
				round, now.Sequence, b.device(identity.Device).LastSequence)
		}
		confirmed := int64(b.db.Command.Query().
			Where(command.StageEQ(command.StageCONFIRMED)).CountX(b.system))
		if taken := now.Sequence - welcome.Sequence; confirmed-before != taken {
			t.Fatalf("round %d: %d commands are CONFIRMED by %d results", round, confirmed-before, taken)
		}
		before = confirmed
		newer.Cut()
	}
}

// TestReadAndNotCommitted: a result that a node has read, and that waits for the device's row, is not
// taken when a newer link was first to get it.
func TestReadAndNotCommitted(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(here, "Gate")
	older, _ := linktest.Link(t, here.url, identity)
	c := b.unlockRow(gate)

	tx, err := b.db.Tx(b.system) // holds the device's row
	must(t, err)
	_, err = tx.Device.Query().Where(device.ID(identity.Device), func(q *sql.Selector) {
		q.ForUpdate()
	}).Only(b.system)
	must(t, err)
	newer := linktest.Dial(t, there.url, identity)
	newer.Send(newer.Hello())
	b.waiting(1) // the newer link, for the row
	older.Send(&devicelink.Result{
		Sequence: 1, At: time.Now(), Port: 1, CommandID: c.ID, Stage: command.StageCONFIRMED,
	})
	b.waiting(2) // the recorder of the older one, behind it
	must(t, tx.Rollback())

	if w := linktest.Receive[*devicelink.Welcome](newer); w.Sequence != 0 {
		t.Errorf("the welcome says %d", w.Sequence)
	}
	if code, _ := older.Closed(); code != devicelink.CloseSuperseded {
		t.Errorf("closed with %s", code)
	}
	b.settle(identity.Device)
	if now := b.db.Command.GetX(b.system, c.ID); now.Stage == command.StageCONFIRMED {
		t.Error("the older link's result is taken")
	}
	if last := b.device(identity.Device).LastSequence; last != 0 {
		t.Errorf("%d entries are taken", last)
	}
}

// settle returns when whoever waited for a device's row has had it.
func (b *town) settle(id typeid.Device) {
	b.t.Helper()
	tx, err := b.db.Tx(b.system)
	must(b.t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Device.Query().Where(device.ID(id), func(q *sql.Selector) { q.ForUpdate() }).
		Only(b.system)
	must(b.t, err)
}

// waiting waits until so many statements of this test's database wait for a lock.
func (b *town) waiting(many int) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("%d wait", many), func() bool {
		rows, err := b.db.QueryContext(context.WithoutCancel(b.system), `
			SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		must(b.t, err)
		defer func() { _ = rows.Close() }()
		var n int
		for rows.Next() {
			must(b.t, rows.Scan(&n))
		}
		must(b.t, rows.Err())
		return n >= many
	})
}
