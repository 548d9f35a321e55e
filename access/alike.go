package access

import (
	"slices"
	"strings"

	"github.com/cardea/cardea/actor"
)

// Alike returns an actor that stands for everyone who may read exactly what by may, in whatever does not
// ask who they are: for somebody whom the policy lets read nothing less than the whole organization's,
// one with their role and scopes and without a name. Anybody else is like nobody but themselves.
func Alike(by actor.Actor) actor.Actor {
	named := by.Kind == actor.KindUser || by.Kind == actor.KindToken || by.Kind == actor.KindApplication
	if !named || by.Confined || by.Sites != nil || !readsAll(by.Role) {
		return by
	}
	like := actor.Actor{Kind: actor.KindUser, Organization: by.Organization, Role: by.Role}
	if by.Scopes != nil { // none are not the same as all
		like.Scopes = append([]actor.Scope{}, by.Scopes...)
		slices.Sort(like.Scopes)
		like.Scopes = slices.Compact(like.Scopes)
	}
	return like
}

// readsAll says whether a role reads everything of each kind that it reads anything of.
func readsAll(role actor.Role) bool {
	for action, row := range policy {
		if reached := row.of(role); strings.HasPrefix(string(action), "READ_") &&
			reached != all && reached != nothing {
			return false
		}
	}
	return true
}
