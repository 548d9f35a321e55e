package graph

import (
	"context"
	"net/http"
	"net/netip"
	"sync"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// How many long connections there may be to one node, of one user and from one network.
const (
	defaultPerUser    = 20
	defaultPerAddress = 200
)

// counts are how many of something each of some has.
type counts[K comparable] struct {
	mu sync.Mutex
	of map[K]int
}

// take counts one more, unless there are as many as there may be. It is given back by release.
func (c *counts[K]) take(who K, most int) (release func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[who] >= most {
		return nil, false
	}
	if c.of == nil {
		c.of = map[K]int{}
	}
	c.of[who]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.of[who]--; c.of[who] == 0 {
			delete(c.of, who)
		}
	}, true
}

// headcount counts the long connections of a node.
type headcount struct {
	users    counts[typeid.User]
	networks counts[netip.Prefix]
}

var (
	errManyConnections = access.Error{Code: codeManyConnections,
		Message: "there are too many open connections of this user, or from this address"}
	tooManyConnections = &refused{status: http.StatusTooManyRequests, fault: errManyConnections, retry: 5}
)

// fromNetwork counts a connection for where it comes from. Without an address nothing is counted.
func (h *Handler) fromNetwork(ctx context.Context) (release func(), ok bool) {
	network, known := networkOf(actor.Address(ctx))
	if !known {
		return func() {}, true
	}
	return h.headcount.networks.take(network, orDefault(h.config.PerAddress, defaultPerAddress))
}

// ofUser counts a connection for who it is of.
func (h *Handler) ofUser(by actor.Actor) (release func(), ok bool) {
	return h.headcount.users.take(by.User, orDefault(h.config.PerUser, defaultPerUser))
}

// networkOf is what counts as one address: of IPv6, the 64 bits that one customer is given.
func networkOf(from netip.Addr) (netip.Prefix, bool) {
	from = from.Unmap().WithZone("")
	bits := 32
	if from.Is6() {
		bits = 64
	}
	network, err := from.Prefix(bits)
	return network, err == nil
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}
