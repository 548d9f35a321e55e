package main

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// maxMails is how many mails a demo keeps.
const maxMails = 50

// mailbox is the mail server of a demo: what is sent to anybody is shown on a page, to anybody.
type mailbox struct {
	server   *smtp.Server
	listener net.Listener

	mu    sync.Mutex
	mails []shownMail // newest first
}

type shownMail struct{ At, To, Subject, Text string }

// openMailbox listens on a free port of this machine.
func openMailbox(ctx context.Context) (*mailbox, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	m := &mailbox{listener: listener}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{box: m}, nil
	}))
	m.server.Domain = "localhost"
	m.server.ReadTimeout, m.server.WriteTimeout = time.Minute, time.Minute
	m.server.MaxMessageBytes, m.server.MaxRecipients = 1<<20, 10
	return m, nil
}

func (m *mailbox) url() string { return "smtp://" + m.listener.Addr().String() }

// run takes mails until ctx ends.
func (m *mailbox) run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- m.server.Serve(m.listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		err := m.server.Close()
		<-served
		return err
	}
}

func (m *mailbox) put(mail shownMail) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = slices.Insert(m.mails, 0, mail)
	m.mails = m.mails[:min(len(m.mails), maxMails)]
}

var mailPage = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="3">
<title>Mail of the demo</title>
</head>
<body>
<h1>Mail of the demo</h1>
{{range .}}<h2>{{.Subject}}</h2>
<p>{{.At}}, to {{.To}}</p>
<pre>{{.Text}}</pre>
{{else}}<p>There is none yet. <a href="/sign-in">Sign in</a>, and a code comes here.</p>
{{end}}</body>
</html>
`))

// ServeHTTP shows the mails, newest first.
func (m *mailbox) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	mails := slices.Clone(m.mails)
	m.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = mailPage.Execute(w, mails) // that the browser has gone is nothing to act on
}

// mailSession is one connection that sends mails.
type mailSession struct {
	box *mailbox
	to  string
}

func (*mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

// Data takes a mail of plain text.
func (s *mailSession) Data(r io.Reader) error {
	mail, err := netmail.ReadMessage(r)
	if err != nil {
		return errors.New("that is no mail")
	}
	text, err := plainText(mail)
	if err != nil {
		return errors.New("that is no plain text")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(mail.Header.Get("Subject"))
	if err != nil {
		subject = mail.Header.Get("Subject")
	}
	s.box.put(shownMail{time.Now().Format(time.TimeOnly), s.to, subject, text})
	return nil
}

// plainText is the body of a mail as it was written.
func plainText(mail *netmail.Message) (string, error) {
	body := mail.Body
	if strings.EqualFold(mail.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	return string(text), err
}

func (s *mailSession) Reset() { s.to = "" }

func (*mailSession) Logout() error { return nil }
