// Package portal shows: pages for people who were given a key and have no account. A link leads to
// what its key opens; taking the key makes the browser a guest's, who then opens doors from a list.
//
// The pages are plain HTML. They need no script, load nothing, and are read aloud well.
//
// Guarantees:
//
//   - To look at a link changes nothing: what scans mail follows links. To take its key is a POST.
//   - A link that is unknown, used, revoked or expired gets one answer, 410, whichever it is.
//   - The secret of a link is in its path. It is not logged, cached, or sent as a referrer.
//   - What a page says of an unlock is what is known: an order on its way is not called a success.
//
// The package imports access, ent, stream, actor and typeid.
package portal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/stream"
)

// Config is what the pages need.
type Config struct {
	Access *access.Service
	DB     *ent.Client // carries the tenancy rule
	Hub    *stream.Hub
	// PublicURL is where people reach this installation, such as https://doors.example.com.
	PublicURL func() string
	Log       *slog.Logger
}

type portal struct {
	access    *access.Service
	db        *ent.Client
	hub       *stream.Hub
	publicURL func() string
	log       *slog.Logger
}

// New returns the handler of everything below /k/, by the full path.
func New(cfg Config) http.Handler {
	p := &portal{
		access: cfg.Access, db: cfg.DB, hub: cfg.Hub, publicURL: cfg.PublicURL, log: cfg.Log,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /k/{secret}", p.answer(p.showLink))
	mux.HandleFunc("POST /k/{secret}", p.answer(p.takeKey))
	mux.HandleFunc("GET /k/open", p.answer(p.showDoors))
	mux.HandleFunc("POST /k/open/{door}", p.answer(p.openDoor))
	mux.HandleFunc("/k/", p.answer(func(http.ResponseWriter, *http.Request) (*page, error) {
		return gone(), nil
	}))
	return mux
}

// maxForm is the size of the largest form, in bytes.
const maxForm = 4 << 10

// answer writes the page that show returns; nil if it has answered. What it refuses to tell is
// gone.
func (p *portal) answer(
	show func(http.ResponseWriter, *http.Request) (*page, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		shown, err := show(w, r)
		switch {
		case access.IsCode(err, access.CodeNotFound):
			shown = gone()
		case errors.Is(err, errForeign):
			shown = foreign()
		case err != nil:
			p.log.ErrorContext(r.Context(), "page not shown",
				"request", actor.RequestID(r.Context()), "error", err)
			shown = broken(actor.RequestID(r.Context()))
		}
		if shown != nil {
			shown.write(w)
		}
	}
}

// showLink shows what a link's key opens.
func (p *portal) showLink(_ http.ResponseWriter, r *http.Request) (*page, error) {
	l, err := p.access.ReadLink(r.Context(), r.PathValue("secret"))
	if err != nil {
		return nil, err
	}
	return linkPage(l), nil
}

// takeKey redeems a link, once, and sends the browser to the doors as the guest that it now is.
func (p *portal) takeKey(w http.ResponseWriter, r *http.Request) (*page, error) {
	if !p.sameOrigin(r) {
		return nil, errForeign
	}
	taken, err := p.access.RedeemLink(r.Context(), r.PathValue("secret"))
	if err != nil {
		return nil, err
	}
	p.remember(w, taken.Secret, taken.Expires)
	http.Redirect(w, r, doorsPath, http.StatusSeeOther)
	return nil, nil
}

// showDoors lists what the guest opens and, after an unlock, says what came of it.
func (p *portal) showDoors(_ http.ResponseWriter, r *http.Request) (*page, error) {
	s, err := p.session(r)
	if err != nil {
		return nil, err
	}
	ctx := s.in(r.Context())
	shown, err := p.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	if id := r.URL.Query().Get("command"); id != "" {
		if shown.outcome, err = p.readOutcome(ctx, id); err != nil {
			return nil, err
		}
	}
	return doorsPage(s, shown), nil
}

// openDoor unlocks a door as the guest. It answers with a redirect, so that a page that is loaded
// anew unlocks nothing.
func (p *portal) openDoor(w http.ResponseWriter, r *http.Request) (*page, error) {
	s, err := p.session(r)
	if err != nil {
		return nil, err
	}
	once := r.PostFormValue("once")
	if !p.sameOrigin(r) || !s.wrote(r.PostFormValue("token")) || len(once) != onceSize {
		return nil, errForeign
	}
	c, err := p.unlock(s.in(r.Context()), r.PathValue("door"), once)
	if err != nil {
		return nil, fmt.Errorf("unlock: %w", err)
	}
	http.Redirect(w, r, doorsPath+"?command="+c.ID.String(), http.StatusSeeOther)
	return nil, nil
}

// in is a context in which the guest acts.
func (s session) in(ctx context.Context) context.Context { return actor.NewContext(ctx, s.guest) }
