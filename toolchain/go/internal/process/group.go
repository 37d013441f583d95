// Package process runs children in process groups of their own, so that they can be stopped whole:
// the shell and what it started, the Python program and what it forked.
package process

import (
	"os/exec"
	"syscall"
	"time"
)

// InOwnGroup makes the command the leader of a new process group. A terminal's ctrl-C, and the SIGINT
// that the engine sends to a plugin's group, then reach us and not the child: we decide how it ends.
func InOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// Stop asks the command's group to end, and ends it when `done` has not closed within `grace`.
func Stop(cmd *exec.Cmd, done <-chan struct{}, grace time.Duration) {
	signal(cmd, syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(grace):
		signal(cmd, syscall.SIGKILL)
	}
}

func signal(cmd *exec.Cmd, sig syscall.Signal) {
	if cmd.Process != nil {
		// The group may be gone already; then there is nothing left to stop.
		_ = syscall.Kill(-cmd.Process.Pid, sig)
	}
}
