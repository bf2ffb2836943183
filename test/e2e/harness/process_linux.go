package harness

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the process when the test binary ends,
// however it ends: a test that times out must leave no server behind.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
