package graph

import (
	"context"
	"fmt"
	"net/netip"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// viewer is the actor. Devices and parts of the system do not ask the graph.
func (r *resolver) viewer(ctx context.Context) (*actor.Actor, error) {
	by, ok := actor.FromContext(ctx)
	if !ok || by.User.IsZero() {
		return nil, rule.ErrNoActor
	}
	return &by, nil
}

func (r *resolver) ownOrganization(ctx context.Context) (*ent.Organization, error) {
	id, err := organization(ctx)
	if err != nil {
		return nil, err
	}
	return require(ctx, id, loadersOf(ctx).organizations)
}

// node returns any noun that implements Node; nil if there is none.
func (r *resolver) node(ctx context.Context, id typeid.Any) (shape.Node, error) {
	found, err := r.nodes(ctx, "id", []*typeid.Any{&id})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// nodes returns nouns in the order asked for, those of one kind with one statement.
func (r *resolver) nodes(
	ctx context.Context, field string, ids []*typeid.Any,
) ([]shape.Node, error) {
	if len(ids) > maxPage {
		return nil, badInput(field, fmt.Sprintf("at most %d", maxPage))
	}
	kinds := map[string][]typeid.Any{}
	for _, id := range ids {
		if finders[id.Prefix()] == nil {
			return nil, badInput(field, "no noun has identifiers of this prefix")
		}
		kinds[id.Prefix()] = append(kinds[id.Prefix()], *id)
	}
	found := make(map[typeid.Any]shape.Node, len(ids))
	for prefix, same := range kinds {
		if err := finders[prefix](ctx, loadersOf(ctx), same, found); err != nil {
			return nil, err
		}
	}
	ordered := make([]shape.Node, len(ids))
	for i, id := range ids {
		ordered[i] = found[*id]
	}
	return ordered, nil
}

// finder puts the nouns of one kind that identifiers name into found.
type finder func(
	ctx context.Context, l *loaders, ids []typeid.Any, found map[typeid.Any]shape.Node,
) error

// finders are the kinds of nouns, by the prefix of their identifiers.
var finders = map[string]finder{
	typeid.Organization{}.Prefix(): find(typeid.As[typeid.Organization],
		func(l *loaders) *loader[typeid.Organization, *ent.Organization] { return l.organizations }),
	typeid.Site{}.Prefix(): find(typeid.As[typeid.Site],
		func(l *loaders) *loader[typeid.Site, *ent.Site] { return l.sites }),
	typeid.Door{}.Prefix(): find(typeid.As[typeid.Door],
		func(l *loaders) *loader[typeid.Door, *ent.Door] { return l.doors }),
	typeid.Device{}.Prefix(): find(typeid.As[typeid.Device],
		func(l *loaders) *loader[typeid.Device, *ent.Device] { return l.devices }),
	typeid.User{}.Prefix(): find(typeid.As[typeid.User],
		func(l *loaders) *loader[typeid.User, *ent.User] { return l.users }),
	typeid.Key{}.Prefix(): find(typeid.As[typeid.Key],
		func(l *loaders) *loader[typeid.Key, *ent.Key] { return l.keys }),
	typeid.Schedule{}.Prefix(): find(typeid.As[typeid.Schedule],
		func(l *loaders) *loader[typeid.Schedule, *ent.Schedule] { return l.schedules }),
	typeid.HolidayCalendar{}.Prefix(): find(typeid.As[typeid.HolidayCalendar],
		func(l *loaders) *loader[typeid.HolidayCalendar, *ent.HolidayCalendar] {
			return l.calendars
		}),
	typeid.UserGroup{}.Prefix(): find(typeid.As[typeid.UserGroup],
		func(l *loaders) *loader[typeid.UserGroup, *ent.UserGroup] { return l.userGroups }),
	typeid.DoorGroup{}.Prefix(): find(typeid.As[typeid.DoorGroup],
		func(l *loaders) *loader[typeid.DoorGroup, *ent.DoorGroup] { return l.doorGroups }),
	typeid.Credential{}.Prefix(): find(typeid.As[typeid.Credential],
		func(l *loaders) *loader[typeid.Credential, *ent.Credential] { return l.credentials }),
	typeid.Visit{}.Prefix(): find(typeid.As[typeid.Visit],
		func(l *loaders) *loader[typeid.Visit, *ent.Visit] { return l.visits }),
	typeid.APIToken{}.Prefix(): find(typeid.As[typeid.APIToken],
		func(l *loaders) *loader[typeid.APIToken, *ent.APIToken] { return l.tokens }),
	typeid.Session{}.Prefix(): find(typeid.As[typeid.Session],
		func(l *loaders) *loader[typeid.Session, *ent.Session] { return l.sessions }),
	typeid.Passkey{}.Prefix(): find(typeid.As[typeid.Passkey],
		func(l *loaders) *loader[typeid.Passkey, *ent.Passkey] { return l.passkeys }),
	typeid.Application{}.Prefix(): find(typeid.As[typeid.Application],
		func(l *loaders) *loader[typeid.Application, *ent.Application] { return l.applications }),
	typeid.Grant{}.Prefix(): find(typeid.As[typeid.Grant],
		func(l *loaders) *loader[typeid.Grant, *ent.Grant] { return l.grants }),
	typeid.IdentityProvider{}.Prefix(): find(typeid.As[typeid.IdentityProvider],
		func(l *loaders) *loader[typeid.IdentityProvider, *ent.IdentityProvider] { return l.providers }),
	typeid.Identity{}.Prefix(): find(typeid.As[typeid.Identity],
		func(l *loaders) *loader[typeid.Identity, *ent.Identity] { return l.identities }),
	typeid.LockdownPlan{}.Prefix(): find(typeid.As[typeid.LockdownPlan],
		func(l *loaders) *loader[typeid.LockdownPlan, *ent.LockdownPlan] { return l.plans }),
	typeid.Lockdown{}.Prefix(): find(typeid.As[typeid.Lockdown],
		func(l *loaders) *loader[typeid.Lockdown, *ent.Lockdown] { return l.lockdowns }),
	typeid.Command{}.Prefix(): find(typeid.As[typeid.Command],
		func(l *loaders) *loader[typeid.Command, *ent.Command] { return l.commands }),
	typeid.Event{}.Prefix(): find(typeid.As[typeid.Event],
		func(l *loaders) *loader[typeid.Event, *journal.Event] { return l.events }),
	typeid.Area{}.Prefix(): find(typeid.As[typeid.Area],
		func(l *loaders) *loader[typeid.Area, *ent.Area] { return l.areas }),
	typeid.WebhookEndpoint{}.Prefix(): find(typeid.As[typeid.WebhookEndpoint],
		func(l *loaders) *loader[typeid.WebhookEndpoint, *ent.WebhookEndpoint] { return l.endpoints }),
	typeid.WebhookDelivery{}.Prefix(): find(typeid.As[typeid.WebhookDelivery],
		func(l *loaders) *loader[typeid.WebhookDelivery, *ent.WebhookDelivery] {
			return l.deliveries
		}),
}

func find[K comparable, T any](
	as func(typeid.Any) (K, error), of func(*loaders) *loader[K, *T],
) finder {
	return func(
		ctx context.Context, l *loaders, ids []typeid.Any, found map[typeid.Any]shape.Node,
	) error {
		keys := make([]K, len(ids))
		for i, id := range ids {
			keys[i], _ = as(id) // of this prefix, or it would not be here
		}
		values, err := of(l).loadAll(ctx, keys)
		for i, id := range ids {
			if value := values[keys[i]]; value != nil { // a nil *T in an interface is not nil
				found[id] = value
			}
		}
		return err
	}
}

var eventTypes = func() []*journal.Type {
	types := make([]*journal.Type, len(journal.Types))
	for i := range journal.Types {
		types[i] = &journal.Types[i]
	}
	return types
}()

// personBehind is who acts, or for whom; nil if that is nobody, or gone.
func (r *resolver) personBehind(ctx context.Context, a *journal.Actor) (*ent.User, error) {
	switch a.Kind {
	case actor.KindUser:
		id, err := typeid.Parse[typeid.User](a.ID)
		if err != nil {
			return nil, err
		}
		return loadersOf(ctx).users.load(ctx, id)
	case actor.KindToken:
		token, err := tokenOf(ctx, a)
		if token == nil {
			return nil, err
		}
		return loadersOf(ctx).users.load(ctx, token.UserID)
	case actor.KindApplication:
		one, err := grantOf(ctx, a)
		if one == nil {
			return nil, err
		}
		return loadersOf(ctx).users.load(ctx, one.UserID)
	case actor.KindDevice, actor.KindSystem:
	}
	return nil, nil
}

// nameOf is what to call an actor; nil once they are gone.
func (r *resolver) nameOf(ctx context.Context, a *journal.Actor) (*string, error) {
	switch a.Kind {
	case actor.KindUser:
		person, err := r.personBehind(ctx, a)
		if person == nil {
			return nil, err
		}
		return &person.Name, nil
	case actor.KindToken:
		token, err := tokenOf(ctx, a)
		if token == nil {
			return nil, err
		}
		return &token.Name, nil
	case actor.KindApplication:
		app, err := r.applicationBehind(ctx, a)
		if app == nil {
			return nil, err
		}
		return &app.Name, nil
	case actor.KindDevice:
		id, err := typeid.Parse[typeid.Device](a.ID)
		if err != nil {
			return nil, err
		}
		device, err := loadersOf(ctx).devices.load(ctx, id)
		if device == nil {
			return nil, err
		}
		return &device.Name, nil
	case actor.KindSystem:
	}
	return &a.ID, nil
}

// wasErased says whether an actor is a person who was erased.
func (r *resolver) wasErased(ctx context.Context, a *journal.Actor) (bool, error) {
	if a.Kind != actor.KindUser {
		return false, nil
	}
	id, err := typeid.Parse[typeid.User](a.ID)
	if err != nil {
		return false, err
	}
	return loadersOf(ctx).erased.load(ctx, id)
}

// erasedUsers asks the journal. Whoever sees that somebody acted may know that they were erased.
func (r *resolver) erasedUsers(
	ctx context.Context, ids []typeid.User,
) (map[typeid.User]bool, error) {
	rows, err := r.db.Event.Query().Where(event.Type("user.erased")).
		Where(func(s *sql.Selector) { s.Where(isAny(s.C(event.FieldUserID), ids)) }).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("look who was erased: %w", err)
	}
	erased := make(map[typeid.User]bool, len(rows))
	for _, row := range rows {
		erased[*row.UserID] = true
	}
	return erased, nil
}

func grantOf(ctx context.Context, a *journal.Actor) (*ent.Grant, error) {
	id, err := typeid.Parse[typeid.Grant](a.ID)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).grants.load(ctx, id)
}

// applicationBehind is which one acts; nil if none does. Where only the grant was kept, it tells.
func (r *resolver) applicationBehind(
	ctx context.Context, a *journal.Actor,
) (*ent.Application, error) {
	id := a.Application
	if a.Kind == actor.KindApplication && id.IsZero() {
		one, err := grantOf(ctx, a)
		if one == nil {
			return nil, err
		}
		id = one.ApplicationID
	}
	return loadNonZero(ctx, id, loadersOf(ctx).applications)
}

// actedFor is whom an application acts for by itself; nil for nobody.
func (r *resolver) actedFor(ctx context.Context, id typeid.Application) (*ent.User, error) {
	own, err := loadersOf(ctx).ownGrants.load(ctx, id)
	if own == nil {
		return nil, err
	}
	return loadersOf(ctx).users.load(ctx, own.UserID)
}

func tokenOf(ctx context.Context, a *journal.Actor) (*ent.APIToken, error) {
	id, err := typeid.Parse[typeid.APIToken](a.ID)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).tokens.load(ctx, id)
}

// duressOf says whether a credential tells of duress; nil to whoever may not know.
func (r *resolver) duressOf(ctx context.Context, c *ent.Credential) *bool {
	if !r.access.SeesDuress(ctx) {
		return nil
	}
	return &c.Duress
}

// keysOf is a page of a person's keys.
func (r *resolver) keysOf(
	ctx context.Context, who typeid.User, status *access.KeyStatus, p page,
) (*shape.KeyConnection, error) {
	asked := nested[typeid.User]{parent: who, page: p, filter: string(value(status))}
	return loadersOf(ctx).userKeys.load(ctx, asked)
}

// eventsOf is a page of what happened at a door.
func (r *resolver) eventsOf(
	ctx context.Context, where typeid.Door, filter *shape.EventFilter, p page,
) (*shape.EventConnection, error) {
	key := ""
	if filter != nil {
		f, err := checkFilter(filter)
		if err != nil {
			return nil, err
		}
		if key, err = filterKey(f); err != nil {
			return nil, err
		}
	}
	asked := nested[typeid.Door]{parent: where, page: p, filter: key, columns: eventReading.forList(ctx)}
	return loadersOf(ctx).doorEvents.load(ctx, asked)
}

// networks is addresses and networks as text; nil for nil.
func networks(prefixes []netip.Prefix) (texts []string) {
	for _, p := range prefixes {
		if p.IsSingleIP() {
			texts = append(texts, p.Addr().String())
		} else {
			texts = append(texts, p.String())
		}
	}
	return texts
}

// note is why the right to operate doors was invoked; nil for who may neither do so nor see all that
// was ordered.
func note(ctx context.Context, c *ent.Command) *string {
	if access.Authorize(ctx, access.OperateDoors) != nil &&
		!access.Everywhere(ctx, access.ReadCommands) {
		return nil
	}
	return c.Note
}
