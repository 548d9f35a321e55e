package graph

import (
	"context"
	"sync"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

// modesOf decides the modes in force at doors: for those of one list at once, and for doors that many
// watch once for all of them.
func (r *resolver) modesOf(
	ctx context.Context, doors []*ent.Door,
) (map[*ent.Door]*shape.EffectiveMode, error) {
	found := make(map[*ent.Door]*shape.EffectiveMode, len(doors))
	var alone []*ent.Door
	for _, d := range doors {
		shared := r.present.sharedModes(d)
		if shared == nil {
			alone = append(alone, d)
			continue
		}
		modes, err := shared.get(ctx)
		if err != nil {
			return nil, err
		}
		found[d] = effective(modes[d.ID])
	}
	if len(alone) == 0 {
		return found, nil
	}
	modes, err := r.access.Modes(ctx, r.db, alone)
	for _, d := range alone {
		found[d] = effective(modes[d.ID])
	}
	return found, err
}

func effective(m verdict.Mode) *shape.EffectiveMode {
	is := &shape.EffectiveMode{Mode: m.Mode, Cause: m.Cause, Pending: m.Pending, Holiday: m.Holiday}
	if !m.Until.IsZero() {
		is.Until = &m.Until
	}
	return is
}

// overrideOf is what is put over a door's standing rule; nil if that is nothing, or has ended.
func overrideOf(d *ent.Door) *shape.DoorOverride {
	if d.OverrideMode == nil || d.OverrideUntil != nil && !schema.Now().Before(*d.OverrideUntil) {
		return nil
	}
	return &shape.DoorOverride{Mode: *d.OverrideMode, Until: d.OverrideUntil}
}

// sharedModes are the modes in force at doors that were read for many, decided when somebody first
// asks.
type sharedModes struct {
	decide func(context.Context) (map[typeid.Door]verdict.Mode, error)

	mu    sync.Mutex
	modes map[typeid.Door]verdict.Mode
}

func (m *sharedModes) get(ctx context.Context) (map[typeid.Door]verdict.Mode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.modes != nil {
		return m.modes, nil
	}
	modes, err := m.decide(ctx)
	if err == nil {
		m.modes = modes
	}
	return modes, err
}

// share lets the modes of some doors be decided together, until unshare. It is called with mu held.
func (p *present) share(org typeid.Organization, doors []*ent.Door) {
	shared := &sharedModes{decide: func(
		ctx context.Context,
	) (map[typeid.Door]verdict.Mode, error) {
		// Others wait for it, whatever becomes of the one who asks.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		ctx = actor.NewContext(ctx, actor.System("graph").Within(org))
		return p.access.Modes(ctx, p.db, doors)
	}}
	for _, d := range doors {
		p.modes[d] = shared
	}
}

func (p *present) unshare(doors []*ent.Door) {
	for _, d := range doors {
		delete(p.modes, d)
	}
}

// together shares the modes of doors while do runs.
func (p *present) together(org typeid.Organization, doors []*ent.Door, do func()) {
	p.mu.Lock()
	p.share(org, doors)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.unshare(doors)
		p.mu.Unlock()
	}()
	do()
}

func (p *present) sharedModes(d *ent.Door) *sharedModes {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.modes[d]
}
