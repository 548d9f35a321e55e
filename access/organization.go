package access

import (
	"context"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateOrganizationInput names an organization and its first administrator, who is its owner.
type CreateOrganizationInput struct {
	Name       string
	AdminName  string
	AdminEmail string
}

// CreateOrganization makes an organization with its journal and its owner. Only a system actor may.
func (s *Service) CreateOrganization(
	ctx context.Context, in CreateOrganizationInput,
) (*ent.Organization, *ent.User, error) {
	var f faults
	f.text("name", in.Name, 200)
	f.text("adminName", in.AdminName, 200)
	f.email("adminEmail", in.AdminEmail)
	if err := f.err(); err != nil {
		return nil, nil, err
	}
	by, _ := actor.FromContext(ctx)
	if by.Kind != actor.KindSystem {
		return nil, nil, errForbidden
	}
	var org *ent.Organization
	var admin *ent.User
	id := typeid.New[typeid.Organization]()
	ctx = actor.NewContext(ctx, by.Within(id))
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if org, err = tx.Organization.Create().SetID(id).SetName(in.Name).Save(ctx); err != nil {
			return nil, err
		}
		if err := journal.Start(ctx, tx, id); err != nil {
			return nil, err
		}
		admin, err = tx.User.Create().SetName(in.AdminName).SetEmail(normalEmail(in.AdminEmail)).
			SetRole(actor.RoleOwner).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{
			{Type: "organization.created"}, {Type: "user.created", User: admin.ID},
		}, nil
	})
	return org, admin, err
}
