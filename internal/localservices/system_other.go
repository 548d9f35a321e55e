//go:build unix && !linux

package localservices

import "syscall"

// followParent does nothing: only Linux can tell a process that its parent is gone. The next start
// finds the server by its pid file and ends it.
func followParent(*syscall.SysProcAttr, syscall.Signal) {}

// memoryDir returns nothing: there is no directory in memory that every user may write to.
func memoryDir() string { return "" }
