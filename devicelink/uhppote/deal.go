package uhppote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cardea/cardea/devicelink"
)

// dealing is what is known of a controller's cards. Agent.mu guards what others read: list, owners.
type dealing struct {
	list   *List
	fresh  bool            // the list is not dealt yet
	owners map[uint32]Card // of all lists so far: a card that is refused may be of an older one
	cards  map[uint32]card // that the controller has; nil: not known
	there  map[byte]profile
}

// Heed has the controller decide by a list from now on, unless it has a newer one: in turn, cards that
// are not in it go, then come its times, and its cards at last.
func (a *Agent) Heed(list List) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deals.list != nil && list.Sequence < a.deals.list.Sequence {
		return
	}
	a.deals.list, a.deals.fresh = &list, true
	a.wake()
}

// deal brings the controller's cards to what the list says. It is done again from the start if something
// comes between, and gives way to a door that is to be controlled otherwise.
func (a *Agent) deal(ctx context.Context) error {
	a.mu.Lock()
	list, fresh := a.deals.list, a.deals.fresh
	a.mu.Unlock()
	if list == nil || !fresh {
		return nil
	}
	if a.deals.cards == nil {
		if err := a.survey(ctx); err != nil {
			return err
		}
	}
	p := compile(*list, doorsOf(a.config.Serial), a.deals.cards, a.deals.there)
	a.mu.Lock()
	if a.deals.owners == nil {
		a.deals.owners = map[uint32]Card{}
	}
	maps.Copy(a.deals.owners, p.owners)
	a.mu.Unlock()
	done, err := a.carry(ctx, p)
	if err != nil || !done {
		a.wake()
		return err
	}
	if p.short && len(p.profiles) > 0 {
		a.wake() // some are free now
		return nil
	}
	return a.dealt(list, p)
}

// survey reads what the controller has.
func (a *Agent) survey(ctx context.Context) error {
	cards, there := map[uint32]card{}, map[byte]profile{}
	count, err := a.controller.cards(ctx)
	if err != nil {
		return err
	}
	for index, found := uint32(1), uint32(0); found < count && index <= 2*count+100; index++ {
		one, err := a.controller.cardAt(ctx, index)
		if err != nil {
			return fmt.Errorf("read card %d: %w", index, err)
		}
		if one.Number != 0 && one.Number != deletedCard {
			cards[one.Number] = one
			found++
		}
	}
	for id := byte(firstProfile); id <= lastProfile; id++ {
		p, err := a.controller.profile(ctx, id)
		if err != nil {
			return fmt.Errorf("read profile %d: %w", id, err)
		}
		if p.ID == id {
			there[id] = p
		}
	}
	a.deals.cards, a.deals.there = cards, there
	return nil
}

// carry carries a plan out, and says whether all of it is done. Who loses access loses it first.
func (a *Agent) carry(ctx context.Context, p plan) (done bool, err error) {
	for _, n := range slices.Sorted(maps.Keys(a.deals.cards)) {
		if _, stays := p.cards[n]; stays {
			continue
		}
		if err := a.controller.deleteCard(ctx, n); err != nil && !errors.Is(err, errRefused) {
			return false, fmt.Errorf("delete card: %w", err)
		}
		delete(a.deals.cards, n)
		if a.wanted() {
			return false, nil
		}
	}
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(p.profiles))) {
		if err := a.controller.agree(ctx, setProfile(a.config.Serial, p.profiles[id])); err != nil {
			return false, fmt.Errorf("set profile %d: %w", id, err)
		}
		a.deals.there[id] = p.profiles[id]
		if a.wanted() {
			return false, nil
		}
	}
	return a.put(ctx, p)
}

// put gives the controller the cards that it has not, or otherwise, and reads each back. Those that it
// has otherwise come first: one of them may have lost a door.
func (a *Agent) put(ctx context.Context, p plan) (done bool, err error) {
	var changed, added []uint32
	for _, n := range slices.Sorted(maps.Keys(p.cards)) {
		is, there := a.deals.cards[n]
		switch {
		case !there:
			added = append(added, n)
		case is != p.cards[n]:
			changed = append(changed, n)
		}
	}
	for _, n := range append(changed, added...) {
		if err := a.controller.agree(ctx, putCard(a.config.Serial, p.cards[n])); err != nil {
			return false, fmt.Errorf("put card: %w", err)
		}
		is, err := a.controller.card(ctx, n)
		if err != nil {
			return false, fmt.Errorf("read card back: %w", err)
		}
		if is != p.cards[n] {
			return false, fmt.Errorf("put card: %w", errRefused)
		}
		a.deals.cards[n] = is
		if a.wanted() {
			return false, nil
		}
	}
	return true, nil
}

// wanted says that a door is to be controlled otherwise, which must not wait.
func (a *Agent) wanted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.doors {
		if o.wanted() != o.applied {
			return true
		}
	}
	return false
}

// dealt tells which list the controller has now, and what it cannot be told.
func (a *Agent) dealt(list *List, p plan) error {
	losses := p.losses
	if losses == nil {
		losses = []Loss{}
	}
	data, err := json.Marshal(map[string]any{
		"sequence": list.Sequence, "notAfter": list.NotAfter.UTC(), "cards": len(p.cards), "losses": losses,
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deals.list == list {
		a.deals.fresh = false
	}
	return a.log.Append(0, &devicelink.Report{At: a.now(), Event: "device.list_applied", Data: data})
}
