package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"

	"ytempire/toolchain/internal/process"
)

// What the SDK's launcher exits with once the user has been shown the error.
const alreadyShown = 32

// A program asked to end has nothing to save: state is the engine's. It gets time to flush, no more.
const grace = 500 * time.Millisecond

//go:embed launch.py
var launch string

type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine   string
	launcher string

	mu      sync.Mutex
	stops   map[int]func()
	started int
	warm    *warm
}

func (h *languageHost) Handshake(
	context.Context, *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (h *languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version.Version}, nil
}

// GetRequiredPackages names none: the engine would go looking for each of them, and the plugins that a
// program uses are found when its resources are registered.
func (h *languageHost) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

func (h *languageHost) GetRequiredPlugins(
	context.Context, *pulumirpc.GetRequiredPluginsRequest,
) (*pulumirpc.GetRequiredPluginsResponse, error) {
	return &pulumirpc.GetRequiredPluginsResponse{}, nil
}

// InstallDependencies has nothing to do: the set-up program made the virtual environment.
func (h *languageHost) InstallDependencies(
	*pulumirpc.InstallDependenciesRequest, pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	return nil
}

func (h *languageHost) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.stopAll()
	return &emptypb.Empty{}, nil
}

// Run runs the program once, for a preview or an update.
func (h *languageHost) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	python, err := chooseInterpreter(req.GetInfo())
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	config, err := configuration(req)
	if err != nil {
		return nil, err
	}
	begin := order{
		Argv: append([]string{h.launcher}, h.programArgs(req)...),
		Dir:  req.GetInfo().GetProgramDirectory(),
		Env:  config,
	}
	if program := h.begun(python, begin); program != nil {
		return outcome(program.wait(ctx))
	}
	cmd := exec.Command(python.path, append([]string{"-u", "-c", launch}, begin.Argv...)...)
	cmd.Dir = begin.Dir
	cmd.Env = python.activate(os.Environ())
	for name, value := range config {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return outcome(h.run(ctx, cmd))
}

func outcome(err error) (*pulumirpc.RunResponse, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == alreadyShown:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("Program exited with status %d", exit.ExitCode())}, nil
	default:
		return &pulumirpc.RunResponse{Error: "Program stopped: " + err.Error()}, nil
	}
}

func (h *languageHost) programArgs(req *pulumirpc.RunRequest) []string {
	args := []string{
		"--monitor", req.GetMonitorAddress(), "--engine", h.engine,
		"--project", req.GetProject(), "--stack", req.GetStack(), "--organization", req.GetOrganization(),
		"--root_directory", req.GetInfo().GetRootDirectory(), "--pwd", req.GetPwd(),
		"--dry_run", strconv.FormatBool(req.GetDryRun()), "--parallel", strconv.Itoa(int(req.GetParallel())),
	}
	entry := req.GetInfo().GetEntryPoint()
	if entry == "" {
		entry = "."
	}
	return append(append(args, entry), req.GetArgs()...)
}

// configuration is how the SDK expects the stack's settings, and which of them are secret.
func configuration(req *pulumirpc.RunRequest) (map[string]string, error) {
	settings := req.GetConfig()
	if settings == nil {
		settings = map[string]string{}
	}
	secret := req.GetConfigSecretKeys()
	if secret == nil {
		secret = []string{}
	}
	values, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	keys, err := json.Marshal(secret)
	if err != nil {
		return nil, err
	}
	return map[string]string{"PULUMI_CONFIG": string(values), "PULUMI_CONFIG_SECRET_KEYS": string(keys)}, nil
}

// run runs a child in its own process group until it ends, the call is cancelled, or the host stops.
func (h *languageHost) run(ctx context.Context, cmd *exec.Cmd) error {
	started, err := h.start(cmd)
	if err != nil {
		return err
	}
	return started.wait(ctx)
}

// child is a process that the host has started and not yet seen ending.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // once done
}

func (h *languageHost) start(cmd *exec.Cmd) (*child, error) {
	process.InOwnGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	started := &child{cmd: cmd, done: make(chan struct{})}
	forget := h.remember(started.stop)
	go func() {
		started.err = cmd.Wait()
		forget()
		close(started.done)
	}()
	return started, nil
}

func (c *child) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		c.stop()
	case <-c.done:
	}
	<-c.done
	return c.err
}

func (c *child) stop() {
	process.Stop(c.cmd, c.done, grace)
}

func (h *languageHost) remember(stop func()) (forget func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stops == nil {
		h.stops = map[int]func(){}
	}
	h.started++
	id := h.started
	h.stops[id] = stop
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.stops, id)
	}
}

func (h *languageHost) stopAll() {
	h.mu.Lock()
	stops := h.stops
	h.stops = nil
	h.mu.Unlock()
	var ended sync.WaitGroup
	for _, stop := range stops {
		ended.Go(stop)
	}
	ended.Wait()
}
