// Package bucket puts the export of a log into an S3-compatible bucket, in parts, as it is written. It needs
// the memory of one part.
//
// Beside the object, under its key and ".resume", stands how far it has come, until it is whole. So whoever
// is killed leaves what another process, anywhere, goes on with: it has the log write what follows the last
// entry that is in the bucket, and leaves out what of that is there already. The object itself is there
// when it is whole, and not before.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// PartSize is that of every part but the last. A bucket takes 10,000 parts.
const PartSize = 16 << 20

// Place is where an export goes.
type Place struct {
	Bucket, Key string
	PartSize    int
	store       *minio.Core
}

// ErrUnknown is wrapped by the error for a place that is none, or whose credentials are missing.
var ErrUnknown = errors.New("name a bucket: s3://bucket/key?endpoint=https://…&region=…")

// Parse reads a place, such as s3://bucket/key?endpoint=https://storage.example.com&region=eu-1. What it does
// not say, and the credentials, are in the environment, under the names that the tools of AWS have for them.
func Parse(text string, env func(name string) string) (*Place, error) {
	at, err := url.Parse(text)
	if err != nil || at.Scheme != "s3" || at.Host == "" || len(at.Path) < 2 || strings.HasSuffix(at.Path, "/") {
		return nil, ErrUnknown
	}
	first := func(said string, names ...string) string {
		for _, name := range names {
			if said == "" {
				said = env(name)
			}
		}
		return said
	}
	asked := at.Query()
	endpoint, err := url.Parse(first(asked.Get("endpoint"), "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
	if err != nil || endpoint.String() != "" && (endpoint.Host == "" || strings.Trim(endpoint.Path, "/") != "") {
		return nil, fmt.Errorf("%w: the endpoint is no address", ErrUnknown)
	}
	if endpoint.Host == "" {
		endpoint = &url.URL{Scheme: "https", Host: "s3.amazonaws.com"}
	}
	id, secret := env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		return nil, fmt.Errorf("%w: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set", ErrUnknown)
	}
	region := first(asked.Get("region"), "AWS_REGION", "AWS_DEFAULT_REGION")
	if region == "" {
		region = "us-east-1"
	}
	store, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(id, secret, env("AWS_SESSION_TOKEN")),
		Secure: endpoint.Scheme != "http", Region: region,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return &Place{at.Host, strings.TrimPrefix(at.Path, "/"), PartSize, store}, nil
}

// Read opens the object.
func (p *Place) Read(ctx context.Context) (io.ReadCloser, error) {
	object, _, _, err := p.store.GetObject(ctx, p.Bucket, p.Key, minio.GetObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return object, nil
}

// String returns the place without what is asked of it.
func (p *Place) String() string { return "s3://" + p.Bucket + "/" + p.Key }
