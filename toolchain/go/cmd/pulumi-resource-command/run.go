package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"ytempire/toolchain/internal/process"
)

// A switch that is told to stop needs time to move traffic back before it is killed.
const stopGrace = 20 * time.Second

type logFunc func(ctx context.Context, urn resource.URN, line string)

// running knows the commands under way, so that a cancelled deploy can end them.
type running struct {
	mu    sync.Mutex
	stops map[*exec.Cmd]chan struct{}
}

type output struct{ stdout, stderr string }

// run runs one command to its end, showing its lines as they come.
func (r *running) run(
	ctx context.Context, urn resource.URN, in inputs, command string, env []string, log logFunc,
) (output, error) {
	args := in.arguments(command)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = in.dir, env
	if in.stdin != "" {
		cmd.Stdin = strings.NewReader(in.stdin)
	}
	process.InOwnGroup(cmd)
	stdout, stderr, finish, err := r.start(ctx, urn, in, cmd, log)
	if err == nil {
		err = finish()
	}
	out := output{stdout: trimmed(stdout), stderr: trimmed(stderr)}
	if err != nil {
		return out, fmt.Errorf("%w: running %q:\n%s", err, command, out.stderr)
	}
	return out, nil
}

func (r *running) start(
	ctx context.Context, urn resource.URN, in inputs, cmd *exec.Cmd, log logFunc,
) (stdout, stderr *strings.Builder, finish func() error, err error) {
	stdout, stderr = &strings.Builder{}, &strings.Builder{}
	outPipe, err := cmd.StdoutPipe()
	if err != nil {
		return stdout, stderr, nil, err
	}
	errPipe, err := cmd.StderrPipe()
	if err != nil {
		return stdout, stderr, nil, err
	}
	if err := cmd.Start(); err != nil {
		return stdout, stderr, nil, err
	}
	ended := r.add(cmd)
	show := func(stream string) func(string) {
		if !in.logs(stream) {
			return func(string) {}
		}
		return func(line string) { log(ctx, urn, line) }
	}
	var reading sync.WaitGroup
	reading.Go(func() { collect(outPipe, stdout, show("stdout")) })
	reading.Go(func() { collect(errPipe, stderr, show("stderr")) })
	return stdout, stderr, func() error {
		reading.Wait() // the pipes must be read to the end before Wait closes them
		err := cmd.Wait()
		r.remove(cmd, ended)
		return err
	}, nil
}

// collect keeps everything, and hands over each line as it is complete.
func collect(from io.Reader, into *strings.Builder, show func(string)) {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		into.WriteString(line)
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			show(line)
		}
		if err != nil {
			return
		}
	}
}

func trimmed(text *strings.Builder) string { return strings.TrimSuffix(text.String(), "\n") }

func (r *running) add(cmd *exec.Cmd) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stops == nil {
		r.stops = map[*exec.Cmd]chan struct{}{}
	}
	ended := make(chan struct{})
	r.stops[cmd] = ended
	return ended
}

func (r *running) remove(cmd *exec.Cmd, ended chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stops, cmd)
	close(ended)
}

// stopAll returns when every command has ended, or was killed.
func (r *running) stopAll() {
	r.mu.Lock()
	var stopping sync.WaitGroup
	for cmd, ended := range r.stops {
		stopping.Go(func() { process.Stop(cmd, ended, stopGrace) })
	}
	r.mu.Unlock()
	stopping.Wait()
}
