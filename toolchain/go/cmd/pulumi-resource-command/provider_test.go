package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

const urn = resource.URN("urn:pulumi:dev::trial::command:local:Command::step")

type shown struct {
	mu    sync.Mutex
	lines []string
}

func (s *shown) log(_ context.Context, _ resource.URN, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func newProvider() (*provider, *shown) {
	lines := &shown{}
	return &provider{commands: &running{}, log: lines.log}, lines
}

func props(values map[string]any) resource.PropertyMap { return resource.NewPropertyMapFromMap(values) }

func create(t *testing.T, values map[string]any) (plugin.CreateResponse, error) {
	t.Helper()
	p, _ := newProvider()
	return p.Create(context.Background(), plugin.CreateRequest{URN: urn, Properties: props(values)})
}

func diff(t *testing.T, old, new map[string]any) plugin.DiffResponse {
	t.Helper()
	p, _ := newProvider()
	result, err := p.Diff(context.Background(), plugin.DiffRequest{OldInputs: props(old), NewInputs: props(new)})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestOutputIsCapturedWithoutItsLastNewline(t *testing.T) {
	state, err := create(t, map[string]any{"create": "echo out; echo err >&2"})
	if err != nil || state.Properties["stdout"].V != "out" || state.Properties["stderr"].V != "err" {
		t.Fatalf("got %v, %v", state.Properties, err)
	}
}

func TestLinesAreShownWhileTheCommandRuns(t *testing.T) {
	p, lines := newProvider()
	_, err := p.Create(context.Background(), plugin.CreateRequest{
		URN: urn, Properties: props(map[string]any{"create": "echo one; echo two >&2", "logging": "stdout"})})
	if got := strings.Join(lines.lines, ","); err != nil || got != "one" {
		t.Fatalf("shown %q, %v", got, err)
	}
}

func TestStdinEnvironmentDirAndInterpreterReachTheCommand(t *testing.T) {
	dir, _ := filepath.EvalSymlinks(t.TempDir())
	state, err := create(t, map[string]any{
		"create": "read line; echo $line $NAME $(pwd) $0", "stdin": "in\n", "dir": dir,
		"environment": map[string]any{"NAME": "value"}, "interpreter": []any{"/bin/sh", "-c"},
	})
	if want := "in value " + dir + " /bin/sh"; err != nil || state.Properties["stdout"].V != want {
		t.Fatalf("got %v, %v", state.Properties["stdout"], err)
	}
}

func TestFailureNamesTheStatusTheCommandAndItsStderr(t *testing.T) {
	_, err := create(t, map[string]any{"create": "echo ignored; echo broken >&2; exit 3"})
	want := "exit status 3: running \"echo ignored; echo broken >&2; exit 3\":\nbroken"
	if err == nil || err.Error() != want {
		t.Fatalf("got %v", err)
	}
}

func TestSecretInputMakesTheOutputSecret(t *testing.T) {
	p, _ := newProvider()
	in := resource.PropertyMap{"create": resource.NewProperty("echo $S"), "environment": resource.NewProperty(
		resource.PropertyMap{"S": resource.MakeSecret(resource.NewProperty("hidden"))})}
	state, err := p.Create(context.Background(), plugin.CreateRequest{URN: urn, Properties: in})
	if err != nil || !state.Properties["stdout"].IsSecret() || !state.Properties["environment"].ContainsSecrets() {
		t.Fatalf("got %v, %v", state.Properties, err)
	}
}

func TestChangedTriggerReplacesAndCreatesTheNewOneFirst(t *testing.T) {
	result := diff(t, map[string]any{"create": "a", "triggers": []any{"1"}},
		map[string]any{"create": "a", "triggers": []any{"2"}})
	change := result.DetailedDiff["triggers[0]"]
	if result.Changes != plugin.DiffSome || !change.Kind.IsReplace() || result.DeleteBeforeReplace {
		t.Fatalf("got %+v", result)
	}
}

func TestAnyOtherChangedInputUpdates(t *testing.T) {
	result := diff(t, map[string]any{"create": "a", "stdin": "x"}, map[string]any{"create": "b", "stdin": "x"})
	if len(result.DetailedDiff) != 1 || result.DetailedDiff["create"].Kind != plugin.DiffUpdate {
		t.Fatalf("got %+v", result)
	}
}

func TestMakingAnInputSecretIsNoChange(t *testing.T) {
	p, _ := newProvider()
	old, secret := resource.NewProperty("x"), resource.MakeSecret(resource.NewProperty("x"))
	result, err := p.Diff(context.Background(), plugin.DiffRequest{
		OldInputs: resource.PropertyMap{"stdin": old}, NewInputs: resource.PropertyMap{"stdin": secret}})
	if err != nil || result.Changes != plugin.DiffNone {
		t.Fatalf("got %+v, %v", result, err)
	}
}

func TestUpdateRunsUpdateOrElseCreateAgain(t *testing.T) {
	for command, in := range map[string]map[string]any{
		"updated": {"create": "echo created", "update": "echo updated"}, "created": {"create": "echo created"}} {
		p, _ := newProvider()
		state, err := p.Update(context.Background(), plugin.UpdateRequest{URN: urn, NewInputs: props(in)})
		if err != nil || state.Properties["stdout"].V != command {
			t.Fatalf("got %v, %v", state.Properties, err)
		}
	}
}

func TestPreviousOutputIsInTheEnvironmentUnlessDeclined(t *testing.T) {
	for _, add := range []bool{true, false} {
		p, _ := newProvider()
		state, err := p.Update(context.Background(), plugin.UpdateRequest{URN: urn,
			NewInputs:  props(map[string]any{"create": "echo [$PULUMI_COMMAND_STDOUT]", "addPreviousOutputInEnv": add}),
			OldOutputs: props(map[string]any{"stdout": "before", "stderr": ""})})
		want := map[bool]string{true: "[before]", false: "[]"}[add]
		if err != nil || state.Properties["stdout"].V != want {
			t.Fatalf("got %v, %v", state.Properties["stdout"], err)
		}
	}
}

func TestPreviewRunsNothing(t *testing.T) {
	p, _ := newProvider()
	file := filepath.Join(t.TempDir(), "ran")
	state, err := p.Create(context.Background(), plugin.CreateRequest{
		URN: urn, Preview: true, Properties: props(map[string]any{"create": "touch " + file})})
	if _, missing := os.Stat(file); err != nil || missing == nil || !state.Properties["stdout"].IsComputed() {
		t.Fatalf("got %v, %v", state.Properties, err)
	}
}

func TestCancelAsksTheWholeGroupToEndAndWaitsForIt(t *testing.T) {
	p, lines := newProvider()
	failed := make(chan error)
	go func() {
		_, err := p.Create(context.Background(), plugin.CreateRequest{URN: urn, Properties: props(map[string]any{
			"create": `trap 'echo undone; exit 9' TERM; echo started; while :; do sleep 0.05; done`})})
		failed <- err
	}()
	for started := false; !started; time.Sleep(10 * time.Millisecond) {
		lines.mu.Lock()
		started = len(lines.lines) > 0
		lines.mu.Unlock()
	}
	_ = p.SignalCancellation(context.Background())
	err := <-failed
	if err == nil || !strings.HasPrefix(err.Error(), "exit status 9: running") || lines.lines[1] != "undone" {
		t.Fatalf("got %v, shown %v", err, lines.lines)
	}
}

func TestAssetPathsAreRefusedBeforeAnythingRuns(t *testing.T) {
	p, _ := newProvider()
	checked, err := p.Check(context.Background(), plugin.CheckRequest{
		Type: commandType, News: props(map[string]any{"create": "a", "assetPaths": []any{"*"}})})
	if err != nil || len(checked.Failures) != 1 || checked.Failures[0].Property != "assetPaths" {
		t.Fatalf("got %+v, %v", checked, err)
	}
}
