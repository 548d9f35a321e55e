package access

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxWebhookURL  = 2048
	maxWebhookHost = 253
)

// errInside never says which address it was, so that a sender is no scanner of our network.
var errInside = errors.New("must not point at an inside, local or reserved address")

// CheckWebhookURL says what is wrong with the URL of a webhook endpoint, as text that continues the
// field's name. It accepts https to a full name or a public address, on port 443 or from 1024 up,
// unless that is the port of a database or a control plane. Inside allows loopback besides, also
// with plain http.
//
// Names are not resolved here: whoever sends checks CheckWebhookAddress on what it dials.
func CheckWebhookURL(raw string, inside bool) error {
	u, err := parseWebhookURL(raw)
	if err != nil {
		return err
	}
	loopback, err := checkWebhookHost(u.Hostname(), inside)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return errors.New("must use https")
	}
	return checkWebhookPort(u)
}

func parseWebhookURL(raw string) (*url.URL, error) {
	if len(raw) > maxWebhookURL {
		return nil, errors.New("must have at most 2048 characters")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("must be plain ASCII without spaces; write other names as xn--")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("must be a whole URL, such as https://example.com/hook")
	case u.User != nil:
		return nil, errors.New("must not contain a user name or password")
	case strings.Contains(raw, "#"):
		return nil, errors.New("must not have a fragment")
	}
	return u, nil
}

var (
	hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{1,63}$`)
	// numeric is the last label of a host that some resolvers read as an address: 2130706433,
	// 0177.1 or 0x7f.0.0.1.
	numeric = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)
)

// checkWebhookHost says besides whether the host is loopback by name or address.
func checkWebhookHost(host string, inside bool) (loopback bool, err error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback(), CheckWebhookAddress(addr, inside)
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	switch {
	case len(name) > maxWebhookHost:
		return false, errors.New("must have a host of at most 253 characters")
	case numeric.MatchString(name):
		return false, errors.New("must give an address in its usual form, such as 203.0.113.7")
	case isBelow(name, "localhost") && inside:
		return true, nil
	case isBelow(name, "localhost"), isBelow(name, "local"), isBelow(name, "internal"):
		return false, errInside
	case !hostName.MatchString(name):
		return false, errors.New("must have a full host name, such as hooks.example.com")
	}
	return false, nil
}

func isBelow(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// servicePorts are ports from 1024 up where no receiver of webhooks is, but something that a stray
// request may harm: databases, caches, container and cluster control.
var servicePorts = []int{
	1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4001, 5432, 5672, 5984, 6379, 6443,
	7000, 7001, 8500, 8600, 9042, 9092, 9200, 9300, 10250, 10255, 11211, 27017,
}

func checkWebhookPort(u *url.URL) error {
	if u.Port() == "" && u.Scheme == "https" {
		return nil
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || port != 443 && port < 1024 || port > 65535 {
		return errors.New("must use port 443, or one from 1024 to 65535")
	}
	if slices.Contains(servicePorts, port) {
		return errors.New("must not use the port of a database or a control service")
	}
	return nil
}

// CheckWebhookAddress refuses an address that no webhook may be sent to. It is meant for the moment
// of dialling, when a name can no longer change its meaning. Inside allows loopback.
//
// IPv6 outside global unicast is refused as a whole, and with it what wraps an IPv4 address.
func CheckWebhookAddress(addr netip.Addr, inside bool) error {
	if addr.Zone() != "" {
		return errInside
	}
	addr = addr.Unmap()
	if inside && addr.IsLoopback() {
		return nil
	}
	public := addr.Is4() || globalUnicast.Contains(addr)
	reserved := slices.ContainsFunc(reservedPrefixes, func(p netip.Prefix) bool {
		return p.Contains(addr)
	})
	if !public || reserved {
		return errInside
	}
	return nil
}

var globalUnicast = netip.MustParsePrefix("2000::/3")

// reservedPrefixes are the special-purpose ranges of the IANA registries for IPv4, and for IPv6
// those within globalUnicast.
var reservedPrefixes = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("10.0.0.0/8"),      // private
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local, cloud metadata
	netip.MustParsePrefix("172.16.0.0/12"),   // private
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocols
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),  // private
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("224.0.0.0/4"),     // multicast
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("2001::/23"),       // IETF protocols, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
}
