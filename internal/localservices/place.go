package localservices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// longestSocketPath is what every system accepts: macOS allows 104 bytes, Linux 108.
const longestSocketPath = 100

// place is where the servers of one directory live. The directory itself, with the logs and the
// lock, stays ours; home, with the data, belongs to the user that the servers run as.
type place struct {
	dir     string
	name    string // the home as seen from dir, perhaps a link
	home    string
	sockets string // only the owner may enter it, which is the whole protection of both servers
	owner   *syscall.Credential
	lock    *os.File
}

// openPlace makes or finds the place of dir and locks it against other processes. Durable data and
// data that may be lost have homes of their own, so that neither is ever taken for the other.
func openPlace(dir string, durable bool) (*place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the directory of the services: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the services: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, lock: lock, name: filepath.Join(dir, "scratch")}
	if durable {
		p.name = filepath.Join(dir, "services")
	}
	if err := p.settle(durable); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", p.name, err), p.close())
	}
	return p, nil
}

// lockFile takes a lock that the kernel drops when this process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the services: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		_ = f.Close()
		return nil, fmt.Errorf("the services of %s are in use by process %s: %w",
			filepath.Dir(path), holder, err)
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d", os.Getpid()) // only for the message above
	}
	return f, nil
}

// settle decides the home, who owns it and where the sockets are.
func (p *place) settle(durable bool) error {
	info, err := os.Stat(p.name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = p.create(durable)
	case err == nil:
		err = p.adopt(info)
	}
	if err != nil {
		return err
	}
	if p.home, err = filepath.EvalSymlinks(p.name); err != nil {
		return err
	}
	return p.settleSockets()
}

// create makes a new home. What need not last goes into memory, where a database for each test
// costs a tenth of the time. Root gives the home to another user, and moves it to /var/tmp when
// that user cannot reach it, as below a home directory of mode 0700.
func (p *place) create(durable bool) (err error) {
	_ = os.Remove(p.name) // a link whose target is gone
	if os.Geteuid() == 0 {
		if p.owner, err = unprivileged(); err != nil {
			return err
		}
	}
	if memory := memoryDir(); !durable && memory != "" && p.createAway(memory) == nil {
		return nil
	}
	if err := p.make(p.name); err != nil {
		return err
	}
	if p.reaches(p.name) {
		return nil
	}
	if err := os.Remove(p.name); err != nil {
		return err
	}
	return p.createAway("/var/tmp")
}

// createAway makes the home in base and links to it. What lies there already has lost its link:
// whoever removed that wanted a new start.
func (p *place) createAway(base string) error {
	hash := sha256.Sum256(fmt.Appendf(nil, "%s %d", p.name, os.Geteuid()))
	away := filepath.Join(base, "cardea-"+hex.EncodeToString(hash[:8]))
	if err := os.RemoveAll(away); err != nil {
		return err
	}
	if err := p.make(away); err != nil {
		return err
	}
	return os.Symlink(away, p.name)
}

// adopt takes over a home that exists. Its owner is the only user that Postgres accepts for it.
func (p *place) adopt(info os.FileInfo) error {
	owner := info.Sys().(*syscall.Stat_t)
	switch {
	case int(owner.Uid) == os.Geteuid() && owner.Uid != 0:
		return nil
	case os.Geteuid() != 0:
		return fmt.Errorf("it belongs to user %d: start it as that user or as root, "+
			"or remove it to begin anew", owner.Uid)
	case owner.Uid == 0:
		return errors.New("it belongs to root, as whom Postgres does not run: remove it")
	}
	p.owner = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	return nil
}

// unprivileged is the user for the servers when we are root.
func unprivileged() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find a user to run Postgres as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group of user %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// make creates a directory that is the owner's alone.
func (p *place) make(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return p.give(path)
}

func (p *place) give(path string) error {
	if p.owner == nil {
		return nil
	}
	return os.Chown(path, int(p.owner.Uid), int(p.owner.Gid))
}

// reaches asks the kernel whether the owner can enter path, rather than interpret modes.
func (p *place) reaches(path string) bool {
	cmd := p.command(context.Background(), "/bin/sh", "-c", ":")
	cmd.Dir = path
	return cmd.Run() == nil
}

// command is a command that runs as the owner, in the home.
func (p *place) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return cmd
}

// settleSockets puts the sockets into the home, or under /tmp when the path would be too long for
// one. A link keeps the way to the latter, so that the next start can clear it away.
func (p *place) settleSockets() error {
	link := filepath.Join(p.dir, "sockets")
	if old, err := os.Readlink(link); err == nil {
		_ = errors.Join(os.RemoveAll(old), os.Remove(link))
	}
	p.sockets = filepath.Join(p.home, "sockets")
	if err := os.RemoveAll(p.sockets); err != nil {
		return fmt.Errorf("clear old sockets: %w", err)
	}
	if len(p.sockets)+len("/.s.PGSQL.5432.lock") <= longestSocketPath {
		return p.make(p.sockets)
	}
	var err error
	if p.sockets, err = os.MkdirTemp("/tmp", "cardea-"); err != nil {
		return fmt.Errorf("make a directory for sockets: %w", err)
	}
	return errors.Join(p.give(p.sockets), os.Symlink(p.sockets, link))
}

// close removes the sockets and lets others use the place.
func (p *place) close() error {
	if p.sockets != "" {
		_ = os.RemoveAll(p.sockets)
		_ = os.Remove(filepath.Join(p.dir, "sockets"))
	}
	return p.lock.Close()
}

// discard removes the data.
func (p *place) discard() error {
	if err := errors.Join(os.RemoveAll(p.home), os.RemoveAll(p.name)); err != nil {
		return fmt.Errorf("discard %s: %w", p.name, err)
	}
	return nil
}
