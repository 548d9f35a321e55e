package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// lookThrough gives a request that a proxy of ours passed on the address of whom it was passed on for:
// of the addresses that X-Forwarded-For lists, the last that is none of our proxies'. What stands
// before that anybody may have written.
func (s *Server) lookThrough(next http.Handler) http.Handler {
	if len(s.proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = s.client(r)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) client(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := from.Addr().Unmap()
	passed := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(passed) - 1; i >= 0 && s.isProxy(ip); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(passed[i]))
		if err != nil {
			break
		}
		ip = before.Unmap()
	}
	return net.JoinHostPort(ip.String(), "0")
}

func (s *Server) isProxy(ip netip.Addr) bool {
	for _, network := range s.proxies {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}
