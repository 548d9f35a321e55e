package uhppote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Port is the one that controllers listen at.
const Port = 60000

var (
	// errSilent says that a controller did not answer.
	errSilent = errors.New("the controller does not answer")
	// errRefused says that it answered no.
	errRefused = errors.New("the controller refused")
)

const (
	// answerTime is how long a controller has to answer, in a network of a building.
	answerTime = 800 * time.Millisecond
	// tries is how often it is asked what may be asked twice.
	tries = 3
)

// controller is one at an address. It answers a request with one packet of the same function, and
// checks nobody's identity: whoever reaches it commands it.
type controller struct {
	serial  uint32
	address netip.AddrPort
}

// ask sends a request until it is answered, some times: only for what may be done twice.
func (c controller) ask(ctx context.Context, request packet) (reply packet, err error) {
	for range tries {
		reply, err = c.once(ctx, request)
		if err == nil || ctx.Err() != nil {
			return reply, err
		}
	}
	return reply, err
}

// once sends a request and waits for its reply. A request of its own socket is answered there, so a
// late answer to another is not taken for it.
func (c controller) once(ctx context.Context, request packet) (packet, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", c.address.String())
	if err != nil {
		return packet{}, fmt.Errorf("reach controller: %w", err)
	}
	defer conn.Close() //nolint:errcheck // nothing is kept
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	if _, err := conn.Write(request[:]); err != nil {
		return packet{}, fmt.Errorf("%w: %w", errSilent, err)
	}
	buffer := make([]byte, len(packet{})+1)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return packet{}, fmt.Errorf("%w: %w", errSilent, err)
		}
		reply, err := parse(buffer[:n])
		if err == nil && reply.function() == request.function() && reply.serial() == c.serial {
			return reply, nil
		}
	}
}

// agree asks for what is answered by yes or no.
func (c controller) agree(ctx context.Context, request packet) error {
	reply, err := c.ask(ctx, request)
	if err != nil {
		return err
	}
	return said(reply)
}

func said(reply packet) error {
	yes, err := reply.yes(8)
	if err == nil && !yes {
		return errRefused
	}
	return err
}

func (c controller) status(ctx context.Context) (status, error) {
	reply, err := c.ask(ctx, newPacket(fnStatus, c.serial))
	if err != nil {
		return status{}, err
	}
	return reply.status()
}

// open energises a door's relay. It is asked once: it cannot be known of a second request whether it
// opens a second time.
func (c controller) open(ctx context.Context, port int) error {
	request := newPacket(fnOpen, c.serial)
	request[8] = byte(port) //nolint:gosec // from 1 to 4
	reply, err := c.once(ctx, request)
	if err != nil {
		return err
	}
	return said(reply)
}

func (c controller) time(ctx context.Context) (time.Time, error) {
	reply, err := c.ask(ctx, newPacket(fnTime, c.serial))
	if err != nil {
		return time.Time{}, err
	}
	return reply.dateTime(8)
}

func (c controller) setTime(ctx context.Context, t time.Time) error {
	request := newPacket(fnSetTime, c.serial)
	request.setDateTime(8, t)
	reply, err := c.ask(ctx, request)
	if err != nil {
		return err
	}
	_, err = reply.dateTime(8)
	return err
}

// control sets how a door is controlled, and says so only if the controller has it so.
func (c controller) control(ctx context.Context, port int, to control) error {
	reply, err := c.ask(ctx, setDoor(c.serial, port, to))
	if err != nil {
		return err
	}
	if int(reply[8]) != port || reply.control() != to {
		return errRefused
	}
	return nil
}

// event returns the record of an index. The zero index is that of the oldest, newest that of the last.
func (c controller) event(ctx context.Context, index uint32) (record, error) {
	request := newPacket(fnEvent, c.serial)
	request.setUint32(8, index)
	reply, err := c.ask(ctx, request)
	if err != nil {
		return record{}, err
	}
	return reply.record()
}

const (
	oldest = 0
	newest = 0xffffffff
)

// marked is how far somebody has read the log, as the controller was told; it keeps the number and
// does nothing with it.
func (c controller) marked(ctx context.Context) (uint32, error) {
	reply, err := c.ask(ctx, newPacket(fnEventIndex, c.serial))
	return reply.uint32(8), err
}

// mark has the controller keep a number. That it is the one that it had is answered no.
func (c controller) mark(ctx context.Context, index uint32) error {
	request := newPacket(fnSetEventIndex, c.serial)
	request.setUint32(8, index)
	request.setUint32(12, magic)
	_, err := c.ask(ctx, request)
	return err
}

// recordAll has the controller record that doors open and close, and that buttons are pressed.
func (c controller) recordAll(ctx context.Context) error {
	request := newPacket(fnSpecialEvents, c.serial)
	request[8] = 1
	return c.agree(ctx, request)
}

// Discover asks for controllers in a network, which a broadcast address reaches, until ctx ends.
func Discover(ctx context.Context, broadcast netip.AddrPort) (all []Found, err error) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return nil, fmt.Errorf("discover controllers: %w", err)
	}
	defer conn.Close() //nolint:errcheck // nothing is kept
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	request := newPacket(fnDevice, 0)
	if _, err := conn.WriteTo(request[:], net.UDPAddrFromAddrPort(broadcast)); err != nil {
		return nil, fmt.Errorf("discover controllers: %w", err)
	}
	seen := map[uint32]bool{}
	buffer := make([]byte, len(packet{})+1)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("discover controllers: %w", err)
		}
		reply, err := parse(buffer[:n])
		if err != nil || reply.function() != fnDevice || seen[reply.serial()] {
			continue
		}
		seen[reply.serial()] = true
		one := reply.found()
		if one.Address.Addr().IsUnspecified() { // it was given none; it is where it answers from
			one.Address = from.(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // of udp4
		}
		all = append(all, one)
	}
}
