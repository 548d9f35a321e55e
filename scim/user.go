package scim

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// userAttributes are those that people can be filtered by. Each has one address.
var userAttributes = attributes{
	one: map[string]attribute{
		"id":                identifier(user.FieldID, typeid.Parse[typeid.User]),
		"externalid":        exact(user.FieldExternalID),
		"username":          lowered(user.FieldEmail),
		"displayname":       text(user.FieldName),
		"name.formatted":    text(user.FieldName),
		"name.givenname":    text(user.FieldGivenName),
		"name.familyname":   text(user.FieldFamilyName),
		"active":            flag(user.FieldStatus, user.StatusACTIVE),
		"schemas":           constant(userSchema),
		"meta.resourcetype": constant("User"),
		"meta.created":      instant(user.FieldCreatedAt),
		"meta.lastmodified": instant(user.FieldUpdatedAt),
	},
	many: map[string]values{"emails": {
		parts: attributes{one: map[string]attribute{
			"value": lowered(user.FieldEmail), "type": constant("work"), "primary": constant(true),
		}},
		some: func(one condition) condition { return one },
	}},
}

// readUsers are the people whom a directory can know: guests have no address.
func (d *directory) readUsers(r *http.Request) (*ent.UserQuery, error) {
	if err := access.AuthorizeAll(r.Context(), access.ReadUsers); err != nil {
		return nil, err
	}
	visible, err := d.access.VisibleUsers(r.Context())
	return d.db.User.Query().Where(visible, user.EmailNotNil()), err
}

func (d *directory) listUsers(r *http.Request) (*reply, error) {
	q, err := d.readUsers(r)
	if err != nil {
		return nil, err
	}
	asked, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	if asked.filter != nil {
		where, err := userAttributes.where(asked.filter)
		if err != nil {
			return nil, err
		}
		q.Where(selecting(where))
	}
	total, err := q.Clone().Count(r.Context())
	if err != nil {
		return nil, fmt.Errorf("count people: %w", err)
	}
	people, err := q.Order(user.ByID()).Where(asked.page).All(r.Context())
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	items := make([]resource, len(people))
	for i, u := range people {
		items[i] = d.user(u)
	}
	return asked.answer(total, items), nil
}

func (d *directory) getUser(r *http.Request) (*reply, error) {
	q, err := d.readUsers(r)
	if err != nil {
		return nil, err
	}
	id, err := userID(r)
	if err != nil {
		return nil, err
	}
	u, err := q.Where(user.ID(id)).Only(r.Context())
	if ent.IsNotFound(err) {
		return nil, notFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read person: %w", err)
	}
	return d.showUser(r, http.StatusOK, u), nil
}

func (d *directory) createUser(r *http.Request) (*reply, error) {
	var body userBody
	if err := readBody(r, userSchema, &body); err != nil {
		return nil, err
	}
	p, err := body.draft().whole(true)
	if err != nil {
		return nil, err
	}
	u, err := d.access.ProvisionUser(r.Context(), p)
	if err != nil {
		return nil, err
	}
	made := d.showUser(r, http.StatusCreated, u)
	made.location = d.at("/Users/", u.ID)
	return made, nil
}

func (d *directory) putUser(r *http.Request) (*reply, error) {
	var body userBody
	if err := readBody(r, userSchema, &body); err != nil {
		return nil, err
	}
	return d.editUser(r, func(u *ent.User) (access.Provisioned, error) {
		return body.draft().whole(u.Status == user.StatusACTIVE)
	})
}

func (d *directory) patchUser(r *http.Request) (*reply, error) {
	operations, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	return d.editUser(r, func(u *ent.User) (access.Provisioned, error) {
		before := draftOf(u)
		after := before
		if err := patch(operations, after.apply); err != nil {
			return access.Provisioned{}, err
		}
		return after.since(before)
	})
}

func (d *directory) editUser(
	r *http.Request, edit func(*ent.User) (access.Provisioned, error),
) (*reply, error) {
	id, err := userID(r)
	if err != nil {
		return nil, err
	}
	u, err := d.access.ReprovisionUser(r.Context(), id, func(u *ent.User) (access.Provisioned, error) {
		if err := unchanged(r, userVersion(u)); err != nil {
			return access.Provisioned{}, err
		}
		return edit(u)
	})
	if err != nil {
		return nil, err
	}
	return d.showUser(r, http.StatusOK, u), nil
}

func (d *directory) deleteUser(r *http.Request) (*reply, error) {
	id, err := userID(r)
	if err != nil {
		return nil, err
	}
	err = d.access.DeprovisionUser(r.Context(), id, func(u *ent.User) error {
		return unchanged(r, userVersion(u))
	})
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}

func userID(r *http.Request) (typeid.User, error) {
	id, err := typeid.Parse[typeid.User](r.PathValue("id"))
	if err != nil {
		err = notFound()
	}
	return id, err
}

func userVersion(u *ent.User) string { return versionOf(u.UpdatedAt) }

func (d *directory) showUser(r *http.Request, status int, u *ent.User) *reply {
	shown := d.user(u)
	shapeAsked(r).cut(shown)
	return &reply{status: status, body: shown, version: userVersion(u)}
}

// user is a person as a directory sees them.
func (d *directory) user(u *ent.User) resource {
	name := resource{"formatted": u.Name}
	shown := resource{
		"schemas": []string{userSchema}, "id": u.ID, "userName": u.Email, "displayName": u.Name,
		"name": name, "active": u.Status == user.StatusACTIVE,
		"emails": []resource{{"value": u.Email, "type": "work", "primary": true}},
		"meta":   metaOf("User", u.CreatedAt, u.UpdatedAt, userVersion(u), d.at("/Users/", u.ID)),
	}
	for part, value := range map[string]*string{"givenName": u.GivenName, "familyName": u.FamilyName} {
		if value != nil {
			name[part] = *value
		}
	}
	if u.ExternalID != nil {
		shown["externalId"] = *u.ExternalID
	}
	return shown
}

func (d *directory) at(path string, id fmt.Stringer) string {
	return d.publicURL() + Path + path + id.String()
}

// userBody is a person as a directory sends them. What it says beyond this is let be.
type userBody struct {
	ExternalID  *string
	UserName    *string
	DisplayName *string
	Name        struct{ Formatted, GivenName, FamilyName *string }
	Active      *truth
	Emails      []address
}

// address is an e-mail address of several.
type address struct {
	Value   string
	Type    string
	Primary truth
}

// chosen is the address of several that is kept: the primary one, else that of work, else one that does
// not say what it is for. "" if there is none.
func chosen(from []address) string {
	for _, is := range []func(address) bool{
		func(a address) bool { return bool(a.Primary) },
		func(a address) bool { return strings.EqualFold(a.Type, "work") },
		func(a address) bool { return a.Type == "" },
	} {
		for _, a := range from {
			if is(a) {
				return a.Value
			}
		}
	}
	return ""
}

func (b *userBody) draft() draft {
	return draft{
		externalID: given(b.ExternalID), userName: given(b.UserName), displayName: given(b.DisplayName),
		formatted: given(b.Name.Formatted), givenName: given(b.Name.GivenName),
		familyName: given(b.Name.FamilyName), email: chosen(b.Emails), active: (*bool)(b.Active),
	}
}
