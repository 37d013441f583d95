package main

import "github.com/pulumi/pulumi/sdk/v3/go/common/resource"

// outputs are the inputs with what the command printed. A command that was given a secret may print it,
// so its output is then secret too.
func outputs(props, printed resource.PropertyMap) resource.PropertyMap {
	state := props.Copy()
	secret := props.ContainsSecrets()
	for key, value := range printed {
		if secret {
			value = resource.MakeSecret(value)
		}
		state[key] = value
	}
	return state
}

func result(stdout, stderr string) resource.PropertyMap {
	return resource.PropertyMap{
		"stdout": resource.NewProperty(stdout), "stderr": resource.NewProperty(stderr),
	}
}

// unknown is what a preview can say: nothing is printed where nothing will run.
func unknown(command string) resource.PropertyMap {
	if command == "" {
		return result("", "")
	}
	computed := resource.MakeComputed(resource.NewProperty(""))
	return resource.PropertyMap{"stdout": computed, "stderr": computed}
}

// revealed drops the secret wrappers: making a value secret is not a reason to run a command again.
func revealed(props resource.PropertyMap) resource.PropertyMap {
	out := resource.PropertyMap{}
	for key, value := range props {
		out[key] = revealedValue(value)
	}
	return out
}

func revealedValue(value resource.PropertyValue) resource.PropertyValue {
	value = reveal(value)
	switch {
	case value.IsArray():
		list := make([]resource.PropertyValue, 0, len(value.ArrayValue()))
		for _, element := range value.ArrayValue() {
			list = append(list, revealedValue(element))
		}
		return resource.NewProperty(list)
	case value.IsObject():
		return resource.NewProperty(revealed(value.ObjectValue()))
	default:
		return value
	}
}
