package graph_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	createPIN = `mutation($user: ID!, $pin: String, $digits: Int, $duress: Boolean, $until: DateTime) {
		createPin(input: {userId: $user, pin: $pin, digits: $digits, duress: $duress, validUntil: $until,
			label: "Front"}) { pin credential { id kind label hint duress status validFrom validUntil
			suspendedAt revokedAt blockedUntil createdAt user { name } } } }`
	addCard = `mutation($user: ID!, $format: CardFormat!, $facility: Int, $number: String!) {
		addCard(input: {userId: $user, format: $format, facilityCode: $facility, number: $number}) {
			credential { id kind hint } } }`
	addMobile = `mutation($user: ID!, $key: String!) {
		addMobile(input: {userId: $user, publicKey: $key}) { credential { id kind hint } } }`
	presentIt = `mutation($door: ID!, $what: PresentedCredentialInput!, $key: String) {
		presentCredential(input: {doorId: $door, credential: $what, idempotencyKey: $key,
			clientContext: {reader: "north"}}) {
			granted reason command { id stage reason clientContext requestedBy { user { name } } } } }`
	readCredential = `query($id: ID!) { credential(id: $id) { hint duress status user { name } } }`
)

func TestCredential(t *testing.T) {
	t.Parallel()
	w, gate := opened(t)
	made := w.ask(w.admin, createPIN, vars{"user": w.member.user.ID}).ok()
	id, pin := made.text("createPin.credential.id"), made.text("createPin.pin")
	equal(t, len(pin), 6)
	equal(t, made.text("createPin.credential.hint"), "PIN")
	equal(t, made.text("createPin.credential.status"), "ACTIVE")
	equal(t, made.at("createPin.credential.duress"), any(false))
	w.ask(w.admin, createPIN, vars{"user": w.member.user.ID, "pin": pin}).refused("BAD_USER_INPUT pin")
	w.ask(w.admin, createPIN, vars{"user": w.member.user.ID, "pin": "12345x", "digits": 20}).
		refused("BAD_USER_INPUT pin", "BAD_USER_INPUT digits", "BAD_USER_INPUT digits")
	w.ask(w.member, createPIN, vars{"user": w.member.user.ID}).refused("FORBIDDEN")
	w.ask(w.stranger, createPIN, vars{"user": w.member.user.ID}).refused("NOT_FOUND userId")

	card := vars{"user": w.member.user.ID, "format": "WIEGAND_26", "facility": 118, "number": "61603"}
	equal(t, w.ask(w.admin, addCard, card).ok().text("addCard.credential.hint"), "••1603")
	w.ask(w.admin, addCard, card).refused("CONFLICT number")
	w.ask(w.admin, addCard, vars{"user": w.member.user.ID, "format": "CSN_32", "facility": 1,
		"number": "12"}).refused("BAD_USER_INPUT facilityCode", "BAD_USER_INPUT number")
	w.ask(w.member, addCard, card).refused("FORBIDDEN")
	w.ask(w.stranger, addCard, card).refused("NOT_FOUND userId")

	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	phone := vars{"user": w.member.user.ID, "key": base64.StdEncoding.EncodeToString(public)}
	mobile := w.ask(w.admin, addMobile, phone).ok()
	equal(t, mobile.text("addMobile.credential.hint"), fmt.Sprintf("key …%x", public[30:]))
	w.ask(w.admin, addMobile, vars{"user": w.member.user.ID, "key": "AAAA"}).
		refused("BAD_USER_INPUT publicKey")
	w.ask(w.member, addMobile, phone).refused("FORBIDDEN")
	w.ask(w.stranger, addMobile, phone).refused("NOT_FOUND userId")

	// At the door, by a reader's token.
	at := time.Now().Truncate(time.Millisecond)
	signature := ed25519.Sign(private, access.MobileTranscript(gate.ID, "sixteen-characters", at))
	for _, what := range []vars{
		{"pin": pin}, {"card": vars{"format": "WIEGAND_26", "facilityCode": 118, "number": "61603"}},
		{"mobile": vars{"credentialId": mobile.text("addMobile.credential.id"), "signedAt": at,
			"nonce": "sixteen-characters", "signature": base64.StdEncoding.EncodeToString(signature)}},
	} {
		a := w.ask(w.admin, presentIt, vars{"door": gate.ID, "what": what}).ok()
		equal(t, a.at("presentCredential.granted"), any(true))
		equal(t, a.text("presentCredential.reason"), "GRANTED")
		equal(t, a.text("presentCredential.command.stage"), "CONFIRMED")
		equal(t, a.text("presentCredential.command.clientContext.reader"), "north")
		equal(t, a.text("presentCredential.command.requestedBy.user.name"), "Front desk")
		equal(t, w.ask(w.member, `query($id: ID!) { command(id: $id) { stage } }`,
			vars{"id": a.text("presentCredential.command.id")}).ok().text("command.stage"), "CONFIRMED")
	}
	nobody := w.ask(w.admin, presentIt, vars{"door": gate.ID,
		"what": vars{"wiegand": vars{"bits": 26, "hex": "2ec0c87"}}}).ok()
	equal(t, nobody.text("presentCredential.reason"), "BAD_FORMAT")
	equal(t, nobody.at("presentCredential.command"), nil)
	w.ask(w.admin, presentIt, vars{"door": gate.ID, "what": vars{}}).refused("BAD_USER_INPUT credential")
	w.ask(w.member, presentIt, vars{"door": gate.ID, "what": vars{"pin": pin}}).refused("FORBIDDEN")
	w.ask(w.stranger, presentIt, vars{"door": gate.ID, "what": vars{"pin": pin}}).
		refused("NOT_FOUND doorId")

	for mutation, status := range map[string]string{
		"suspend": "SUSPENDED", "resume": "ACTIVE", "revoke": "REVOKED",
	} {
		field := mutation + "Credential"
		other := w.ask(w.admin, createPIN, vars{"user": w.member.user.ID}).ok()
		change := `mutation($id: ID!) { ` + field + `(input: {id: $id}) { credential { status } } }`
		which := vars{"id": other.text("createPin.credential.id")}
		w.ask(w.stranger, change, which).refused("NOT_FOUND id")
		w.ask(w.member, change, which).refused("FORBIDDEN")
		w.ask(w.admin, change, vars{"id": gate.ID}).refused("BAD_USER_INPUT id")
		equal(t, w.ask(w.admin, change, which).ok().text(field+".credential.status"), status)
		w.ask(w.admin, change, which).ok()
	}
	equal(t, w.ask(w.stranger, readCredential, vars{"id": id}).ok().at("credential"), nil)
	equal(t, w.ask(w.member, readCredential, vars{"id": id}).ok().text("credential.user.name"), "Night shift")
	equal(t, w.ask(w.admin, `query($id: ID!) { node(id: $id) { ... on Credential { hint } } }`,
		vars{"id": id}).ok().text("node.hint"), "PIN")
}

// Whoever is forced to show what they have does not show that one PIN calls for help.
func TestDuressIsForAdministrators(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ask(w.admin, createPIN, vars{"user": w.member.user.ID}).ok()
	made := w.ask(w.admin, createPIN, vars{"user": w.member.user.ID, "duress": true}).ok()
	id := made.text("createPin.credential.id")
	equal(t, made.at("createPin.credential.duress"), any(true))
	const list = `query($id: ID!) { user(id: $id) { credentials { nodes { id duress } } } }`
	who := vars{"id": w.member.user.ID}
	equal(t, len(w.ask(w.admin, list, who).ok().at("user.credentials.nodes").([]any)), 2)
	own := w.ask(w.member, list, who).ok()
	equal(t, len(own.at("user.credentials.nodes").([]any)), 1)
	equal(t, own.at("user.credentials.nodes.0.duress"), nil)
	equal(t, w.ask(w.member, readCredential, vars{"id": id}).ok().at("credential"), nil)

	guest := person{ctx: actor.NewContext(t.Context(),
		actor.User(w.org, w.member.user.ID, actor.RoleGuest))}
	w.asActor(guest, list, who).refused("FORBIDDEN")
	w.asActor(guest, createPIN, vars{"user": w.member.user.ID}).refused("FORBIDDEN")
	w.asActor(guest, presentIt, vars{"door": typeid.New[typeid.Door](), "what": vars{"pin": "493127"}}).
		refused("FORBIDDEN")
}

// TestNothingTellsANumber does what can be done with a PIN, a card and its facility code, and looks
// for them in all that leaves.
func TestNothingTellsANumber(t *testing.T) {
	t.Parallel()
	w, gate := opened(t)
	const pin, facility, number = "740519", 61807, "438629"
	wrong := "740518"
	raw := access.PresentedWiegandInput{Bits: 37, Hex: "0000000000"}
	var answers []string
	ask := func(query string, v vars) {
		answers = append(answers, string(w.ask(w.admin, query, v).raw))
	}
	who := w.member.user.ID
	card := vars{"format": "WIEGAND_37", "facilityCode": facility, "number": number}
	given := vars{"user": who, "format": "WIEGAND_37", "facility": facility, "number": number}
	w.ask(w.admin, createPIN, vars{"user": who, "pin": pin, "duress": true}).ok() // which answers it, once
	ask(createPIN, vars{"user": who, "pin": pin})
	ask(createPIN, vars{"user": who, "pin": pin + "x"})
	ask(addCard, given)
	ask(addCard, given)
	for _, what := range []vars{
		{"pin": pin}, {"pin": wrong}, {"pin": pin + "x"}, {"card": card}, {"pin": pin, "card": card},
		{"card": vars{"format": "WIEGAND_26", "facilityCode": facility, "number": number}},
		{"card": vars{"format": "WIEGAND_37", "facilityCode": facility + 1, "number": number}},
		{"card": vars{"format": "WIEGAND_37", "facilityCode": "61807", "number": 438629}},
		{"card": vars{"format": "CSN_32", "number": number}}, {"wiegand": vars{"bits": raw.Bits, "hex": raw.Hex}},
		{"pin": 740519}, {"pin": []any{pin}}, {"number": number},
	} {
		ask(presentIt, vars{"door": gate.ID, "what": what})
	}
	for range 6 {
		ask(presentIt, vars{"door": gate.ID, "what": vars{"pin": wrong}})
	}
	w.counter.break_(errBroken)
	for _, what := range []vars{{"card": card}, {"pin": pin}} {
		failed := w.asActor(w.admin, presentIt, vars{"door": gate.ID, "what": what}).refused("INTERNAL")
		answers = append(answers, string(failed.raw))
	}
	w.counter.break_(nil)
	ask(`query($id: ID!) { user(id: $id) { credentials { nodes { id label hint kind } } } }`, vars{"id": who})
	for _, c := range w.db.Credential.Query().AllX(w.admin.ctx) {
		answers = append(answers, fmt.Sprintf("%v %+v", c, c.String()))
		ask(`mutation($id: ID!) { revokeCredential(input: {id: $id}) { credential { hint } } }`,
			vars{"id": c.ID})
	}
	events := w.db.Event.Query().Order(event.BySeq()).AllX(w.admin.ctx)
	for _, row := range events {
		body, err := journal.FromRow(row).Encode() // as webhooks, Redis and exports have it
		must(t, err)
		answers = append(answers, string(body))
	}
	if len(events) < 15 {
		t.Fatalf("only %d events", len(events))
	}
	everything := map[string]string{"answers and events": strings.Join(answers, "\n"), "log": w.logged.String()}
	for where, text := range everything {
		if text == "" {
			t.Errorf("nothing in %s", where)
		}
		for _, secret := range []string{pin, wrong, number, "61807", "61808"} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s in %s: …%s…", secret, where, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
}
