package portal

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

const (
	// patience is how long an unlock's answer waits for the door.
	patience = 3 * time.Second
	// maxDoors is how many doors a page lists.
	maxDoors = 200
)

// rights is what a guest has now.
type rights struct {
	organization *ent.Organization
	doors        []*ent.Door // by name
	sites        []*ent.Site
	keys         []*ent.Key
	outcome      *outcome // of the unlock that was asked about; nil for none
}

// outcome is an unlock and its door; nil if the guest does not see the door any more.
type outcome struct {
	command *ent.Command
	door    *ent.Door
}

func (p *portal) readDoors(ctx context.Context) (r rights, err error) {
	by, _ := actor.FromContext(ctx)
	if err = access.Authorize(ctx, access.ReadOrganization); err != nil {
		return r, err
	}
	if r.organization, err = p.db.Organization.Get(ctx, by.Organization); err != nil {
		return r, fmt.Errorf("load organization: %w", err)
	}
	doors, err := p.access.VisibleDoors(ctx)
	if err != nil {
		return r, err
	}
	r.doors, err = p.db.Door.Query().Where(doors).Order(door.ByName(), door.ByID()).
		Limit(maxDoors).All(ctx)
	if err != nil {
		return r, fmt.Errorf("load doors: %w", err)
	}
	sites, err := p.access.VisibleSites(ctx)
	if err != nil {
		return r, err
	}
	if r.sites, err = p.db.Site.Query().Where(sites).Order(site.ByName()).All(ctx); err != nil {
		return r, fmt.Errorf("load sites: %w", err)
	}
	keys, err := p.access.VisibleKeys(ctx)
	if err != nil {
		return r, err
	}
	if r.keys, err = p.db.Key.Query().Where(keys).Order(key.ByID()).All(ctx); err != nil {
		return r, fmt.Errorf("load keys: %w", err)
	}
	return r, nil
}

// readOutcome returns an unlock that the guest asked for, or nil.
func (p *portal) readOutcome(ctx context.Context, text string) (*outcome, error) {
	id, err := typeid.Parse[typeid.Command](text)
	if err != nil {
		return nil, nil //nolint:nilerr // a page that somebody made up shows none
	}
	c, err := p.readCommand(ctx, id)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	visible, err := p.access.VisibleDoors(ctx)
	if err != nil {
		return nil, err
	}
	d, err := p.db.Door.Query().Where(door.ID(c.DoorID), visible).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("load door: %w", err)
	}
	return &outcome{c, d}, nil
}

func (p *portal) readCommand(ctx context.Context, id typeid.Command) (*ent.Command, error) {
	visible, err := p.access.VisibleCommands(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.db.Command.Query().Where(command.ID(id), visible).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("load command: %w", err)
	}
	return c, nil
}

// unlock asks for an unlock and waits until it has ended, or patience has. A form that is sent
// twice is one unlock.
func (p *portal) unlock(ctx context.Context, where, once string) (*ent.Command, error) {
	id, err := typeid.Parse[typeid.Door](where)
	if err != nil {
		return nil, access.Error{Code: access.CodeNotFound, Message: "no such door"}
	}
	this := once + " " + id.String()
	in := access.UnlockDoorInput{DoorID: id, IdempotencyKey: &this}
	by, _ := actor.FromContext(ctx)
	listening, stop := context.WithTimeout(ctx, patience)
	defer stop()
	sub, deaf := p.hub.Subscribe(listening, by.Organization, stream.Live)
	if deaf == nil {
		defer sub.Close()
	}
	made, err := p.access.UnlockDoor(ctx, in)
	if err != nil {
		return nil, err
	}
	if deaf != nil || made.Command.EndedAt != nil {
		return made.Command, nil
	}
	for e := range sub.Events() {
		if e.Command != made.Command.ID {
			continue
		}
		now, err := p.readCommand(ctx, made.Command.ID)
		if err != nil || now.EndedAt != nil {
			return now, err
		}
	}
	return made.Command, nil
}
