package localservices

import "syscall"

// followParent has the kernel send sig to the process when its parent is gone, even by SIGKILL.
func followParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
