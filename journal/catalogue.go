package journal

//go:generate go run document.go

import "github.com/cardea/cardea/ent/event"

// Type is an entry of the event catalogue, docs/events.md.
type Type struct {
	Name        string // noun.verb_past
	Description string // when it is recorded, and what data it carries
	Severity    event.Severity
	Reportable  bool // a device may report it
}

const (
	info     = event.SeverityINFO
	notice   = event.SeverityNOTICE
	warning  = event.SeverityWARNING
	critical = event.SeverityCRITICAL
)

// Types is the catalogue: nothing else can be appended. Names are public API and never change.
var Types = []Type{
	{"organization.created", "An organization was created.", notice, false},
	{"site.created", "A site was created.", info, false},
	{"site.updated", "A site was changed. data.changed lists the fields.", info, false},
	{"site.deleted", "A site was deleted.", notice, false},
	{"door.created", "A door was created.", info, false},
	{"door.updated", "A door was changed. data.changed lists the fields.", info, false},
	{"door.deleted", "A door was deleted.", notice, false},
	{"door.bound", "A door was bound to a port of a device. data.port is the port.", info, false},
	{"door.mode_changed", "A door's standing mode changed. data.from and data.to are modes.",
		notice, false},
	{"user.created", "A user was created.", info, false},
	{"user.updated", "A user was changed. data.changed lists the fields.", info, false},
	{"user.deleted", "A user was deleted, and their keys and tokens with them.", notice, false},
	{"key.created", "A key was granted. data.doorIds lists its doors, if it is not for a site.",
		info, false},
	{"key.revoked", "A key was revoked.", notice, false},
	{"api_token.created", "An API token was created. data.tokenId names it.", notice, false},
	{"api_token.revoked", "An API token was revoked. data.tokenId names it.", notice, false},
	{"webhook_endpoint.created", "A webhook endpoint was created. data.endpointId names it.",
		notice, false},
	{"webhook_endpoint.updated", "A webhook endpoint was changed. data.endpointId names it.",
		info, false},
	{"webhook_endpoint.disabled", "A webhook endpoint was disabled after it answered 410 Gone. " +
		"data.endpointId names it.", warning, false},
	{"webhook_endpoint.deleted", "A webhook endpoint was deleted. data.endpointId names it.",
		notice, false},
	{"device.created", "A device was created and its claim code issued.", info, false},
	{"device.enrolled", "A device claimed its place with its own key.", notice, false},
	{"device.removed", "A device was removed; its key opens no link any more.", notice, false},
	{"device.connected", "A device's link came up. data.epoch counts links.", info, false},
	{"device.disconnected", "A device's link went down. data.epoch counts links.", notice, false},
	{"device.events_lost", "A hole in a device's log: reports data.from to data.to never came.",
		warning, false},
	{"device.battery_low", "A device's battery is low. data.level is in percent.", warning, true},
	{"device.tampered", "A device's casing or wiring was tampered with.", critical, true},
	{"access.granted", "Someone was let through a door.", info, true},
	{"access.denied", "Someone was refused at a door; reason says why.", notice, true},
	{"access.no_entry", "Access was granted and the door never opened.", info, true},
	{"door.opened", "The door leaf opened.", info, true},
	{"door.closed", "The door leaf closed.", info, true},
	{"door.forced_open", "The door opened without a grant or a request to exit.", critical, true},
	{"door.forced_open_cleared", "A forced-open door closed.", info, true},
	{"door.held_open", "The door stayed open past its threshold.", warning, true},
	{"door.held_open_cleared", "A held-open door closed.", info, true},
	{"door.rex_activated", "Someone asked to leave: request to exit.", info, true},
	{"lock.locked", "The lock was seen locked.", info, true},
	{"lock.unlocked", "The lock was seen unlocked.", info, true},
	{"lock.jammed", "The lock's mechanism is stuck.", warning, true},
	{"lock.state_unknown", "The lock's state is no longer known.", warning, true},
	{"command.created", "A command was accepted and awaits its device.", info, false},
	{"command.dispatched", "A command was written to its device's link.", info, false},
	{"command.acknowledged", "The device has taken a command on.", info, false},
	{"command.confirmed", "The device showed that a command took effect.", info, false},
	{"command.rejected", "The rules refused a command; reason says why.", notice, false},
	{"command.failed", "A command could not be carried out; reason says why.", warning, false},
	{"command.expired", "A command's deadline passed before it reached its device.", warning, false},
	{"command.unconfirmed", "A command reached its device, and nothing shows what came of it.",
		warning, false},
	{"command.cancelled", "A command was cancelled before it took effect.", notice, false},
}

var byName = func() map[string]Type {
	index := make(map[string]Type, len(Types))
	for _, t := range Types {
		index[t.Name] = t
	}
	return index
}()

// Lookup returns the catalogue's entry for a type name.
func Lookup(name string) (Type, bool) {
	t, ok := byName[name]
	return t, ok
}
