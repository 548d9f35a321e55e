package scim

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
)

// draft is a person while a request is worked through. "" is what is not there.
type draft struct {
	externalID, userName, email string
	displayName, formatted      string // two words for one thing
	givenName, familyName       string
	active                      *bool
}

func draftOf(u *ent.User) draft {
	active := u.Status == user.StatusACTIVE
	return draft{
		externalID: given(u.ExternalID), userName: given(u.Email), email: given(u.Email),
		displayName: u.Name, formatted: u.Name,
		givenName: given(u.GivenName), familyName: given(u.FamilyName), active: &active,
	}
}

// given is a text without space around it; "" if there is none.
func given(text *string) string {
	if text == nil {
		return ""
	}
	return strings.TrimSpace(*text)
}

// parts is the name that is made of its parts.
func (d *draft) parts() string { return strings.TrimSpace(d.givenName + " " + d.familyName) }

// whole is a person of whom all is said, but perhaps whether they are active.
func (d draft) whole(active bool) (access.Provisioned, error) {
	if d.email != "" && !strings.EqualFold(d.email, d.userName) {
		return access.Provisioned{}, errTwoAddresses
	}
	if d.active != nil {
		active = *d.active
	}
	return d.provisioned(first(d.displayName, d.formatted, d.parts(), d.userName), active), nil
}

// since is a person of whom something has been said, in whichever of the words for it.
func (d draft) since(before draft) (access.Provisioned, error) {
	switch {
	case d.email == before.email:
	case d.userName == before.userName:
		d.userName = d.email
	case !strings.EqualFold(d.userName, d.email):
		return access.Provisioned{}, errTwoAddresses
	}
	name := before.displayName
	switch {
	case d.displayName != before.displayName:
		name = first(d.displayName, d.formatted, d.parts(), d.userName)
	case d.formatted != before.formatted:
		name = first(d.formatted, d.parts(), d.userName)
	case before.displayName == before.parts(): // a name that was made of its parts follows them
		name = first(d.parts(), d.userName)
	}
	return d.provisioned(name, *d.active), nil
}

var errTwoAddresses = invalidValue("userName and the address of work in emails have to be the same: " +
	"a person has one address, and signs in with it")

func (d *draft) provisioned(name string, active bool) access.Provisioned {
	return access.Provisioned{
		ExternalID: optional(d.externalID), Email: d.userName, Name: name,
		GivenName: optional(d.givenName), FamilyName: optional(d.familyName), Active: active,
	}
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// apply makes one operation of PATCH.
func (d *draft) apply(verb string, to path, value json.RawMessage) error {
	switch to.attribute {
	case "username":
		return required(&d.userName, verb, value)
	case "displayname":
		return written(&d.displayName, verb, value)
	case "externalid":
		return written(&d.externalID, verb, value)
	case "name.formatted":
		return written(&d.formatted, verb, value)
	case "name.givenname":
		return written(&d.givenName, verb, value)
	case "name.familyname":
		return written(&d.familyName, verb, value)
	case "name":
		if verb == "remove" {
			d.givenName, d.familyName = "", ""
			return nil
		}
		return eachPart("name", verb, value, d.apply)
	case "active":
		if verb == "remove" {
			return invalidValue("active is true or false")
		}
		d.active = new(bool)
		return decode(value, (*truth)(d.active))
	case "emails", "emails.value":
		return d.applyEmails(verb, to, value)
	}
	return beyond(to.attribute, "id", "meta", "schemas", "groups")
}

// applyEmails takes the address of work. It is that of userName too, so it is not removed by itself.
func (d *draft) applyEmails(verb string, to path, value json.RawMessage) error {
	if to.which != nil {
		is, err := holds(to.which, map[string]any{"type": "work", "primary": true, "value": d.email})
		switch {
		case err != nil:
			return err
		case !is && namesOther(to.which, "type", "work"):
			return nil // addresses of other kinds are not kept
		case !is:
			return noTarget()
		}
	}
	if verb == "remove" || to.part != "" && to.part != "value" {
		return nil
	}
	if to.part == "value" || to.attribute == "emails.value" {
		return required(&d.email, verb, value)
	}
	var some []address
	if err := decodeList(value, &some); err != nil {
		return err
	}
	if to.which != nil && len(some) > 0 {
		some = []address{{Value: some[0].Value}}
	}
	if email := strings.TrimSpace(chosen(some)); email != "" {
		d.email = email
	}
	return nil
}

// unkept are attributes of the standard that are let be, with their parts: they are not kept here.
// Roles and entitlements are among them, and passwords.
var unkept = map[string]bool{
	"nickname": true, "profileurl": true, "title": true, "usertype": true, "preferredlanguage": true,
	"locale": true, "timezone": true, "password": true, "phonenumbers": true, "ims": true,
	"photos": true, "addresses": true, "entitlements": true, "roles": true, "x509certificates": true,
	"name": true,
}

// beyond is what to do about an attribute that a request cannot change.
func beyond(attribute string, fixed ...string) error {
	top, _, _ := strings.Cut(attribute, ".")
	for _, name := range fixed {
		if top == name {
			return &failure{http.StatusBadRequest, "mutability", name + " is not the directory's to change"}
		}
	}
	if unkept[top] || strings.HasPrefix(attribute, "urn:") {
		return nil
	}
	return &failure{http.StatusBadRequest, "invalidPath", "no such attribute: " + clip(attribute)}
}
