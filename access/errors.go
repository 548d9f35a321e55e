package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/ent"
)

// Code is what an edge and its clients branch on. Codes are public API.
type Code string

// The codes of this package. The graph adds those of its own protocol.
const (
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeNotFound        Code = "NOT_FOUND"
	CodeBadUserInput    Code = "BAD_USER_INPUT"
	CodeConflict        Code = "CONFLICT"
	// CodeRateLimited is of what can be guessed, tried too often in ten minutes.
	CodeRateLimited Code = "RATE_LIMITED"
	// CodeConfirmationRequired is of a change that takes access away from many (see Impact).
	CodeConfirmationRequired Code = "CONFIRMATION_REQUIRED"
)

// Error is a refusal that the caller may see. Anything else that goes wrong is internal: edges log
// it and show nothing of it.
type Error struct {
	Code    Code
	Message string
	Field   string // of the input, such as siteId; "" if none is at fault
}

func (e Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Errors is all faults of one input at once.
type Errors []Error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, fault := range e {
		texts[i] = fault.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets errors.As find each fault.
func (e Errors) Unwrap() []error {
	faults := make([]error, len(e))
	for i, fault := range e {
		faults[i] = fault
	}
	return faults
}

// faults gathers what is wrong with an input.
type faults struct{ found Errors }

func (f *faults) add(field, format string, args ...any) {
	f.found = append(f.found, Error{CodeBadUserInput, fmt.Sprintf(format, args...), field})
}

// text checks a trimmed, non-empty, single-line text of at most limit characters.
func (f *faults) text(field, value string, limit int) {
	switch {
	case value == "" || strings.TrimSpace(value) != value:
		f.add(field, "must not be empty or begin or end with space")
	case utf8.RuneCountInString(value) > limit:
		f.add(field, "must have at most %d characters", limit)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, isControl):
		f.add(field, "must not contain control characters")
	}
}

func (f *faults) optionalText(field string, value *string, limit int) {
	if value != nil {
		f.text(field, *value, limit)
	}
}

func (f *faults) within(field string, value *int, low, high int) {
	if value != nil && (*value < low || *value > high) {
		f.add(field, "must be from %d to %d", low, high)
	}
}

// notBoth checks that a field is not set and cleared at once.
func (f *faults) notBoth(field string, set, unset bool) {
	if set && unset {
		f.add(field, "cannot be set and cleared at once")
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (f *faults) err() error {
	if len(f.found) == 0 {
		return nil
	}
	return f.found
}

// notFound is what a stranger, and whoever names a thing that is not there, gets.
func notFound(noun, field string) error {
	return Error{CodeNotFound, "no such " + noun, field}
}

// found turns Ent's not-found into the caller's, and wraps the rest.
func found(err error, noun, field string) error {
	if ent.IsNotFound(err) {
		return notFound(noun, field)
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", noun, err)
	}
	return nil
}

// conflicts says what the caller did wrong when a constraint of the database stopped them.
var conflicts = map[string]Error{
	"site_org_id_name":                            {CodeConflict, "another site has this name", "name"},
	"door_org_id_site_id_name":                    {CodeConflict, "another door of the site has this name", "name"},
	"device_org_id_site_id_name":                  {CodeConflict, "another device of the site has this name", "name"},
	"door_org_id_device_id_device_port":           {CodeConflict, "another door is bound to this port", "port"},
	"area_org_id_site_id_name":                    {CodeConflict, "another area of the site has this name", "name"},
	"user_org_id_email":                           {CodeConflict, "another user has this e-mail address", "email"},
	"user_org_id_external_id":                     {CodeConflict, "another user has this identifier", "externalId"},
	"usergroup_org_id_external_id":                {CodeConflict, "another group has this identifier", "externalId"},
	"application_org_id_name":                     {CodeConflict, "another application has this name", "name"},
	"webhookendpoint_org_id_url":                  {CodeConflict, "another endpoint has this URL", "url"},
	"schedule_org_id_name":                        {CodeConflict, "another schedule has this name", "name"},
	"holidaycalendar_org_id_name":                 {CodeConflict, "another holiday calendar has this name", "name"},
	"doors_unlock_schedule_fk":                    {CodeConflict, "a door stands unlocked by the schedule", ""},
	"keys_schedule_fk":                            {CodeConflict, "a key uses the schedule", ""},
	"sites_holiday_calendar_fk":                   {CodeConflict, "a site uses the holiday calendar", ""},
	"usergroup_org_id_name":                       {CodeConflict, "another group of people has this name", "name"},
	"doorgroup_org_id_name":                       {CodeConflict, "another group of doors has this name", "name"},
	"user_groups_parent_fk":                       {CodeConflict, "the group still has parts", ""},
	"door_groups_parent_fk":                       {CodeConflict, "the group still has parts", ""},
	"lockdownplan_org_id_name":                    {CodeConflict, "another lockdown plan has this name", "name"},
	"lockdown_plans_trigger_group_fk":             {CodeNotFound, "no such group", "triggerGroupId"},
	"lockdown_plans_release_group_fk":             {CodeNotFound, "no such group", "releaseGroupId"},
	"doors_site_fk":                               {CodeConflict, "the site still has doors", ""},
	"devices_site_fk":                             {CodeConflict, "the site still has devices", ""},
	"keys_user_fk":                                {CodeNotFound, "no such user", "userId"},
	"key_targets_door_fk":                         {CodeNotFound, "no such door", "doorIds"},
	"key_targets_door_group_fk":                   {CodeNotFound, "no such group", "doorGroupIds"},
	"key_targets_site_fk":                         {CodeNotFound, "no such site", "siteId"},
	"managed_sites_site_fk":                       {CodeNotFound, "no such site", "siteIds"},
	"identityprovider_org_id_issuer_client":       {CodeConflict, "another provider has this issuer", "issuer"},
	"sessions_identity_fk":                        {CodeNotFound, "no such identity", ""},
	"passkey_credential_id":                       {CodeConflict, "the passkey is known already", ""},
	"api_tokens_user_fk":                          {CodeNotFound, "no such user", "userId"},
	"command_org_id_requester_id_idempotency_key": errKeyUsed,
}

var errForbidden = Error{CodeForbidden, "not allowed", ""}

// errKeyUsed never leaves the package: the loser of a race reads the winner's command instead.
var errKeyUsed = Error{CodeConflict, "the idempotency key was used for another command",
	"idempotencyKey"}

// explain turns a violated constraint into the caller's error.
func explain(err error) error {
	violation := pq.As(err, pqerror.UniqueViolation, pqerror.ForeignKeyViolation)
	if violation == nil {
		return err
	}
	if refusal, ok := conflicts[violation.Constraint]; ok {
		return refusal
	}
	return err
}

// IsCode says whether err is, or holds, an Error with the code.
func IsCode(err error, code Code) bool {
	var refusal Error
	return errors.As(err, &refusal) && refusal.Code == code
}
