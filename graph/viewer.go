package graph

import (
	"context"
	"strings"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// viewer is equal for those who may see the same, because they are the same: what they ask for at the
// same time is read for all of them by one statement.
type viewer struct {
	kind          actor.Kind
	organization  typeid.Organization
	user          typeid.User
	role          actor.Role
	token         typeid.APIToken
	application   typeid.Application
	grant         typeid.Grant
	session       typeid.Session
	device        typeid.Device
	part          string
	confined      bool
	sites, scopes string
}

// viewerOf is the context's actor, until whenever.
func viewerOf(ctx context.Context) viewer {
	by, _ := actor.FromContext(ctx)
	v := viewer{
		kind: by.Kind, organization: by.Organization, user: by.User, role: by.Role, token: by.Token,
		application: by.Application, grant: by.Grant, session: by.Session, device: by.Device,
		part: by.Part, confined: by.Confined,
	}
	if by.Sites != nil { // none are not the same as nil
		var sites strings.Builder
		for _, id := range by.Sites {
			raw := id.UUID()
			sites.Write(raw[:])
		}
		v.sites = "of " + sites.String()
	}
	if by.Scopes != nil {
		var scopes strings.Builder
		for _, scope := range by.Scopes {
			scopes.WriteString(string(scope) + " ")
		}
		v.scopes = "of " + scopes.String()
	}
	return v
}
