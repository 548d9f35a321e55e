package oauth

import "github.com/cardea/cardea/actor"

// words are scopes as people are asked about them. What an application may do is never more than they
// may themselves.
var words = map[actor.Scope]string{
	"access:read":        "See who may open which doors, and why",
	"applications:read":  "See the applications that act for you",
	"areas:read":         "See areas, and who is in them",
	"areas:write":        "Change areas, and which doors lead there",
	"credentials:read":   "See which PINs, cards and phones there are",
	"credentials:write":  "Give people PINs, cards and phones, and take them away",
	"devices:read":       "See the devices at doors",
	"devices:write":      "Add and remove devices at doors",
	"doors:operate":      "Open doors without a key, and change how they behave",
	"doors:read":         "See doors: whether they are open, and whether they are locked",
	"doors:unlock":       "Unlock and lock the doors that your keys open",
	"doors:write":        "Add, change and remove doors",
	"events:read":        "See what happened: who came and went, and who changed what",
	"groups:read":        "See groups of people and of doors",
	"groups:write":       "Change groups of people and of doors",
	"keys:read":          "See keys",
	"keys:share":         "Share keys with others, and take them back",
	"keys:write":         "Give people keys, and take them away",
	"lockdowns:read":     "See lockdowns, and the plans for them",
	"lockdowns:trigger":  "Start and end lockdowns",
	"lockdowns:write":    "Change the plans for lockdowns",
	"organization:read":  "See the name of your organization",
	"organization:write": "Change how long what happened is kept",
	"schedules:read":     "See schedules and holidays",
	"schedules:write":    "Change schedules and holidays",
	"sites:read":         "See sites",
	"sites:write":        "Add, change and remove sites",
	"tokens:read":        "See where you are signed in, and which tokens and applications act for you",
	"users:read":         "See people: their names and e-mail addresses",
	"users:write":        "Add, change and remove people, and change what they may do",
	"visits:read":        "See visits",
	"visits:write":       "Invite visitors, and change visits",
	"webhooks:read":      "See where events are sent",
	"webhooks:write":     "Change where events are sent",
}
