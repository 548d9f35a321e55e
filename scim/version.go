package scim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// versionOf is the ETag of what changed last at an instant; parts tell what the instant does not.
func versionOf(changed time.Time, parts ...string) string {
	all := append([]string{strconv.FormatInt(changed.UnixMicro(), 36)}, parts...)
	return `W/"` + strings.Join(all, ".") + `"`
}

// matches says whether a header of conditions names a version. That it is weak means nothing.
func matches(header, version string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || tag != "" && strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(version, "W/") {
			return true
		}
	}
	return false
}

// unchanged fails if a request is for another version than there is.
func unchanged(r *http.Request, version string) error {
	if header := r.Header.Get("If-Match"); header != "" && !matches(header, version) {
		return &failure{status: http.StatusPreconditionFailed, detail: "it has changed since: read it again"}
	}
	return nil
}

func metaOf(kind string, created, changed time.Time, version, location string) resource {
	return resource{
		"resourceType": kind, "version": version, "location": location,
		"created":      created.UTC().Format(time.RFC3339Nano),
		"lastModified": changed.UTC().Format(time.RFC3339Nano),
	}
}
