package access

import (
	"context"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/organization"
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

// UpdateOrganizationInput changes what it holds and leaves the rest.
type UpdateOrganizationInput struct {
	Name                *string
	AccessRetentionDays *int // how long events of access are kept
	AdminRetentionDays  *int // how long all others are
}

// UpdateOrganizationPayload holds the organization as it is now.
type UpdateOrganizationPayload struct{ Organization *ent.Organization }

// How many days the journal may be kept.
const (
	MinRetentionDays = 7
	MaxRetentionDays = 3650
)

// UpdateOrganization changes the actor's organization. Events that are past a shorter retention go within
// minutes, for good.
func (s *Service) UpdateOrganization(
	ctx context.Context, in UpdateOrganizationInput,
) (*UpdateOrganizationPayload, error) {
	if err := Authorize(ctx, WriteOrganization); err != nil {
		return nil, err
	}
	var f faults
	f.optionalText("name", in.Name, 200)
	f.within("accessRetentionDays", in.AccessRetentionDays, MinRetentionDays, MaxRetentionDays)
	f.within("adminRetentionDays", in.AdminRetentionDays, MinRetentionDays, MaxRetentionDays)
	if err := f.err(); err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	var org *ent.Organization
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		before, err := tx.Organization.Query().Where(organization.ID(by.Organization), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "organization", "")
		}
		update := tx.Organization.UpdateOne(before).SetNillableName(in.Name).
			SetNillableAccessRetentionDays(in.AccessRetentionDays).
			SetNillableAdminRetentionDays(in.AdminRetentionDays)
		facts := map[string]any{"changed": changes(update.Mutation())}
		if org, err = update.Save(ctx); err != nil {
			return nil, err
		}
		if org.AccessRetentionDays != before.AccessRetentionDays {
			facts["accessRetentionDays"] = org.AccessRetentionDays
		}
		if org.AdminRetentionDays != before.AdminRetentionDays {
			facts["adminRetentionDays"] = org.AdminRetentionDays
		}
		return []journal.Event{{Type: "organization.updated", Data: dataOf(facts)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateOrganizationPayload{org}, nil
}
