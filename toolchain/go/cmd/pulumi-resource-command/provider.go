package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

const (
	commandType = "command:local:Command"
	runFunction = "command:local:run"
)

// provider implements the resource's life: a trigger replaces, any other input updates in place.
type provider struct {
	plugin.UnimplementedProvider
	commands *running
	log      logFunc
}

func (p *provider) Handshake(
	context.Context, plugin.ProviderHandshakeRequest,
) (*plugin.ProviderHandshakeResponse, error) {
	return &plugin.ProviderHandshakeResponse{AcceptSecrets: true}, nil
}

func (p *provider) Close() error { return nil }

func (p *provider) GetPluginInfo(context.Context) (plugin.PluginInfo, error) {
	parsed, err := semver.Parse(version)
	return plugin.PluginInfo{Version: &parsed}, err
}

func (p *provider) GetSchema(context.Context, plugin.GetSchemaRequest) (plugin.GetSchemaResponse, error) {
	schema := fmt.Sprintf(`{"name":"command","version":%q}`, version)
	return plugin.GetSchemaResponse{Schema: []byte(schema)}, nil
}

func (p *provider) CheckConfig(
	_ context.Context, req plugin.CheckConfigRequest,
) (plugin.CheckConfigResponse, error) {
	return plugin.CheckConfigResponse{Properties: req.News}, nil
}

func (p *provider) DiffConfig(context.Context, plugin.DiffConfigRequest) (plugin.DiffConfigResponse, error) {
	return plugin.DiffConfigResponse{Changes: plugin.DiffNone}, nil
}

func (p *provider) Configure(context.Context, plugin.ConfigureRequest) (plugin.ConfigureResponse, error) {
	return plugin.ConfigureResponse{}, nil
}

func (p *provider) SignalCancellation(context.Context) error {
	p.commands.stopAll()
	return nil
}

// Check states the default that the released plugin states, so that their states compare as equal.
func (p *provider) Check(_ context.Context, req plugin.CheckRequest) (plugin.CheckResponse, error) {
	var failures []plugin.CheckFailure
	if req.Type != commandType {
		failures = append(failures, plugin.CheckFailure{Reason: fmt.Sprintf(
			"%s needs the released command plugin: this one provides %s only", req.Type, commandType)})
	}
	for _, key := range unsupported {
		if req.News.HasValue(key) {
			failures = append(failures, plugin.CheckFailure{Property: key,
				Reason: "needs the released command plugin"})
		}
	}
	checked := req.News.Copy()
	if !checked.HasValue("addPreviousOutputInEnv") {
		checked["addPreviousOutputInEnv"] = resource.NewProperty(true)
	}
	return plugin.CheckResponse{Properties: checked, Failures: failures}, nil
}

func (p *provider) Diff(_ context.Context, req plugin.DiffRequest) (plugin.DiffResponse, error) {
	changes := plugin.NewDetailedDiffFromObjectDiff(
		revealed(req.OldInputs).DiffIncludeUnknowns(revealed(req.NewInputs)), true)
	for path, change := range changes {
		if path == "triggers" || strings.HasPrefix(path, "triggers[") {
			changes[path] = change.ToReplace()
		}
	}
	result := plugin.DiffResponse{Changes: plugin.DiffNone, DetailedDiff: changes}
	if len(changes) > 0 {
		result.Changes = plugin.DiffSome
	}
	return result, nil
}

func (p *provider) Create(ctx context.Context, req plugin.CreateRequest) (plugin.CreateResponse, error) {
	in := parse(req.Properties)
	if req.Preview {
		return plugin.CreateResponse{Properties: outputs(req.Properties, unknown(in.create))}, nil
	}
	state, err := p.execute(ctx, req.URN, req.Properties, in, in.create, nil)
	if err != nil {
		return plugin.CreateResponse{}, err
	}
	id, err := resource.NewUniqueHex(req.URN.Name(), 8, 0)
	return plugin.CreateResponse{ID: resource.ID(id), Properties: state}, err
}

func (p *provider) Update(ctx context.Context, req plugin.UpdateRequest) (plugin.UpdateResponse, error) {
	in := parse(req.NewInputs)
	if req.Preview {
		return plugin.UpdateResponse{Properties: outputs(req.NewInputs, unknown(in.updating()))}, nil
	}
	state, err := p.execute(ctx, req.URN, req.NewInputs, in, in.updating(), req.OldOutputs)
	return plugin.UpdateResponse{Properties: state}, err
}

func (p *provider) Delete(ctx context.Context, req plugin.DeleteRequest) (plugin.DeleteResponse, error) {
	in := parse(req.Inputs)
	_, err := p.execute(ctx, req.URN, req.Inputs, in, in.delete, req.Outputs)
	return plugin.DeleteResponse{}, err
}

// Read has nothing to look at: what a command did is known to the command alone.
func (p *provider) Read(_ context.Context, req plugin.ReadRequest) (plugin.ReadResponse, error) {
	return plugin.ReadResponse{ReadResult: plugin.ReadResult{
		ID: req.ID, Inputs: req.Inputs, Outputs: req.State,
	}}, nil
}

// Invoke is `local.run`: the command runs at every preview and update, and is no resource.
func (p *provider) Invoke(ctx context.Context, req plugin.InvokeRequest) (plugin.InvokeResponse, error) {
	if req.Tok != runFunction {
		return plugin.InvokeResponse{}, fmt.Errorf("%s needs the released command plugin", req.Tok)
	}
	in := parse(req.Args)
	state, err := p.execute(ctx, "", req.Args, in, in.create, nil)
	return plugin.InvokeResponse{Properties: state}, err
}

func (p *provider) execute(
	ctx context.Context, urn resource.URN, props resource.PropertyMap, in inputs, command string,
	previous resource.PropertyMap,
) (resource.PropertyMap, error) {
	if command == "" {
		return outputs(props, result("", "")), nil
	}
	out, err := p.commands.run(ctx, urn, in, command, in.environ(os.Environ(), previous), p.log)
	if err != nil {
		return nil, err
	}
	return outputs(props, result(out.stdout, out.stderr)), nil
}
