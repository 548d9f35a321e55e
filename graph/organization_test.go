package graph_test

import "testing"

func TestUpdateOrganization(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const read = `{ organization { name accessRetentionDays adminRetentionDays } }`
	before := w.ask(w.admin, read).ok()
	equal(t, before.at("organization.accessRetentionDays"), 90.0)
	equal(t, before.at("organization.adminRetentionDays"), 365.0)
	const update = `mutation($in: UpdateOrganizationInput!) { updateOrganization(input: $in) {
		organization { name accessRetentionDays adminRetentionDays } } }`
	in := vars{"in": vars{"accessRetentionDays": 30, "name": "Hinges and more"}}
	w.ask(w.member, update, in).refused("FORBIDDEN")
	w.ask(w.admin, update, vars{"in": vars{"accessRetentionDays": 6, "adminRetentionDays": 3651, "name": ""}}).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT accessRetentionDays", "BAD_USER_INPUT adminRetentionDays")
	equal(t, w.ask(w.admin, read).ok().at("organization.accessRetentionDays"), 90.0)
	done := w.ask(w.admin, update, in).ok()
	equal(t, done.at("updateOrganization.organization.accessRetentionDays"), 30.0)
	equal(t, done.at("updateOrganization.organization.adminRetentionDays"), 365.0)
	equal(t, done.text("updateOrganization.organization.name"), "Hinges and more")
	equal(t, w.ask(w.stranger, read).ok().text("organization.name"), "Elsewhere")
	told := w.ask(w.admin, `{ auditLog(first: 1) { nodes { type data } } eventTypes { name class } }`).ok()
	equal(t, told.text("auditLog.nodes.0.type"), "organization.updated")
	equal(t, told.at("auditLog.nodes.0.data.accessRetentionDays"), 30.0)
	equal(t, told.text("eventTypes.0.class"), "ADMINISTRATIVE")
}
