package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/journal/signed"
)

// readSecrets makes the keyring of CARDEA_SECRETS. What is wrong is said without what stands there.
func readSecrets(text string) (*seal.Keyring, error) {
	secrets, err := seal.ParseSecrets(text)
	if err != nil {
		return nil, err
	}
	if len(secrets) == 0 {
		return nil, errors.New("is not set: make one with openssl rand -base64 32, and keep it")
	}
	return seal.NewKeyring(secrets...)
}

// readLogKeys makes the ring of CARDEA_LOG_KEYS, or one of the secrets.
func readLogKeys(text string, secrets *seal.Keyring) (*signed.Keyring, error) {
	if text != "" || secrets == nil {
		return signed.ParseKeys(text)
	}
	return signed.NewKeyring(secrets.LogSeeds()...)
}

// readLinkKeys makes the ring of CARDEA_LINK_KEYS, or one of the secrets.
func readLinkKeys(text string, secrets *seal.Keyring) (*devicelink.Keyring, error) {
	if text != "" || secrets == nil {
		seeds, err := seal.ParseSecrets(text)
		if err != nil {
			return nil, err
		}
		return devicelink.NewKeyring(seeds...)
	}
	return devicelink.NewKeyring(secrets.LinkSeeds()...)
}

// newSecret is what openssl rand -base64 32 prints.
func newSecret() string {
	secret := make([]byte, seal.SecretSize)
	_, _ = rand.Read(secret) // never fails
	return base64.StdEncoding.EncodeToString(secret)
}

// keepSecrets returns an environment with secrets: its own, or one in a file that it makes once.
func keepSecrets(env func(string) string, path string) (func(string) string, error) {
	if own, err := lookUp(env, "CARDEA_SECRETS"); own != "" || err != nil {
		return env, err
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = writePrivate(path, []byte(newSecret()+"\n"))
	}
	return with(env, "CARDEA_SECRETS_FILE", path), err
}

// writePrivate replaces a file that holds secrets, whole or not at all; when it returns, for good.
func writePrivate(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	fresh := path + ".new"
	file, err := os.OpenFile(fresh, //nolint:gosec // G304: a path of the operator's
		os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory has the names of a directory's files on the disk when it returns.
func syncDirectory(path string) error {
	dir, err := os.Open(path) //nolint:gosec // G304: a path of the operator's
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
