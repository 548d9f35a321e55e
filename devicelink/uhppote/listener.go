package uhppote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Listener hears controllers: each sends what it records, once, to the one address that it was told.
// That may be lost. It is taken as news that there is something to ask for, so no stranger can make
// anything of it but a question to the controller.
type Listener struct {
	conn *net.UDPConn

	mu   sync.Mutex
	ears map[uint32]func() // by serial number
}

// Listen opens a listener at an address.
func Listen(ctx context.Context, address string) (*Listener, error) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", address)
	if err != nil {
		return nil, fmt.Errorf("listen for controllers: %w", err)
	}
	return &Listener{
		conn: conn.(*net.UDPConn), ears: map[uint32]func(){}, //nolint:forcetypeassert // of udp4
	}, nil
}

// Run hears until ctx ends.
func (l *Listener) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = l.conn.Close() })()
	buffer := make([]byte, len(packet{})+1)
	for {
		n, err := l.conn.Read(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("listen for controllers: %w", err)
		}
		p, wrong := parse(buffer[:n])
		if err != nil || wrong != nil || p.function() != fnStatus {
			continue
		}
		l.mu.Lock()
		tell := l.ears[p.serial()]
		l.mu.Unlock()
		if tell != nil {
			tell()
		}
	}
}

// hear has a controller's news told until leave is called.
func (l *Listener) hear(serial uint32, tell func()) (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ears[serial] = tell
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ears, serial)
	}
}

// reachedFrom is the listener's address as a controller reaches it.
func (l *Listener) reachedFrom(ctx context.Context, controller netip.AddrPort) (netip.AddrPort, error) {
	own := l.conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // of udp4
	if !own.Addr().IsUnspecified() {
		return netip.AddrPortFrom(own.Addr().Unmap(), own.Port()), nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", controller.String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find own address: %w", err)
	}
	defer conn.Close()                                 //nolint:errcheck // nothing was sent
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // of udp4
	return netip.AddrPortFrom(from.Addr().Unmap(), own.Port()), nil
}
