package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// interpreter is the Python that runs a program or a policy pack, and the environment it needs.
type interpreter struct {
	path string
	venv string // empty for the system's Python
}

// chooseInterpreter honours `runtime.options.virtualenv` of Pulumi.yaml or PulumiPolicy.yaml. A policy
// pack rarely names one: it then runs in the environment that the deploy itself was started from.
func chooseInterpreter(info *pulumirpc.ProgramInfo) (interpreter, error) {
	if venv := info.GetOptions().GetFields()["virtualenv"].GetStringValue(); venv != "" {
		if !filepath.IsAbs(venv) {
			venv = filepath.Join(info.GetRootDirectory(), venv)
		}
		return inVirtualenv(venv, "the virtualenv option of "+info.GetRootDirectory())
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		return inVirtualenv(venv, "VIRTUAL_ENV")
	}
	path, err := exec.LookPath("python3")
	if err != nil {
		return interpreter{}, fmt.Errorf("no python3 on PATH; install Python 3.11 or later")
	}
	return interpreter{path: path}, nil
}

func inVirtualenv(venv, source string) (interpreter, error) {
	path := filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(path); err != nil {
		return interpreter{}, fmt.Errorf(
			"%s names %s, which has no bin/python; create it with `python3 -m toolchain setup`", source, venv)
	}
	return interpreter{path: path, venv: venv}, nil
}

// activate returns the environment as `. bin/activate` would leave it.
func (i interpreter) activate(environ []string) []string {
	if i.venv == "" {
		return environ
	}
	var out []string
	searchPath := ""
	for _, entry := range environ {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case "PATH":
			searchPath = value
		case "PYTHONHOME", "VIRTUAL_ENV":
		default:
			out = append(out, entry)
		}
	}
	bin := filepath.Join(i.venv, "bin")
	return append(out, "VIRTUAL_ENV="+i.venv, "PATH="+bin+string(os.PathListSeparator)+searchPath)
}
