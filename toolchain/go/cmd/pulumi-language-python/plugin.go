package main

import (
	"errors"
	"os/exec"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// The engine's word for a policy pack.
const analyzer = "analyzer"

// RunPlugin runs a policy pack (kind "analyzer") or a provider written in Python, and streams its output.
func (h *languageHost) RunPlugin(
	req *pulumirpc.RunPluginRequest, stream pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	python, err := chooseInterpreter(req.GetInfo())
	if err != nil {
		return err
	}
	if req.GetKind() == analyzer {
		h.prepare(python)
	}
	cmd := pluginCommand(python, req)
	var sending sync.Mutex
	send := func(response *pulumirpc.RunPluginResponse) error {
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(response)
	}
	cmd.Stdout = writer(func(b []byte) error {
		return send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: b}})
	})
	cmd.Stderr = writer(func(b []byte) error {
		return send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: b}})
	})
	code := int32(0)
	var exit *exec.ExitError
	if err := h.run(stream.Context(), cmd); errors.As(err, &exit) {
		code = int32(exit.ExitCode())
	} else if err != nil {
		return err
	}
	return send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: code}})
}

func pluginCommand(python interpreter, req *pulumirpc.RunPluginRequest) *exec.Cmd {
	directory := req.GetInfo().GetProgramDirectory()
	var args []string
	dir := req.GetPwd()
	if req.GetKind() == analyzer {
		// In the pack's own folder, so that it imports its modules wherever `pulumi up` was typed.
		args = append([]string{"-u", "-m", "pulumi.policy"}, req.GetArgs()...)
		args = append(args, directory)
		dir = directory
	} else {
		args = append([]string{"-u", directory}, req.GetArgs()...)
	}
	cmd := exec.Command(python.path, args...)
	cmd.Dir = dir
	cmd.Env = python.activate(req.GetEnv())
	return cmd
}

type writer func([]byte) error

func (w writer) Write(b []byte) (int, error) {
	if err := w(b); err != nil {
		return 0, err
	}
	return len(b), nil
}
