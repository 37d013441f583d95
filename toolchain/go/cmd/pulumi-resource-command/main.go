// pulumi-resource-command provides `command:local:Command` where the released plugin can't be had. It
// behaves as version 1.2.1 does, so that a stack may move between the two; copying files over SSH
// (`command:remote`) and returning files as assets are left to the released one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	sdk "github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Set by the build from toolchain/versions.py.
var version = "0.0.0"

func main() {
	commands := &running{}
	stopOnSignal(commands)
	err := sdk.Main("command", func(engine *sdk.HostClient) (pulumirpc.ResourceProviderServer, error) {
		return plugin.NewProviderServer(&provider{commands: commands, log: logTo(engine)}), nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-command:", err)
		os.Exit(1)
	}
}

// stopOnSignal lets running commands end before we do: a shell left behind would go on working beside
// the next deploy's. SIGINT is how the engine ends a plugin, so it counts as well.
func stopOnSignal(commands *running) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		commands.stopAll()
		os.Exit(0)
	}()
}

func logTo(engine *sdk.HostClient) logFunc {
	return func(ctx context.Context, urn resource.URN, line string) {
		if engine != nil {
			// A line that can't be shown is still captured in the outputs.
			_ = engine.Log(ctx, diag.Info, urn, line)
		}
	}
}
