package graph_test

import (
	"testing"

	"github.com/cardea/cardea/typeid"
)

func TestDevice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site, far := w.site(w.admin, "Harbour"), w.site(w.stranger, "Far")
	const create = `mutation($site: ID!) {
		createDevice(input: {siteId: $site, name: "Controller"}) {
			device { id name serial model firmware enrolledAt connectivity site { name } }
			claimCode claimExpiresAt } }`
	made := w.ask(w.admin, create, vars{"site": site.ID}).ok()
	id := made.text("createDevice.device.id")
	equal(t, made.text("createDevice.device.connectivity"), "OFFLINE")
	equal(t, made.at("createDevice.device.serial"), nil)
	equal(t, made.text("createDevice.claimCode") != "", true)
	w.ask(w.admin, create, vars{"site": far.ID}).refused("NOT_FOUND siteId")
	w.ask(w.member, create, vars{"site": site.ID}).refused("FORBIDDEN")

	const read = `query($id: ID!) { device(id: $id) { name model } }`
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().text("device.name"), "Controller")
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("device"), nil)
	w.ask(w.member, read, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.member, `{ devices { nodes { id } } }`).refused("FORBIDDEN")
	list := w.ask(w.admin, `query($s: ID) { devices(siteId: $s, connectivity: OFFLINE) { nodes { name } } }`,
		vars{"s": site.ID}).ok()
	equal(t, list.text("devices.nodes.0.name"), "Controller")
	equal(t, len(w.ask(w.stranger, `{ devices { nodes { id } } }`).ok().at("devices.nodes").([]any)), 0)

	const rotate = `mutation($id: ID!) { rotateDeviceKey(input: {id: $id}) { device { id clockOffset } } }`
	w.ask(w.stranger, rotate, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, rotate, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.admin, rotate, vars{"id": id}).refused("CONFLICT id")
	device, err := typeid.Parse[typeid.Device](id)
	must(t, err)
	w.connect(w.admin, device)
	rotated := w.ask(w.admin, rotate, vars{"id": id}).ok()
	equal(t, rotated.text("rotateDeviceKey.device.id"), id)
	equal(t, rotated.at("rotateDeviceKey.device.clockOffset"), any(float64(0)))

	const remove = `mutation($id: ID!) { removeDevice(input: {id: $id}) { deletedId } }`
	w.ask(w.stranger, remove, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, remove, vars{"id": id}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("removeDevice.deletedId"), id)
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().at("device"), nil)
}
