package access_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
)

func TestWebhookURLAccepts(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"https://example.com",
		"https://EXAMPLE.com./hook?token=x",
		"https://hooks.example.com:8443/a/b",
		"https://xn--bcher-kva.example:443/",
		"https://8.8.8.8/",
		"https://[2606:4700::1111]:4443/",
	} {
		if err := access.CheckWebhookURL(raw, false); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestWebhookURLRefuses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                  "whole URL",
		"example.com/hook":                  "whole URL",
		"https:///hook":                     "whole URL",
		"https://example.com:port/":         "whole URL",
		"https://exa mple.com/":             "plain ASCII",
		"https://example.com/\r\nHost: a":   "plain ASCII",
		"https://１２７.0.0.1/":                "plain ASCII",
		"http://example.com/":               "https",
		"ftp://example.com/":                "https",
		"https://user:pw@example.com/":      "user name",
		"https://example.com@127.0.0.1/":    "user name",
		"https://example.com/#top":          "fragment",
		"https://example.com/#":             "fragment",
		"https://example.com:80/":           "port",
		"https://example.com:22/":           "port",
		"https://example.com:0/":            "port",
		"https://example.com:65536/":        "port",
		"https://example.com:5432/":         "database",
		"https://example.com:6379/":         "database",
		"https://example.com:2375/":         "database",
		"https://intranet/":                 "full host name",
		"https://a..example.com/":           "full host name",
		"https://2130706433/":               "usual form",
		"https://127.1/":                    "usual form",
		"https://0177.0.0.1/":               "usual form",
		"https://0x7f000001/":               "usual form",
		"https://0x7f.0.0.0x1/":             "usual form",
		"https://127.0.0.1./":               "usual form",
		"https://a.example.com.0x/":         "usual form",
		"https://localhost/":                "inside",
		"https://LOCALHOST.:8443/":          "inside",
		"https://db.localhost/":             "inside",
		"https://printer.local/":            "inside",
		"https://metadata.google.internal/": "inside",
		"https://127.0.0.1/":                "inside",
		"https://169.254.169.254/latest/":   "inside",
		"https://[::1]/":                    "inside",
		"https://[::ffff:10.0.0.1]/":        "inside",
		"https://[64:ff9b::a00:1]/":         "inside",
		"https://[fe80::1%25eth0]/":         "inside",
		"https://[2606:4700::1111%25lo]/":   "inside",

		"https://" + strings.Repeat("a.", 130) + "com/":    "253",
		"https://example.com/" + strings.Repeat("a", 2048): "2048",
	} {
		if err := access.CheckWebhookURL(raw, false); err == nil {
			t.Errorf("%s was accepted", raw)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want a word of %q", raw, err, want)
		}
	}
}

func TestWebhookURLInsideIsLoopbackOnly(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"http://127.0.0.1:8080/": true,
		"http://localhost:8080/": true,
		"https://[::1]:8080/":    true,
		"http://[::1]:8080/":     true,
		"http://127.0.0.1:6379/": false,
		"http://127.0.0.1/":      false,
		"http://10.0.0.1:8080/":  false,
		"https://10.0.0.1/":      false,
		"http://8.8.8.8:8080/":   false,
		"http://example.com/":    false,
		"https://printer.local/": false,
	} {
		if err := access.CheckWebhookURL(raw, true); (err == nil) != ok {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestWebhookAddresses(t *testing.T) {
	t.Parallel()
	for text, public := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true,

		"0.0.0.0": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false,
		"127.255.255.254": false, "169.254.169.254": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false,
		"192.168.1.1": false, "198.19.0.1": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false,
		"::ffff:169.254.169.254": false, "64:ff9b::8.8.8.8": false, "64:ff9b:1::1": false,
		"100::1": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false,
		"3fff::1": false, "5f00::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"fe80::1": false, "fec0::1": false, "ff02::1": false, "2606:4700::1111%eth0": false,
	} {
		if err := access.CheckWebhookAddress(netip.MustParseAddr(text), false); (err == nil) != public {
			t.Errorf("%s: %v", text, err)
		}
	}
	if access.CheckWebhookAddress(netip.Addr{}, true) == nil {
		t.Error("no address at all was accepted")
	}
}

// FuzzCheckWebhookURL checks that whatever is accepted cannot mean an inside address, in any
// reading: not a literal one, not a number, and with no part that another parser may read apart.
func FuzzCheckWebhookURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com:8443/hook?a=b", "https://[2606:4700::1111]/", "http://127.0.0.1:8080",
		"https://0x7f.1/", "https://a@b.example/", "https://[::ffff:7f00:1]", "https://localhost.",
		"https://example.com\\@127.0.0.1", "https://%31%32%37.1/", "https://a.example:443:80/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if access.CheckWebhookURL(raw, false) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.User != nil || len(raw) > 2048 {
			t.Fatalf("accepted %q: %v", raw, err)
		}
		host := strings.TrimSuffix(u.Hostname(), ".")
		if strings.ContainsAny(host, "%\\/@?# \t\r\n") || !strings.ContainsAny(host, ".:") {
			t.Fatalf("accepted host %q", host)
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			if access.CheckWebhookAddress(addr, false) != nil {
				t.Fatalf("accepted address %s", addr)
			}
			return
		}
		last := host[strings.LastIndexByte(host, '.')+1:]
		if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(strings.ToLower(last), "0x") {
			t.Fatalf("accepted %q, which may be read as a number", host)
		}
	})
}
