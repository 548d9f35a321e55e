package webhooks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/cardea/cardea/access"
)

const (
	maxRead  = 64 << 10 // of a response's body
	maxStore = 16 << 10 // of what was read
)

// class says in one word why an attempt failed; "" is success. Classes are public API.
type class string

const (
	classDNS         class = "dns"
	classRefused     class = "refused"
	classReset       class = "reset"
	classTLS         class = "tls"
	classTimeout     class = "timeout"
	classUnreachable class = "unreachable"
	classBlocked     class = "blocked_address"
	classProtocol    class = "protocol" // the answer is no HTTP, or breaks a limit
	classRedirect    class = "redirect"
	class4xx         class = "http_4xx"
	class5xx         class = "http_5xx"
	classEventGone   class = "event_gone" // retention took the event before it could be delivered
)

// outcome is what came of one attempt.
type outcome struct {
	startedAt  time.Time
	took       time.Duration
	status     int // 0: no answer
	class      class
	retryAfter time.Duration
	body       string // the beginning of the answer
}

// sender makes attempts.
type sender struct {
	client  *http.Client
	inside  bool
	timeout time.Duration // of a whole attempt
	now     func() time.Time
}

// attempt posts the body of a delivery to its endpoint, once. It ends within the time-out, whatever
// the receiver does.
func (s *sender) attempt(ctx context.Context, d delivery, body []byte) outcome {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	o := outcome{startedAt: s.now()}
	start := time.Now()
	err := s.post(ctx, d, body, &o)
	o.took = time.Since(start)
	if err != nil {
		o.class = classOf(err)
	}
	return o
}

// post fills the outcome with the answer, or returns why there is none.
func (s *sender) post(ctx context.Context, d delivery, body []byte, o *outcome) error {
	if err := access.CheckWebhookURL(d.url, s.inside); err != nil {
		return blockedError{err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return blockedError{err}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Cardea-Webhooks/1.0")
	setSignature(request.Header, d.secret, d.event.String(), o.startedAt, body)
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	o.status, o.class = response.StatusCode, classOfStatus(response.StatusCode)
	o.retryAfter = retryAfter(response.Header, o.startedAt)
	// An answer that breaks off is an answer: its status counts.
	read, _ := io.ReadAll(io.LimitReader(response.Body, maxRead))
	o.body = storable(read)
	return nil
}

// storable cuts an answer to what is kept, as text that Postgres takes.
func storable(answer []byte) string {
	text := string(answer[:min(len(answer), maxStore)])
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}

func classOfStatus(status int) class {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status >= 300 && status < 400:
		return classRedirect
	case status >= 400 && status < 500:
		return class4xx
	case status >= 500 && status < 600:
		return class5xx
	}
	return classProtocol
}

// classOf goes from the particular to the general: a refusal of the guard and a failed look-up come
// wrapped in errors of the network, and a handshake can time out.
func classOf(err error) class {
	var blocked blockedError
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &blocked):
		return classBlocked
	case errors.As(err, &dns):
		return classDNS
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return classTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return classRefused
	case isReset(err):
		return classReset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return classUnreachable
	case isTLS(err):
		return classTLS
	}
	return classProtocol
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isTLS reads the text, because the errors of crypto/tls have no type in common. The text contains
// the URL, but a space cannot come from there.
func isTLS(err error) bool { return strings.Contains(err.Error(), " tls: ") }
