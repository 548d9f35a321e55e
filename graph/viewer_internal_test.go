package graph

import (
	"reflect"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// TestViewersAreToldApart by everything that an actor has, but for how long they are one.
func TestViewersAreToldApart(t *testing.T) {
	t.Parallel()
	of := func(a actor.Actor) viewer { return viewerOf(actor.NewContext(t.Context(), a)) }
	nobody := of(actor.Actor{})
	for field := range reflect.TypeFor[actor.Actor]().Fields() {
		var a actor.Actor
		to := reflect.ValueOf(&a).Elem().FieldByIndex(field.Index)
		switch v := to.Addr().Interface().(type) {
		case *[]typeid.Site:
			*v = []typeid.Site{}
		case *[]actor.Scope:
			*v = []actor.Scope{}
		case *bool:
			*v = true
		case *time.Time:
			*v = time.Unix(1, 0)
		case *typeid.Organization:
			*v = typeid.New[typeid.Organization]()
		case *typeid.User:
			*v = typeid.New[typeid.User]()
		case *typeid.APIToken:
			*v = typeid.New[typeid.APIToken]()
		case *typeid.Application:
			*v = typeid.New[typeid.Application]()
		case *typeid.Grant:
			*v = typeid.New[typeid.Grant]()
		case *typeid.Session:
			*v = typeid.New[typeid.Session]()
		case *typeid.Device:
			*v = typeid.New[typeid.Device]()
		default:
			to.SetString("x")
		}
		if same := of(a) == nobody; same != (field.Name == "Until") {
			t.Errorf("%s: the same viewer: %v", field.Name, same)
		}
	}
	site, other := typeid.New[typeid.Site](), typeid.New[typeid.Site]()
	sites := of(actor.Actor{}.WithSites([]typeid.Site{site}))
	if sites == of(actor.Actor{}.WithSites([]typeid.Site{other})) || sites == of(actor.Actor{}.WithSites(nil)) {
		t.Error("sites make no difference")
	}
	scopes := of(actor.Actor{}.WithScopes([]actor.Scope{"a", "b"}))
	if scopes == of(actor.Actor{}.WithScopes([]actor.Scope{"a"})) {
		t.Error("scopes make no difference")
	}
}
