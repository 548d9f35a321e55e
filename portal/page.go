package portal

import (
	"crypto/rand"
	"embed"
	"net/http"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/webpage"
	"github.com/cardea/cardea/typeid"
)

//go:embed pages
var files embed.FS

// pages are the templates; a test shows each of them.
var pages = webpage.Parse(files, "no-referrer")

// page is a template with what it shows.
type page struct {
	status   int
	template string
	view     any
}

func (p *page) write(w http.ResponseWriter) { pages.Write(w, p.status, p.template, p.view) }

func message(status int, title string, lines ...string) *page {
	return &page{status, "message.html", struct {
		webpage.Head
		Lines []string
		Doors string
	}{webpage.Head{Title: title}, lines, doorsPath}}
}

// gone is the one answer to links that are unknown, used, revoked or expired, and to strangers.
func gone() *page {
	return message(http.StatusGone, "There is no key here",
		"This link was used already, was taken back, has expired, or was never complete.",
		"Ask whoever sent it to you for a new one.")
}

func foreign() *page {
	return message(http.StatusForbidden, "That did not come from this page",
		"Nothing was done. Open your doors here, and try again.")
}

func broken(request string) *page {
	return message(http.StatusInternalServerError, "Something went wrong here",
		"Nothing is known of what you asked for. Try again in a moment.",
		"If you tell somebody about it, tell them this number: "+request)
}

// place is a site with its doors.
type place struct {
	Name  string
	Doors []entry
}

// entry is a door in a list.
type entry struct {
	Path    string // of the form that unlocks it
	Name    string
	State   string
	Offline bool
}

func linkPage(l *access.Link) *page {
	zone := zoneOf(l.Sites)
	return &page{http.StatusOK, "link.html", struct {
		webpage.Head
		Organization string
		Recipient    string
		Places       []place
		Terms        []string
	}{
		webpage.Head{Title: "A key for you"}, l.Organization.Name, recipient(l.Key),
		places(l.Sites, l.Doors), terms(l.Key, zone, time.Now()),
	}}
}

func recipient(k *ent.Key) string {
	switch {
	case k.RecipientName != nil:
		return *k.RecipientName
	case k.Recipient != nil:
		return access.Masked(*k.Recipient)
	}
	return ""
}

func doorsPage(s session, r rights) *page {
	h := webpage.Head{Title: "Your doors"}
	said, zone, now := sentence{}, zoneOf(r.sites), time.Now()
	if r.outcome != nil {
		said = inWords(r.outcome, zone, now)
		if r.outcome.command.EndedAt == nil {
			h.Again = 3
		}
	}
	var lines []string
	for _, k := range r.keys {
		lines = append(lines, terms(k, zone, now)...)
	}
	return &page{http.StatusOK, "doors.html", struct {
		webpage.Head
		Organization string
		Token, Once  string
		Places       []place
		Terms        []string
		Said         sentence
	}{h, r.organization.Name, s.token(), rand.Text(), places(r.sites, r.doors), lines, said}}
}

// places are doors by site, in the order of the sites.
func places(sites []*ent.Site, doors []*ent.Door) []place {
	index := make(map[typeid.Site]int, len(sites))
	list := make([]place, len(sites))
	for i, s := range sites {
		index[s.ID], list[i].Name = i, s.Name
	}
	for _, d := range doors {
		i, known := index[d.SiteID]
		if !known { // it came to be in between
			continue
		}
		list[i].Doors = append(list[i].Doors, entry{
			Path: doorsPath + "/" + d.ID.String(), Name: d.Name, State: state(d),
			Offline: d.Connectivity == schema.ConnectivityOffline,
		})
	}
	return list
}
