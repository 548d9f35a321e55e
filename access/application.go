package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateApplicationInput describes an application that people may let act for them.
type CreateApplicationInput struct {
	Name         string
	Type         application.Type
	HomepageURL  *string
	RedirectURIs []string
	Scopes       []actor.Scope
	// ActsForID is whom it acts for by itself, with client credentials; nil: for nobody.
	ActsForID *typeid.User
}

// CreateApplicationPayload holds the application and its secret, which is shown this once; "" for one
// that is PUBLIC.
type CreateApplicationPayload struct {
	Application *ent.Application
	Secret      string
}

// CreateApplication makes an application. Whoever lets it act for somebody by itself has to be allowed to
// act for them, through a session or a token that is not narrowed.
func (s *Service) CreateApplication(
	ctx context.Context, in CreateApplicationInput,
) (*CreateApplicationPayload, error) {
	if err := Authorize(ctx, WriteApplications); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 100)
	f.homepage(in.HomepageURL)
	f.redirects(in.RedirectURIs, in.Type)
	f.askable(in.Scopes)
	f.byItself(in.ActsForID, in.Type)
	if err := f.err(); err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	secret := ""
	var app *ent.Application
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		create := tx.Application.Create().SetName(in.Name).SetType(in.Type).
			SetNillableHomepageURL(in.HomepageURL).SetRedirectUris(onceEach(in.RedirectURIs)).
			SetScopes(onceEach(in.Scopes)).SetNillableCreatedByID(orNil(by.User))
		if in.Type == application.TypeCONFIDENTIAL {
			secret = newSecret(applicationPrefix)
			create.SetHash(hashSecret(secret))
		}
		if app, err = create.Save(ctx); err != nil {
			return nil, err
		}
		events = append(events, applicationEvent("application.created", app.ID, nil))
		if in.ActsForID != nil {
			given, err := s.letActFor(ctx, tx, app, *in.ActsForID)
			return append(events, given...), err
		}
		return events, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateApplicationPayload{app, secret}, nil
}

// UpdateApplicationInput changes what it holds and leaves the rest.
type UpdateApplicationInput struct {
	ID               typeid.Application
	Name             *string
	HomepageURL      *string
	ClearHomepageURL bool
	RedirectURIs     []string      // nil: unchanged
	Scopes           []actor.Scope // nil: unchanged
	Disabled         *bool
	ActsForID        *typeid.User
	ClearActsFor     bool
}

// UpdateApplicationPayload holds the application as it is now.
type UpdateApplicationPayload struct{ Application *ent.Application }

// UpdateApplication changes an application. Access tokens of one that is disabled, or that may ask for
// less than before, are void at once; where it is enabled, it gets others by its refresh tokens.
func (s *Service) UpdateApplication(
	ctx context.Context, in UpdateApplicationInput,
) (*UpdateApplicationPayload, error) {
	if err := Authorize(ctx, WriteApplications); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var app *ent.Application
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		before, err := s.lockApplication(ctx, tx, in.ID)
		if err != nil {
			return nil, err
		}
		if in.Scopes != nil {
			if err := s.mayUse(ctx, tx, before); err != nil {
				return nil, err
			}
		}
		if err := in.checkType(before.Type); err != nil {
			return nil, err
		}
		update := in.apply(tx.Application.UpdateOne(before), s.now())
		changed := changes(update.Mutation())
		if app, err = update.Save(ctx); err != nil {
			return nil, err
		}
		if app.DisabledAt != nil || !subset(before.Scopes, app.Scopes) {
			if err := voidTokens(ctx, tx, s.now(), ofApplication(app.ID)); err != nil {
				return nil, err
			}
		}
		events = append(events, applicationEvent("application.updated", app.ID,
			map[string]any{"changed": changed}))
		switch {
		case in.ActsForID != nil:
			given, err := s.letActFor(ctx, tx, app, *in.ActsForID)
			return append(events, given...), err
		case in.ClearActsFor:
			ended, err := s.endGrants(ctx, tx, grant.RevokedReasonREQUESTED,
				grant.ApplicationID(app.ID), grant.ByItself(true))
			return append(events, ended...), err
		}
		return events, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateApplicationPayload{app}, nil
}

func (in UpdateApplicationInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 100)
	f.homepage(in.HomepageURL)
	f.notBoth("homepageUrl", in.HomepageURL != nil, in.ClearHomepageURL)
	f.notBoth("actsForId", in.ActsForID != nil, in.ClearActsFor)
	if in.Scopes != nil {
		f.askable(in.Scopes)
	}
	return f.err()
}

// checkType checks what depends on the type.
func (in UpdateApplicationInput) checkType(is application.Type) error {
	var f faults
	if in.RedirectURIs != nil {
		f.redirects(in.RedirectURIs, is)
	}
	f.byItself(in.ActsForID, is)
	return f.err()
}

func (in UpdateApplicationInput) apply(
	update *ent.ApplicationUpdateOne, now time.Time,
) *ent.ApplicationUpdateOne {
	update.SetNillableName(in.Name).SetNillableHomepageURL(in.HomepageURL)
	if in.ClearHomepageURL {
		update.ClearHomepageURL()
	}
	if in.RedirectURIs != nil {
		update.SetRedirectUris(onceEach(in.RedirectURIs))
	}
	if in.Scopes != nil {
		update.SetScopes(onceEach(in.Scopes))
	}
	switch {
	case in.Disabled == nil:
	case *in.Disabled:
		update.SetDisabledAt(now)
	default:
		update.ClearDisabledAt()
	}
	return update
}

// RotateApplicationSecretInput names an application.
type RotateApplicationSecretInput struct {
	ID             typeid.Application
	OverlapSeconds *int // how long the old secret is good too, at most 7 days; nil: not at all
}

// RotateApplicationSecretPayload holds the application and its new secret, which is shown this once.
type RotateApplicationSecretPayload struct {
	Application *ent.Application
	Secret      string
}

// RotateApplicationSecret gives an application another secret. The old one is good until the overlap
// ends; one from before that is void at once.
func (s *Service) RotateApplicationSecret(
	ctx context.Context, in RotateApplicationSecretInput,
) (*RotateApplicationSecretPayload, error) {
	if err := Authorize(ctx, WriteApplications); err != nil {
		return nil, err
	}
	var f faults
	f.within("overlapSeconds", in.OverlapSeconds, 0, int(maxOverlap/time.Second))
	if err := f.err(); err != nil {
		return nil, err
	}
	secret := newSecret(applicationPrefix)
	until := s.now().Add(time.Duration(orZero(in.OverlapSeconds)) * time.Second)
	var app *ent.Application
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		before, err := s.lockApplication(ctx, tx, in.ID)
		if err != nil {
			return nil, err
		}
		if before.Type == application.TypePUBLIC {
			return nil, Error{CodeConflict, "a PUBLIC application has no secret", "id"}
		}
		if err := s.mayUse(ctx, tx, before); err != nil {
			return nil, err
		}
		app, err = tx.Application.UpdateOne(before).SetPreviousHash(orZero(before.Hash)).
			SetPreviousUntil(until).SetHash(hashSecret(secret)).Save(ctx)
		return []journal.Event{applicationEvent("application.secret_rotated", in.ID,
			map[string]any{"until": until})}, err
	})
	if err != nil {
		return nil, err
	}
	return &RotateApplicationSecretPayload{app, secret}, nil
}

// DeleteApplicationInput names an application.
type DeleteApplicationInput struct{ ID typeid.Application }

// DeleteApplicationPayload names the application that was.
type DeleteApplicationPayload struct{ DeletedID typeid.Application }

// DeleteApplication deletes an application, and all that it may do ends.
func (s *Service) DeleteApplication(
	ctx context.Context, in DeleteApplicationInput,
) (*DeleteApplicationPayload, error) {
	if err := Authorize(ctx, WriteApplications); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		app, err := tx.Application.Query().Where(application.ID(in.ID)).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "application", "id")
		}
		events, err := s.endGrants(ctx, tx, grant.RevokedReasonAPPLICATION_DELETED,
			grant.ApplicationID(app.ID))
		if err != nil {
			return nil, err
		}
		if err := tx.Application.DeleteOne(app).Exec(ctx); err != nil {
			return nil, fmt.Errorf("delete application: %w", err)
		}
		return append(events, applicationEvent("application.deleted", app.ID, nil)), nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteApplicationPayload{in.ID}, nil
}

// lockApplication returns an application that is about to change.
func (s *Service) lockApplication(
	ctx context.Context, tx *ent.Tx, id typeid.Application,
) (*ent.Application, error) {
	app, err := tx.Application.Query().Where(application.ID(id), forChange).Only(ctx)
	return app, found(err, "application", "id")
}

func applicationEvent(
	kind string, id typeid.Application, also map[string]any,
) journal.Event {
	facts := map[string]any{"applicationId": id}
	maps.Copy(facts, also)
	return journal.Event{Type: kind, Data: dataOf(facts)}
}

// kept are the scopes that an application may never ask for: what is made by them would outlive the
// grant, or make others.
var kept = []actor.Scope{"applications:write", "tokens:write"}

// ApplicationScopes are those that an application may ask for, by name.
func ApplicationScopes() []actor.Scope {
	return slices.DeleteFunc(Scopes(), func(s actor.Scope) bool { return slices.Contains(kept, s) })
}
