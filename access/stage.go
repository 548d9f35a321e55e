package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// step is what is learned of a command.
type step struct {
	stage        command.Stage
	reason       schema.Reason
	confirmation command.Confirmation
	at           time.Time // zero: now
}

// rank of the stages: a command only moves to a higher one, and an end is final. So it does not
// matter in which order news of it arrive.
var rank = map[command.Stage]int{
	command.StageCREATED: 0, command.StageDISPATCHED: 1, command.StageACKNOWLEDGED: 2,
	command.StageCONFIRMED: 3, command.StageREJECTED: 3, command.StageFAILED: 3,
	command.StageEXPIRED: 3, command.StageUNCONFIRMED: 3, command.StageCANCELLED: 3,
}

// undone are the ends that say that nothing happened at the door.
var undone = map[command.Stage]bool{
	command.StageREJECTED: true, command.StageFAILED: true, command.StageEXPIRED: true,
	command.StageCANCELLED: true,
}

// Reached says whether a command has come to a stage, or to its end.
func Reached(c *ent.Command, want WaitFor) bool {
	return rank[c.Stage] >= rank[command.Stage(want)]
}

// RecordDispatched records that the command was written to its device's link at an instant. The news
// of it may come after the device's answer: then the stage stays, and the instant is kept and told.
func (s *Service) RecordDispatched(ctx context.Context, id typeid.Command, at time.Time) error {
	_, err := s.advance(ctx, id, step{stage: command.StageDISPATCHED, at: at})
	return err
}

// RecordUndelivered ends a command that was never written to a link: EXPIRED if its deadline passed
// (EXPIRED_BEFORE_DELIVERY), FAILED for any other reason.
func (s *Service) RecordUndelivered(
	ctx context.Context, id typeid.Command, reason schema.Reason,
) error {
	stage := command.StageFAILED
	if reason == schema.ReasonExpiredBeforeDelivery {
		stage = command.StageEXPIRED
	}
	_, err := s.advance(ctx, id, step{stage: stage, reason: reason})
	return err
}

// advance moves a command in a transaction of its own, and returns it as it is then.
func (s *Service) advance(
	ctx context.Context, id typeid.Command, to step,
) (c *ent.Command, err error) {
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		c, events, err = s.move(ctx, tx, id, to)
		return events, err
	})
	return c, err
}

// move applies a step if the command is not past it, and tells of it. It locks the command.
func (s *Service) move(
	ctx context.Context, tx *ent.Tx, id typeid.Command, to step,
) (*ent.Command, []journal.Event, error) {
	if undone[to.stage] {
		if err := s.hold(ctx, tx, id); err != nil {
			return nil, nil, err
		}
	}
	c, err := tx.Command.Query().Where(command.ID(id), forChange).Only(ctx)
	if err != nil {
		return nil, nil, found(err, "command", "")
	}
	if to.at.IsZero() {
		to.at = s.now()
	}
	ahead := rank[to.stage] > rank[c.Stage]
	if !ahead && (to.stage != command.StageDISPATCHED || c.DispatchedAt != nil) {
		return c, nil, nil
	}
	if c, err = update(tx, c, to, ahead).Save(ctx); err != nil {
		return nil, nil, fmt.Errorf("move command: %w", err)
	}
	d, err := tx.Door.Query().Where(door.ID(c.DoorID)).Only(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("load door: %w", err)
	}
	told := about(c, d, "command."+strings.ToLower(string(to.stage)))
	told.Reason, told.OccurredAt = to.reason, to.at
	events := []journal.Event{told}
	if undone[c.Stage] {
		returned, err := s.giveBack(ctx, tx, c)
		return c, append(events, returned...), err
	}
	return c, events, nil
}

// hold locks what a command that is about to end without an unlock gives back, before the command
// itself is locked.
func (s *Service) hold(ctx context.Context, tx *ent.Tx, id typeid.Command) error {
	c, err := tx.Command.Get(ctx, id)
	if err != nil {
		return found(err, "command", "")
	}
	if err := holdUses(ctx, tx, c); err != nil {
		return err
	}
	return holdPass(ctx, tx, c)
}

// giveBack undoes what an unlock took that never happened: a use of the key, and the pass.
func (s *Service) giveBack(
	ctx context.Context, tx *ent.Tx, c *ent.Command,
) ([]journal.Event, error) {
	events, err := returnUse(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	moved, err := returnPass(ctx, tx, c)
	return append(events, moved...), err
}

func update(tx *ent.Tx, c *ent.Command, to step, ahead bool) *ent.CommandUpdateOne {
	u := tx.Command.UpdateOne(c)
	switch {
	case to.stage == command.StageDISPATCHED:
		u.SetDispatchedAt(to.at)
	case to.stage == command.StageACKNOWLEDGED:
		u.SetAcknowledgedAt(to.at)
	default:
		u.SetEndedAt(to.at)
	}
	if ahead {
		u.SetStage(to.stage)
	}
	if to.reason != "" {
		u.SetReason(to.reason)
	}
	if to.confirmation != "" {
		u.SetConfirmation(to.confirmation)
	}
	return u
}

// expireBatch bounds how many commands one round of ExpireCommands ends.
const expireBatch = 500

// ExpireCommands ends the commands of all organizations of which nobody has said in time what came of
// them: UNCONFIRMED. That they were written to a link is not always recorded: the node that did so may
// have died, or lost its database. Whoever knows that one was not written says so (RecordUndelivered).
// It returns how many. Many nodes may call it at once.
func (s *Service) ExpireCommands(ctx context.Context) (int, error) {
	sweeper := actor.System("sweeper")
	due, err := s.db.Command.Query().
		Where(command.EndedAtIsNil(), command.ExpiresAtLTE(s.now().Add(-ConfirmationWindow))).
		Order(command.ByExpiresAt()).Limit(expireBatch).All(actor.NewContext(ctx, sweeper))
	if err != nil {
		return 0, fmt.Errorf("find open commands: %w", err)
	}
	var failed error
	for _, c := range due {
		within := actor.NewContext(ctx, sweeper.Within(c.OrgID))
		_, err := s.advance(within, c.ID,
			step{stage: command.StageUNCONFIRMED, reason: schema.ReasonNotConfirmed})
		failed = errors.Join(failed, err)
	}
	return len(due), failed
}

// Run ends overdue commands, visits and lockdowns, turns the modes of doors, and tells devices of
// them that nobody has told, once a second until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	sweeps.Go(func() { s.everySecond(ctx, "commands that expire", s.ExpireCommands) })
	sweeps.Go(func() { s.everySecond(ctx, "modes of doors", s.TurnModes) })
	sweeps.Go(func() { s.everySecond(ctx, "visits that are over", s.EndVisits) })
	sweeps.Go(func() { s.everySecond(ctx, "lockdowns", s.SweepLockdowns) })
	sweeps.Go(func() { s.everySecond(ctx, "devices to tell", s.TellDevices) })
	sweeps.Go(func() { s.everySecond(ctx, "failed sign-ins", s.TellFailedSignIns) })
	sweeps.Go(func() { s.everySecond(ctx, "codes of the past", s.ForgetSignIns) })
	sweeps.Go(func() { s.everySecond(ctx, "tokens of the past", s.ForgetIssued) })
	return nil
}

// everySecond sweeps until ctx ends. One sweep does not wait for another's.
func (s *Service) everySecond(
	ctx context.Context, what string, sweep func(context.Context) (int, error),
) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "sweep failed", "of", what, "error", err)
		}
	}
}
