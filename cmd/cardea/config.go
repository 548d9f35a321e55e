package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/mail"
	"github.com/cardea/cardea/stream"
)

// The roles of a node. Each scales alone; together they are the whole service.
const (
	roleAPI    = "api"    // GraphQL
	roleLink   = "link"   // device links
	roleWorker = "worker" // webhooks, and what is due
)

var allRoles = []string{roleAPI, roleLink, roleWorker}

// config is what the environment says.
type config struct {
	DatabaseURL    string
	DatabasePool   int
	Reserve        int
	Fence          pool.Fencing
	RedisURL       string
	RedisNamespace string
	Secrets        *seal.Keyring
	LogKeys        *signed.Keyring
	LinkKeys       *devicelink.Keyring
	Addr           string
	ServerName     string
	PublicURL      string
	Roles          []string
	InsideWebhooks bool
	SMTPURL        string
	MailFrom       string
	Proxies        []netip.Prefix
	Rates          graph.Rates
	PerUser        int
	PerAddress     int
	Trusted        map[string]string
	TrustedOnly    bool
	mailPage       http.Handler // of a demo
	LogLevel       slog.Level
	LogFormat      string
}

// variable is one variable of the environment.
type variable struct {
	name, standard, meaning string
	read                    func(*config, string) error
}

// environment is every variable that Cardea reads. The value of one that can hold a secret may also
// stand in a file that NAME_FILE names.
var environment = []variable{
	{"CARDEA_DATABASE_URL", "", "Postgres, as postgres://user@host/database?sslmode=verify-full",
		func(c *config, v string) error { c.DatabaseURL = v; return checkDatabaseURL(v) }},
	{"CARDEA_DATABASE_POOL", "10", "connections to Postgres, at most",
		func(c *config, v string) error { return readCount(&c.DatabasePool, v) }},
	{"CARDEA_DATABASE_RESERVE", "5", "more of them, for lockdowns, tokens and telling devices",
		func(c *config, v string) error { return readCount(&c.Reserve, v) }},
	{"CARDEA_DATABASE_FENCE", "all",
		"what row-level security holds: all, writes (reads go without) or off (a superuser's role)",
		func(c *config, v string) error {
			c.Fence = pool.Fencing(v)
			return checkOneOf(v, string(pool.FenceAll), string(pool.FenceWrites), string(pool.FenceOff))
		}},
	{"CARDEA_REDIS_URL", "", "Redis, as rediss://user:password@host:6379 or unix:///path",
		func(c *config, v string) error { c.RedisURL = v; return checkURL(v, "redis", "rediss", "unix") }},
	{"CARDEA_REDIS_NAMESPACE", "", "prefix of all keys and channels, to share a Redis",
		func(c *config, v string) error { c.RedisNamespace = v; return nil }},
	{"CARDEA_SECRETS", "", "what seals PINs, newest first, by commas or lines: openssl rand -base64 32",
		func(c *config, v string) (err error) { c.Secrets, err = readSecrets(v); return err }},
	{"CARDEA_LOG_KEYS", "", "what signs the audit log, newest first, as CARDEA_SECRETS; without, these do",
		func(c *config, v string) (err error) { c.LogKeys, err = readLogKeys(v, c.Secrets); return err }},
	{"CARDEA_LINK_KEYS", "", "what signs to devices, newest first, as CARDEA_SECRETS; without, these do",
		func(c *config, v string) (err error) { c.LinkKeys, err = readLinkKeys(v, c.Secrets); return err }},
	{"CARDEA_ADDR", "127.0.0.1:8080", "address to listen on",
		func(c *config, v string) error { c.Addr = v; return checkAddr(v) }},
	{"CARDEA_SERVER_NAME", "localhost", "public host name, which devices sign when they link",
		func(c *config, v string) error { c.ServerName = v; return checkName(v) }},
	{"CARDEA_PUBLIC_URL", "",
		"where people reach us, such as https://doors.example.com; without, links are of this machine",
		func(c *config, v string) error { c.PublicURL = v; return checkPublicURL(v) }},
	{"CARDEA_SMTP_URL", "", "sends codes to sign in, as smtp://user:password@host:587 or smtps://host:465",
		func(c *config, v string) error { c.SMTPURL = v; return optional(v, mail.CheckURL) }},
	{"CARDEA_MAIL_FROM", "Cardea <cardea@localhost>", "who mails are from",
		func(c *config, v string) error { c.MailFrom = v; return mail.CheckFrom(v) }},
	{"CARDEA_PROXIES", "", "networks of proxies before us, whose X-Forwarded-For is believed, by commas",
		func(c *config, v string) (err error) { c.Proxies, err = readNetworks(v); return err }},
	{"CARDEA_ROLES", strings.Join(allRoles, ","), "parts that this node runs",
		func(c *config, v string) error { c.Roles = strings.Split(v, ","); return checkRoles(c.Roles) }},
	{"CARDEA_RATE", "100:1000", "points that a token, or a user, may ask for: a second, and at once (docs/api.md)",
		func(c *config, v string) (err error) {
			c.Rates.User, err = readRate(v)
			c.Rates.Token = c.Rates.User
			return err
		}},
	{"CARDEA_RATE_ORGANIZATION", "1000:10000", "the same for all of an organization together",
		func(c *config, v string) (err error) { c.Rates.Organization, err = readRate(v); return err }},
	{"CARDEA_SOCKETS_PER_USER", "20", "WebSockets and streams of one user to one node, at most",
		func(c *config, v string) error { return readCount(&c.PerUser, v) }},
	{"CARDEA_SOCKETS_PER_ADDRESS", "200", "WebSockets and streams from one address to one node, at most",
		func(c *config, v string) error { return readCount(&c.PerAddress, v) }},
	{"CARDEA_TRUSTED_DOCUMENTS", "", "file of the GraphQL documents that are executed without limits: docs/api.md",
		func(c *config, v string) (err error) { c.Trusted, err = readDocuments(v); return err }},
	{"CARDEA_TRUSTED_DOCUMENTS_ONLY", "false", "execute no others",
		func(c *config, v string) (err error) { c.TrustedOnly, err = strconv.ParseBool(v); return err }},
	{"CARDEA_ALLOW_INSIDE_WEBHOOKS", "false",
		"let webhooks and identity providers be on this machine, by plain http: demos only",
		func(c *config, v string) (err error) { c.InsideWebhooks, err = strconv.ParseBool(v); return err }},
	{"CARDEA_LOG_LEVEL", "info", "debug, info, warn or error",
		func(c *config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
	{"CARDEA_LOG_FORMAT", "json", "json or text",
		func(c *config, v string) error { c.LogFormat = v; return checkOneOf(v, "json", "text") }},
}

// readConfig reads and checks the environment; the error lists every mistake at once.
func readConfig(env func(string) string, defaults map[string]string) (config, error) {
	var c config
	var mistakes []error
	for _, v := range environment {
		value, err := lookUp(env, v.name)
		if value == "" {
			value = v.standard
			if other, ok := defaults[v.name]; ok {
				value = other
			}
		}
		if err == nil {
			err = v.read(&c, value)
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", v.name, err))
		}
	}
	return c, errors.Join(mistakes...)
}

func lookUp(env func(string) string, name string) (string, error) {
	file := env(name + "_FILE")
	if !isSecret(name) || file == "" {
		return env(name), nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	return strings.TrimSpace(string(text)), err
}

// isSecret says of a variable that it holds a secret, or a URL with a password.
func isSecret(name string) bool {
	return name == "CARDEA_SECRETS" || name == "CARDEA_LOG_KEYS" ||
		name == "CARDEA_LINK_KEYS" ||
		strings.HasSuffix(name, "_URL") && name != "CARDEA_PUBLIC_URL"
}

func (c config) has(role string) bool { return slices.Contains(c.Roles, role) }

// variables describes the environment for the usage text.
func variables() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, v := range environment {
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", v.name, v.standard, v.meaning)
	}
	_ = table.Flush()
	return text.String()
}

// checkURL says nothing of the value: it may hold a password.
func checkURL(v string, schemes ...string) error {
	if v == "" {
		return errors.New("is not set")
	}
	u, err := url.Parse(v)
	if err != nil || !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("is not a URL of %s", strings.Join(schemes, ", "))
	}
	return nil
}

// checkDatabaseURL insists on an explicit sslmode, because the driver's default has changed.
func checkDatabaseURL(v string) error {
	if err := checkURL(v, "postgres", "postgresql"); err != nil {
		return err
	}
	if u, _ := url.Parse(v); !u.Query().Has("sslmode") {
		return errors.New("must name its sslmode, such as ?sslmode=verify-full")
	}
	return nil
}

// checkPublicURL insists on an origin: links begin with it, and browsers name it.
func checkPublicURL(v string) error {
	u, err := url.Parse(v)
	switch {
	case v == "":
		return nil
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", v != u.Scheme+"://"+u.Host:
		return errors.New("is not an origin, such as https://doors.example.com")
	}
	return nil
}

func optional(v string, check func(string) error) error {
	if v == "" {
		return nil
	}
	return check(v)
}

// readNetworks reads networks such as 10.0.0.0/8, with commas between.
func readNetworks(v string) (networks []netip.Prefix, err error) {
	for text := range strings.SplitSeq(v, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network, such as 10.0.0.0/8", text)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// readDocuments reads a manifest of documents, as graphql-codegen and relay-compiler write it: an object
// of texts by their hashes.
func readDocuments(path string) (documents map[string]string, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err == nil {
		err = json.Unmarshal(text, &documents)
	}
	if err != nil {
		return nil, fmt.Errorf("read a JSON object of documents: %w", err)
	}
	return documents, nil
}

// readRate reads points a second and points at once, such as 100:1000.
func readRate(v string) (r stream.Rate, err error) {
	perSecond, burst, _ := strings.Cut(v, ":")
	if readCount(&r.PerSecond, perSecond) != nil || readCount(&r.Burst, burst) != nil || r.Burst < r.PerSecond {
		return r, fmt.Errorf("%q is not points a second and points at once, such as 100:1000", v)
	}
	return r, nil
}

func checkAddr(v string) error {
	_, _, err := net.SplitHostPort(v)
	return err
}

func checkName(v string) error {
	if v == "" || strings.ContainsAny(v, "/: ") {
		return errors.New("is not a host name")
	}
	return nil
}

func checkRoles(roles []string) error {
	for _, role := range roles {
		if err := checkOneOf(role, allRoles...); err != nil {
			return err
		}
	}
	return nil
}

func checkOneOf(v string, allowed ...string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%q is not one of %s", v, strings.Join(allowed, ", "))
	}
	return nil
}

func readCount(to *int, v string) error {
	n, err := strconv.Atoi(v)
	if err == nil && n < 1 {
		err = errors.New("must be positive")
	}
	*to = n
	return err
}
