package localservices

import "syscall"

// followParent has the kernel send sig to the process when its parent is gone, even by SIGKILL.
func followParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// memoryDir returns a directory in memory with room for the databases of a test run, or nothing.
func memoryDir() string {
	const (
		dir        = "/dev/shm"
		tmpfsMagic = 0x01021994
		room       = 4 << 30
	)
	var fs syscall.Statfs_t
	err := syscall.Statfs(dir, &fs)
	if err != nil || fs.Type != tmpfsMagic || float64(fs.Bavail)*float64(fs.Bsize) < room {
		return ""
	}
	return dir
}
