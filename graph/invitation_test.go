package graph_test

import (
	"strings"
	"testing"

	"github.com/cardea/cardea/actor"
)

func TestInvitation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const invite = `mutation($email: String!) { inviteUser(input: {name: "Night shift", email: $email}) {
		user { id email role } } }`
	w.ask(w.member, invite, vars{"email": "night@example.com"}).refused("FORBIDDEN")
	w.ask(w.admin, invite, vars{"email": "night"}).refused("BAD_USER_INPUT email")
	w.ask(w.admin, invite, vars{"email": "night.shift@example.com"}).refused("CONFLICT email")
	equal(t, len(w.letters()), 0)
	made := w.ask(w.admin, invite, vars{"email": "Night@example.com"}).ok()
	equal(t, made.text("inviteUser.user.role"), "MEMBER")
	letter := w.letters()[0]
	equal(t, letter.To, "night@example.com")
	equal(t, letter.Organization, "Hinges")
	equal(t, letter.Link, "/sign-in")
	equal(t, w.types(2), "user.created user.invited")

	const resend = `mutation($id: ID!) { resendInvitation(input: {userId: $id}) { user { id } } }`
	id := made.text("inviteUser.user.id")
	w.ask(w.stranger, resend, vars{"id": id}).refused("NOT_FOUND userId")
	w.ask(w.member, resend, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.admin, resend, vars{"id": id}).ok()
	equal(t, len(w.letters()), 2)
	guest := w.db.User.Create().SetName("Guest").SetRole(actor.RoleGuest).SaveX(w.admin.ctx)
	w.ask(w.admin, resend, vars{"id": guest.ID}).refused("CONFLICT userId")
	equal(t, len(w.letters()), 2)
	if strings.Contains(w.logged.String(), "night@example.com") {
		t.Error("an address is logged")
	}
}
