package mail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/mail"
)

// post is a mail server that refuses the first so many mails.
type post struct {
	mu     sync.Mutex
	refuse []*smtp.SMTPError
	tried  int
	got    chan string
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{post: p}, nil }

type session struct{ *post }

func (*session) Mail(string, *smtp.MailOptions) error { return nil }
func (*session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (*session) Reset()                               {}
func (*session) Logout() error                        { return nil }

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if len(s.refuse) > 0 {
		err := s.refuse[0]
		s.refuse = s.refuse[1:]
		return err
	}
	s.got <- string(text)
	return nil
}

func (p *post) tries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried
}

// log is what was logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan struct{}
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line <- struct{}{}
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func setup(t *testing.T, refuse ...*smtp.SMTPError) (*post, *mail.Sender, *log) {
	t.Helper()
	p := &post{refuse: refuse, got: make(chan string, 10)}
	server := smtp.NewServer(p)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	logged := &log{line: make(chan struct{}, 10)}
	s, err := mail.New(mail.Config{
		URL: "smtp://" + listener.Addr().String(), From: "Cardea <doors@example.com>",
		Log: slog.New(slog.NewTextHandler(logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	running.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { stop(); _ = server.Close(); running.Wait() })
	return p, s, logged
}

func wait[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}

func TestLettersArrive(t *testing.T) {
	t.Parallel()
	p, s, _ := setup(t)
	s.Send(access.Letter{Kind: access.LetterSignInCode}) // to nobody
	s.Send(access.Letter{Kind: access.LetterSignInCode, To: "desk@example.com", Code: "123456"})
	got := wait(t, p.got)
	m, err := netmail.ReadMessage(strings.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("To") != "<desk@example.com>" || !strings.Contains(got, "    123456") ||
		!strings.Contains(m.Header.Get("From"), "doors@example.com") || m.Header.Get("Message-ID") == "" {
		t.Errorf("got %s", got)
	}
	s.Send(access.Letter{Kind: access.LetterInvitation, To: "night@example.com", Organization: "Härbour\r\nBcc: x",
		Link: "https://doors.example.com/sign-in"})
	got = wait(t, p.got)
	if m, err = netmail.ReadMessage(strings.NewReader(got)); err != nil || m.Header.Get("Bcc") != "" ||
		!strings.Contains(got, "https://doors.example.com/sign-in") {
		t.Errorf("got %s, %v", got, err)
	}
	if p.tries() != 2 {
		t.Errorf("%d tries: a letter to nobody was sent", p.tries())
	}
}

// A server that is busy is tried again; one that refuses is not, and what is logged is not the address.
func TestLettersAreTriedAgain(t *testing.T) {
	t.Parallel()
	busy := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "busy"}
	never := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no desk@example.com"}
	p, s, logged := setup(t, busy, never)
	letter := access.Letter{Kind: access.LetterSignInCode, To: "desk@example.com", Code: "123456"}
	s.Send(letter)
	wait(t, logged.line)
	if p.tries() != 2 {
		t.Errorf("tried %d times, want once more", p.tries())
	}
	if text := logged.String(); strings.Contains(text, "desk") || strings.Contains(text, "123456") ||
		!strings.Contains(text, "550") {
		t.Errorf("logged %s", text)
	}
	s.Send(letter)
	wait(t, p.got)
}

// A queue that nobody empties does not hold up who sends.
func TestFullQueueBlocksNobody(t *testing.T) {
	t.Parallel()
	logged := &log{line: make(chan struct{}, 2000)}
	s, err := mail.New(mail.Config{Log: slog.New(slog.NewTextHandler(logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1001 {
			s.Send(access.Letter{To: "desk@example.com"})
		}
	}()
	wait(t, done)
	wait(t, logged.line)
	if !strings.Contains(logged.String(), "the queue is full") {
		t.Errorf("logged %s", logged)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"smtp://mail.example.com": true, "smtps://user:secret@mail.example.com:465": true,
		"http://mail.example.com": false, "smtp://": false, "smtp://user:secret@host:x": false,
	} {
		err := mail.CheckURL(url)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := errors.Join(mail.CheckFrom("Cardea <doors@example.com>")); err != nil {
		t.Error(err)
	}
	if mail.CheckFrom("Cardea") == nil {
		t.Error("no address is taken for one")
	}
}
