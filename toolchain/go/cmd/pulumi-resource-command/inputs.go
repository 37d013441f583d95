package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// inputs are the arguments of a command, with secrets unwrapped for use.
type inputs struct {
	create, update, delete string
	stdin                  string
	dir                    string
	interpreter            []string
	environment            map[string]string
	logging                string
	previousOutput         bool // PULUMI_COMMAND_STDOUT and _STDERR in the environment
}

// The properties that only the released plugin can honour.
var unsupported = []resource.PropertyKey{"assetPaths", "archivePaths"}

func parse(props resource.PropertyMap) inputs {
	in := inputs{previousOutput: true, environment: map[string]string{}}
	text := map[resource.PropertyKey]*string{
		"create": &in.create, "update": &in.update, "delete": &in.delete, "command": &in.create,
		"stdin": &in.stdin, "dir": &in.dir, "logging": &in.logging,
	}
	for key, target := range text {
		if value := reveal(props[key]); value.IsString() {
			*target = value.StringValue()
		}
	}
	if list := reveal(props["interpreter"]); list.IsArray() {
		for _, part := range list.ArrayValue() {
			in.interpreter = append(in.interpreter, plain(part))
		}
	}
	if env := reveal(props["environment"]); env.IsObject() {
		for name, value := range env.ObjectValue() {
			in.environment[string(name)] = plain(value)
		}
	}
	if add := reveal(props["addPreviousOutputInEnv"]); add.IsBool() {
		in.previousOutput = add.BoolValue()
	}
	return in
}

// updating is what runs when an input changed: `update`, or `create` again where there is none.
func (in inputs) updating() string {
	if in.update != "" {
		return in.update
	}
	return in.create
}

func (in inputs) environ(base []string, previous resource.PropertyMap) []string {
	env := append([]string{}, base...)
	for name, value := range in.environment {
		env = append(env, name+"="+value)
	}
	sort.Strings(env[len(base):])
	if in.previousOutput && previous != nil {
		env = append(env,
			"PULUMI_COMMAND_STDOUT="+plain(previous["stdout"]), "PULUMI_COMMAND_STDERR="+plain(previous["stderr"]))
	}
	return env
}

func (in inputs) arguments(command string) []string {
	interpreter := in.interpreter
	if len(interpreter) == 0 {
		interpreter = []string{"/bin/sh", "-c"}
	}
	return append(append([]string{}, interpreter...), command)
}

// logs says whether the lines of a stream ("stdout" or "stderr") are shown while the command runs.
func (in inputs) logs(stream string) bool {
	switch in.logging {
	case "", "stdoutAndStderr":
		return true
	default:
		return in.logging == stream
	}
}

func reveal(value resource.PropertyValue) resource.PropertyValue {
	for {
		switch {
		case value.IsSecret():
			value = value.SecretValue().Element
		case value.IsOutput():
			value = value.OutputValue().Element
		default:
			return value
		}
	}
}

func plain(value resource.PropertyValue) string {
	value = reveal(value)
	switch {
	case value.IsString():
		return value.StringValue()
	case value.IsNull(), value.IsComputed():
		return ""
	default:
		return strings.TrimSpace(fmt.Sprint(value.V))
	}
}
