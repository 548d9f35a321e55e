// Package mail sends the letters that access wants sent, by SMTP.
//
// Guarantees:
//
//   - Send does not block, and takes as long for a letter to nobody as for any other.
//   - A letter is tried for ten minutes, as a code is good for: then, and when the queue is full, or
//     when the node stops, it is lost, counted and logged, without its address or its code. People
//     ask for another.
//   - With a server on another machine the connection is encrypted, or nothing is sent.
//
// The package imports access. It alone imports the mail library.
package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	smtp "github.com/wneessen/go-mail"

	"github.com/cardea/cardea/access"
)

const (
	queueSize  = 1000
	senders    = 4
	tryTimeout = 30 * time.Second
	patience   = 10 * time.Minute // with a letter
)

// Config is what a Sender needs.
type Config struct {
	// URL is the server, such as smtp://user:password@mail.example.com:587 (encrypted by STARTTLS) or
	// smtps://mail.example.com:465. "" sends nothing: each letter is lost, and said to be.
	URL        string
	From       string // such as Cardea <doors@example.com>
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are not exposed
	Now        func() time.Time      // nil: the wall clock
}

// Sender sends letters. It is safe for concurrent use.
type Sender struct {
	config  Config
	server  server
	queue   chan letter
	letters *prometheus.CounterVec
}

type letter struct {
	access.Letter
	until time.Time
}

// server is what a URL says.
type server struct {
	host           string
	port           int
	tls            bool
	user, password string
}

// New checks the configuration. Run has to run for letters to be sent.
func New(cfg Config) (*Sender, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Sender{
		config: cfg, queue: make(chan letter, queueSize),
		letters: promauto.With(cfg.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_mail_letters_total", Help: "Letters that were sent, or lost.",
		}, []string{"outcome"}),
	}
	if cfg.URL == "" {
		return s, nil
	}
	var err error
	if s.server, err = readURL(cfg.URL); err != nil {
		return nil, err
	}
	return s, CheckFrom(cfg.From)
}

// CheckFrom checks who letters are from.
func CheckFrom(from string) error {
	if _, err := mail.ParseAddress(from); err != nil {
		return errors.New("is not an e-mail address, such as Cardea <doors@example.com>")
	}
	return nil
}

// CheckURL checks the URL of a server. The error says nothing of the value, which may hold a password.
func CheckURL(text string) error {
	_, err := readURL(text)
	return err
}

func readURL(text string) (server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return server{}, errors.New("is not a URL of smtp or smtps")
	}
	s := server{host: u.Hostname(), tls: u.Scheme == "smtps", user: u.User.Username()}
	s.password, _ = u.User.Password()
	s.port = 587
	if s.tls {
		s.port = 465
	}
	if u.Port() != "" {
		if s.port, err = strconv.Atoi(u.Port()); err != nil {
			return server{}, errors.New("has a port that is no number")
		}
	}
	return s, nil
}

// Send has a letter sent, some time soon.
func (s *Sender) Send(l access.Letter) {
	select {
	case s.queue <- letter{l, s.config.Now().Add(patience)}:
	default:
		s.lost("the queue is full")
	}
}

// Run sends letters until ctx ends. Those that are still in the queue then are lost.
func (s *Sender) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() { s.run(ctx) })
	}
	sending.Wait()
	for range len(s.queue) {
		if (<-s.queue).To != "" {
			s.lost("the node stopped")
		}
	}
	return nil
}

func (s *Sender) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-s.queue:
			s.deliver(ctx, l)
		}
	}
}

// deliver tries until the letter is sent or too old, each time after a longer pause.
func (s *Sender) deliver(ctx context.Context, l letter) {
	if l.To == "" {
		return
	}
	if s.config.URL == "" {
		s.lost("CARDEA_SMTP_URL is not set")
		return
	}
	for pause := time.Second; ; pause *= 2 {
		err := s.try(ctx, l)
		if err == nil {
			s.letters.WithLabelValues("sent").Inc()
			return
		}
		if isFinal(err) || s.config.Now().Add(pause).After(l.until) || !wait(ctx, pause) {
			s.lost(cause(err))
			return
		}
	}
}

func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *Sender) try(ctx context.Context, l letter) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	m := smtp.NewMsg()
	if err := errors.Join(m.From(s.config.From), m.To(l.To)); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	subject, text := words(l.Letter)
	m.Subject(subject)
	m.SetBodyString(smtp.TypeTextPlain, text)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	client, err := smtp.NewClient(s.server.host, s.server.options()...)
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	return client.DialAndSendWithContext(ctx, m)
}

func (s server) options() []smtp.Option {
	options := []smtp.Option{smtp.WithPort(s.port), smtp.WithTimeout(tryTimeout)}
	switch {
	case s.tls:
		options = append(options, smtp.WithSSL())
	case s.isHere():
		options = append(options, smtp.WithTLSPolicy(smtp.TLSOpportunistic))
	default:
		options = append(options, smtp.WithTLSPolicy(smtp.TLSMandatory))
	}
	if s.user != "" {
		options = append(options, smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover),
			smtp.WithUsername(s.user), smtp.WithPassword(s.password))
	}
	return options
}

// isHere says that the server is this machine, to which nobody listens in.
func (s server) isHere() bool {
	ip := net.ParseIP(s.host)
	return s.host == "localhost" || ip != nil && ip.IsLoopback()
}

// isFinal says that the server will not take the letter however often it is tried.
func isFinal(err error) bool {
	refused := new(smtp.SendError)
	return errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500
}

// cause is what may be logged of an error: a server's own words may hold the address.
func cause(err error) string {
	refused := new(smtp.SendError)
	if errors.As(err, &refused) {
		return fmt.Sprintf("the server answered %d", refused.ErrorCode())
	}
	return "the server was not reached"
}

func (s *Sender) lost(why string) {
	s.letters.WithLabelValues("lost").Inc()
	s.config.Log.Warn("letter lost", "cause", why)
}
