// pulumi-language-python is the engine's way to Python where the released one can't be had: it runs
// programs and policy packs with the interpreter of the project's virtual environment, and no more.
// Installing dependencies and generating code are left to the released host.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// How often we ask whether the engine still lives, so that a killed one leaves no program behind.
const engineCheckInterval = 5 * time.Second

func main() {
	// The engine may pass a tracing endpoint to any plugin; the SDK's logging defines its other flags.
	flag.String("tracing", "", "accepted and ignored")
	flag.Parse()
	if err := serve(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-python:", err)
		os.Exit(1)
	}
}

func serve(engine string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host := &languageHost{engine: engine, launcher: filepath.Join(filepath.Dir(self), "pulumi-language-python-exec")}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if engine != "" {
		if err := rpcutil.Healthcheck(ctx, engine, engineCheckInterval, cancel); err != nil {
			return err
		}
	}
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Init: func(srv *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(srv, host)
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(handle.Port)
	// The engine waits seconds for a host that lingers over open calls: no graceful stop of the server.
	select {
	case <-ctx.Done():
		host.stopAll()
		return nil
	case err := <-handle.Done:
		host.stopAll()
		return err
	}
}
