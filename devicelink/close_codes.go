package devicelink

import (
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/access"
)

// CloseCode is why a link was closed, as the WebSocket close frame says it.
type CloseCode websocket.StatusCode

// The close codes. Those from 4500 on, and those that WebSocket itself has for a peer's mistakes,
// tell the device to go away; after any other end it reconnects.
const (
	CloseNormal        CloseCode = 1000
	CloseTooBig        CloseCode = 1009
	CloseInternal      CloseCode = 1011
	CloseRestart       CloseCode = 1012
	CloseTryLater      CloseCode = 1013
	CloseHelloTimeout  CloseCode = 4000
	CloseReportRefused CloseCode = 4001
	CloseProtocol      CloseCode = 4500
	CloseUnknownDevice CloseCode = 4501
	CloseRemoved       CloseCode = 4502
	CloseSuperseded    CloseCode = 4503
	CloseStaleLog      CloseCode = 4504
	CloseNoCommonKey   CloseCode = 4505
)

// CloseCodes lists them with their meaning, as docs/protocol.md prints it.
var CloseCodes = []struct {
	Code    CloseCode
	Name    string
	Meaning string
}{
	{CloseNormal, "NORMAL", "The device said good-bye."},
	{CloseInternal, "INTERNAL", "The server could not do its part."},
	{CloseRestart, "RESTART", "The server is stopping; another one answers."},
	{CloseTryLater, "TRY_LATER", "The server is overloaded, or the device has a newer link."},
	{CloseHelloTimeout, "HELLO_TIMEOUT", "No hello came within 5 seconds."},
	{CloseReportRefused, "REPORT_REFUSED", "The log entry whose sequence is the close reason can" +
		" never be recorded. The device sets it aside, then reconnects."},
	{CloseTooBig, "TOO_BIG", "A frame was larger than 65,536 bytes."},
	{CloseProtocol, "PROTOCOL", "A frame was malformed or out of place; the reason says which."},
	{CloseUnknownDevice, "UNKNOWN_DEVICE", "No such device, or not signed with its key: the same" +
		" answer, so nobody learns which devices exist."},
	{CloseRemoved, "REMOVED", "The device was removed while it was linked."},
	{CloseSuperseded, "SUPERSEDED", "A newer link with the same identity was opened. A device that" +
		" did not open it has lost its key to someone."},
	{CloseStaleLog, "STALE_LOG", "The server knows a later log epoch of this device: its storage" +
		" was put back, or its identity is used twice."},
	{CloseNoCommonKey, "NO_COMMON_KEY", "The server has none of the keys that the device knows it" +
		" by: the device must be enrolled anew."},
}

// Reconnect says whether the device shall open a new link, after a random delay: always, but for
// the codes that tell it to go away.
func (c CloseCode) Reconnect() bool {
	return (c < 1002 || c > 1003) && (c < 1007 || c > 1010) && c < 4500
}

func (c CloseCode) String() string {
	for _, known := range CloseCodes {
		if known.Code == c {
			return known.Name
		}
	}
	return fmt.Sprint(int(c))
}

// closing is the end of a link, as an error with the code that tells the device.
type closing struct {
	code   CloseCode
	reason string // for the device; at most 123 bytes
}

func (c closing) Error() string { return c.code.String() + ": " + c.reason }

var (
	errHelloTimeout  = closing{CloseHelloTimeout, "no hello"}
	errRestart       = closing{CloseRestart, "restarting"}
	errUnknownDevice = closing{CloseUnknownDevice, "unknown device"}
	errRemoved       = closing{CloseRemoved, "removed"}
	errSuperseded    = closing{CloseSuperseded, "superseded by a newer link"}
	errStaleHello    = closing{CloseTryLater, "a newer link is open"}
	errStaleLog      = closing{CloseStaleLog, "stale log epoch"}
	errNoCommonKey   = closing{CloseNoCommonKey, "no common key"}

	// errLost, errSilent and errSlow end links whose peer is not there to be told.
	errLost   = errors.New("connection lost")
	errSilent = errors.New("no answer to a heartbeat")
	errSlow   = errors.New("the peer does not read")
)

// untold names, for metrics, the ends that the device is not told of.
var untold = map[error]string{errLost: "LOST", errSilent: "SILENT", errSlow: "SLOW"}

// toldDevice returns what the device is told of the error that ended its link; false if it
// is beyond telling.
func toldDevice(err error) (closing, bool) {
	var told closing
	switch {
	case errors.As(err, &told):
		return told, true
	case untoldName(err) != "":
		return closing{}, false
	case errors.Is(err, access.ErrStaleEpoch):
		return errSuperseded, true
	case errors.Is(err, access.ErrStaleKey):
		return errUnknownDevice, true
	case errors.Is(err, access.ErrStaleHello):
		return errStaleHello, true
	case errors.Is(err, access.ErrStaleLog):
		return errStaleLog, true
	case access.IsCode(err, access.CodeNotFound):
		return errRemoved, true
	case errors.Is(err, ErrMalformed):
		return closing{CloseProtocol, shortened(err.Error())}, true
	case errors.Is(err, websocket.ErrMessageTooBig):
		return closing{CloseTooBig, "frame too large"}, true
	case websocket.CloseStatus(err) != -1:
		return closing{CloseNormal, ""}, true
	}
	return closing{CloseInternal, "internal error"}, true
}

// causeLabel names the cause of a link's end, for metrics and logs.
func causeLabel(err error) string {
	if told, ok := toldDevice(err); ok {
		return told.code.String()
	}
	return untoldName(err)
}

func untoldName(err error) string {
	for cause, name := range untold {
		if errors.Is(err, cause) {
			return name
		}
	}
	return ""
}

// shortened keeps a reason within a close frame.
func shortened(reason string) string { return reason[:min(len(reason), 120)] }
