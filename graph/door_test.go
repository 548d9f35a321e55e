package graph_test

import (
	"testing"

	"github.com/cardea/cardea/access"
)

func TestDoor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site, elsewhere := w.site(w.admin, "Harbour"), w.site(w.stranger, "Far")
	const create = `mutation($site: ID!, $name: String!) {
		createDoor(input: {siteId: $site, name: $name, mode: LOCKED}) {
			door { id name mode effectiveMode { mode cause } lockState position connectivity isStale
				relockSeconds heldOpenSeconds observedAt device { id } devicePort site { name } } } }`
	made := w.ask(w.admin, create, vars{"site": site.ID, "name": "Gate"}).ok()
	id := made.text("createDoor.door.id")
	equal(t, made.text("createDoor.door.site.name"), "Harbour")
	equal(t, made.text("createDoor.door.effectiveMode.mode"), "LOCKED")
	equal(t, made.text("createDoor.door.effectiveMode.cause"), "STANDING")
	equal(t, made.text("createDoor.door.lockState"), "UNKNOWN")
	equal(t, made.at("createDoor.door.isStale"), any(true))
	equal(t, made.at("createDoor.door.device"), nil)
	w.ask(w.admin, create, vars{"site": elsewhere.ID, "name": "Gate"}).refused("NOT_FOUND siteId")
	w.ask(w.member, create, vars{"site": site.ID, "name": "Mine"}).refused("FORBIDDEN")

	const update = `mutation($id: ID!, $mode: DoorMode) {
		updateDoor(input: {id: $id, name: "Main gate", mode: $mode, relockSeconds: 9}) {
			door { name mode relockSeconds } } }`
	changed := w.ask(w.admin, update, vars{"id": id, "mode": "CONTROLLED"}).ok()
	equal(t, changed.text("updateDoor.door.name"), "Main gate")
	w.ask(w.admin, update, vars{"id": id, "mode": "controlled"}).
		refused("GRAPHQL_VALIDATION_FAILED mode")

	const read = `query($id: ID!) { door(id: $id) { name } }`
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("door"), nil)
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("door"), nil)
	w.ask(w.admin, read, vars{"id": site.ID}).refused("BAD_USER_INPUT id")
	w.ask(w.admin, read, vars{"id": "door_nonsense"}).refused("BAD_USER_INPUT id")

	const remove = `mutation($id: ID!) { deleteDoor(input: {id: $id}) { deletedId } }`
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": id}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": id}).refused("FORBIDDEN")
	}
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteDoor.deletedId"), id)
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().at("door"), nil)
}

func TestBindDoor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	door, dev := w.door(w.admin, site, "Gate"), w.device(w.admin, site)
	far := w.device(w.stranger, w.site(w.stranger, "Far"))
	const bind = `mutation($door: ID!, $device: ID!) {
		bindDoor(input: {doorId: $door, deviceId: $device, port: 2}) {
			door { devicePort device { name doors { nodes { name } } } } } }`
	w.ask(w.member, bind, vars{"door": door.ID, "device": dev.ID}).refused("FORBIDDEN")
	w.ask(w.stranger, bind, vars{"door": door.ID, "device": far.ID}).refused("NOT_FOUND doorId")
	w.ask(w.admin, bind, vars{"door": door.ID, "device": far.ID}).refused("NOT_FOUND deviceId")
	bound := w.ask(w.admin, bind, vars{"door": door.ID, "device": dev.ID}).ok()
	equal(t, bound.at("bindDoor.door.devicePort"), any(2.0))
	equal(t, bound.text("bindDoor.door.device.doors.nodes.0.name"), "Gate")

	l := w.connect(w.admin, dev.ID)
	w.report(l, access.Report{Port: 2, Type: "lock.locked", LockState: "LOCKED"})
	seen := w.ask(w.admin, `query($id: ID!) { door(id: $id) { lockState connectivity isStale observedAt } }`,
		vars{"id": door.ID}).ok()
	equal(t, seen.text("door.lockState"), "LOCKED")
	equal(t, seen.text("door.connectivity"), "ONLINE")
	equal(t, seen.at("door.isStale"), any(false))
}

func TestDoorsAreFiltered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour, hill := w.site(w.admin, "Harbour"), w.site(w.admin, "Hill")
	w.door(w.admin, harbour, "North gate")
	w.door(w.admin, harbour, "South 100% gate")
	w.door(w.admin, hill, "Cellar")
	names := func(p person, arguments string) string {
		t.Helper()
		list := w.ask(p, `{ doors(`+arguments+`) { nodes { name } } }`).ok().at("doors.nodes")
		text := ""
		for _, n := range list.([]any) {
			text += n.(map[string]any)["name"].(string) + ";"
		}
		return text
	}
	equal(t, names(w.admin, `first: 10`), "Cellar;North gate;South 100% gate;")
	equal(t, names(w.admin, `siteId: "`+hill.ID.String()+`"`), "Cellar;")
	equal(t, names(w.admin, `search: "GATE"`), "North gate;South 100% gate;")
	equal(t, names(w.admin, `search: "0%"`), "South 100% gate;")
	equal(t, names(w.admin, `search: "_"`), "")
	equal(t, names(w.admin, `connectivity: ONLINE`), "")
	equal(t, names(w.admin, `lockState: UNKNOWN, siteId: "`+hill.ID.String()+`"`), "Cellar;")
	equal(t, names(w.stranger, `first: 10`), "")
	equal(t, names(w.member, `first: 10`), "")
	w.ask(w.admin, `{ doors(search: "\u0000") { nodes { id } } }`).refused("BAD_USER_INPUT search")
}
