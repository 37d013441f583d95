package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

func venv(t *testing.T, root, name string) string {
	t.Helper()
	bin := filepath.Join(root, name, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "python"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, name)
}

func info(t *testing.T, root string, options map[string]any) *pulumirpc.ProgramInfo {
	t.Helper()
	fields, err := structpb.NewStruct(options)
	if err != nil {
		t.Fatal(err)
	}
	return &pulumirpc.ProgramInfo{RootDirectory: root, ProgramDirectory: root, Options: fields}
}

func TestVirtualenvOptionIsRelativeToTheProject(t *testing.T) {
	root := t.TempDir()
	want := venv(t, root, ".venv")
	got, err := chooseInterpreter(info(t, root, map[string]any{"virtualenv": ".venv"}))
	if err != nil || got.venv != want || got.path != filepath.Join(want, "bin", "python") {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestPackWithoutTheOptionRunsInTheEnvironmentOfTheDeploy(t *testing.T) {
	want := venv(t, t.TempDir(), "env")
	t.Setenv("VIRTUAL_ENV", want)
	got, err := chooseInterpreter(info(t, t.TempDir(), nil))
	if err != nil || got.venv != want {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestMissingVirtualenvIsASentenceWithTheNextCommand(t *testing.T) {
	_, err := chooseInterpreter(info(t, "/project", map[string]any{"virtualenv": ".venv"}))
	want := "the virtualenv option of /project names /project/.venv, which has no bin/python; " +
		"create it with `python3 -m toolchain setup`"
	if err == nil || err.Error() != want {
		t.Fatalf("got %v", err)
	}
}

func TestActivationPutsTheVirtualenvFirstAndDropsTheOldOne(t *testing.T) {
	got := interpreter{path: "/v/bin/python", venv: "/v"}.activate(
		[]string{"PATH=/usr/bin", "VIRTUAL_ENV=/old", "PYTHONHOME=/old", "KEPT=1"})
	if want := []string{"KEPT=1", "VIRTUAL_ENV=/v", "PATH=/v/bin:/usr/bin"}; !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
}

func TestErrorThatWasShownIsNotToldAgain(t *testing.T) {
	response, err := outcome(exec.Command("sh", "-c", "exit 32").Run())
	if err != nil || !response.GetBail() || response.GetError() != "" {
		t.Fatalf("got %v, %v", response, err)
	}
}

func TestOtherStatusIsTold(t *testing.T) {
	response, _ := outcome(exec.Command("sh", "-c", "exit 3").Run())
	if response.GetBail() || response.GetError() != "Program exited with status 3" {
		t.Fatalf("got %v", response)
	}
}

func TestLauncherRemembersThatARunErrorWasShown(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	dir := t.TempDir()
	// Stands in for the SDK: only what the launcher touches.
	write(t, filepath.Join(dir, "pulumi", "__init__.py"), "")
	write(t, filepath.Join(dir, "pulumi", "log.py"), "def error(text): print(text)\n")
	write(t, filepath.Join(dir, "exec"), "import pulumi.log, sys\n"+
		"if sys.argv[1] == 'shown': pulumi.log.error('no version')\nsys.exit(1)\n")
	for argument, want := range map[string]int{"shown": 32, "silent": 1} {
		cmd := exec.Command(python, "-c", launch, filepath.Join(dir, "exec"), argument)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
		if _ = cmd.Run(); cmd.ProcessState.ExitCode() != want {
			t.Errorf("%s: got %d, want %d", argument, cmd.ProcessState.ExitCode(), want)
		}
	}
}

func TestStoppedHostLeavesNoProgramBehind(t *testing.T) {
	host := &languageHost{}
	ended := make(chan error)
	go func() { ended <- host.run(context.Background(), exec.Command("sleep", "60")) }()
	for running := 0; running == 0; time.Sleep(time.Millisecond) {
		host.mu.Lock()
		running = len(host.stops)
		host.mu.Unlock()
	}
	host.stopAll()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Fatalf("got %v", err)
	}
}

// A Python of a virtual environment that imports what is in `dir`.
func pythonOf(t *testing.T, dir string) interpreter {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	root := t.TempDir()
	write(t, filepath.Join(root, "venv", "bin", "python"),
		"#!/bin/sh\nPYTHONPATH="+dir+" exec "+python+" \"$@\"\n")
	path := filepath.Join(root, "venv", "bin", "python")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return interpreter{path: path, venv: filepath.Join(root, "venv")}
}

func TestProgramIsGivenToThePythonThatHasItsPackages(t *testing.T) {
	dir, project := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "slow.py"), "here = True\n")
	write(t, filepath.Join(dir, "exec"), "import os, sys\nassert sys.modules['slow'].here\n"+
		"assert sys.stdin.read() == ''\nopen('told', 'w').write(sys.argv[1] + os.environ['PULUMI_CONFIG'])\n")
	t.Setenv(warmVariable, "absent,slow")
	host, python := &languageHost{}, pythonOf(t, dir)
	host.prepare(python)
	program := host.begun(python, order{
		[]string{filepath.Join(dir, "exec"), "up "}, project, map[string]string{"PULUMI_CONFIG": "{}"}})
	if program == nil {
		t.Fatal("no Python was ready")
	}
	if err := program.wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if told, _ := os.ReadFile(filepath.Join(project, "told")); string(told) != "up {}" {
		t.Fatalf("got %q", told)
	}
}

func TestPythonOfAnotherEnvironmentGetsNoProgramAndEnds(t *testing.T) {
	t.Setenv(warmVariable, "sys")
	host, dir := &languageHost{}, t.TempDir()
	host.prepare(pythonOf(t, dir))
	waiting := host.warm
	if host.begun(pythonOf(t, dir), order{}) != nil {
		t.Fatal("it was given to another environment's Python")
	}
	if err := waiting.wait(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsPreparedUnasked(t *testing.T) {
	t.Setenv(warmVariable, "")
	host := &languageHost{}
	host.prepare(pythonOf(t, t.TempDir()))
	if host.warm != nil {
		t.Fatal("a Python was started that nobody asked for")
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
