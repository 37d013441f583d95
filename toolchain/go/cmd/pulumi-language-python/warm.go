package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Names the packages that a program is sure to import, with commas between. Only those of the virtual
// environment: a project's own are found from its folder, which is told with the program.
const warmVariable = "YTEMPIRE_WARM_IMPORTS"

// warm is a Python that imports what a program will, while the policies start: the engine waits for
// them before it asks for the program, and half of a program's start is its imports.
type warm struct {
	*child
	venv  string
	tells io.WriteCloser
}

// order is what it is told when its program's turn has come (launch.py). Secrets are in it, so it goes
// through a pipe.
type order struct {
	Argv []string          `json:"argv"`
	Dir  string            `json:"dir"`
	Env  map[string]string `json:"env"`
}

// prepare starts one. Where that fails, the program is started without it and says what is wrong.
func (h *languageHost) prepare(python interpreter) {
	imports := os.Getenv(warmVariable)
	if imports == "" || python.venv == "" {
		return
	}
	cmd := exec.Command(python.path, "-u", "-c", launch, "--warm", imports)
	cmd.Dir = "/" // Python looks for packages where it is started, too
	cmd.Env = python.activate(os.Environ())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	tells, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	started, err := h.start(cmd)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.warm != nil {
		_ = tells.Close() // another pack's came first: without an order it ends by itself
		return
	}
	h.warm = &warm{started, resolved(python.venv), tells}
}

// begun hands a program to the Python that waits for it; nil where none does in this environment.
func (h *languageHost) begun(python interpreter, program order) *child {
	h.mu.Lock()
	waiting := h.warm
	h.warm = nil
	h.mu.Unlock()
	if waiting == nil {
		return nil
	}
	told := waiting.venv == resolved(python.venv) && json.NewEncoder(waiting.tells).Encode(program) == nil
	// Without an order it ends by itself.
	_ = waiting.tells.Close()
	if !told {
		return nil
	}
	return waiting.child
}

func resolved(folder string) string {
	if found, err := filepath.EvalSymlinks(folder); err == nil {
		return found
	}
	return folder
}
