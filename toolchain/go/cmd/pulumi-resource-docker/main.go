// pulumi-resource-docker is the Terraform Docker provider behind the Terraform bridge, as the released
// plugin is. Tokens and property names are those that the `pulumi_docker` package sends.
package main

import (
	"fmt"

	"github.com/kreuzwerker/terraform-provider-docker/shim"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// Set by the build from toolchain/versions.py.
var version = "0.0.0"

// Docker's own limit is far higher; the released plugin cuts generated names here.
const longestName = 255

func main() {
	schema := fmt.Sprintf(`{"name":"docker","version":%q}`, version)
	tfbridge.Main("docker", version, provider(), []byte(schema))
}

func provider() tfbridge.ProviderInfo {
	return tfbridge.ProviderInfo{
		P:       shimv2.NewProvider(shim.New(version)),
		Name:    "docker",
		Version: version,
		Config: map[string]*tfbridge.SchemaInfo{
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources:      resources(),
		DataSources:    dataSources(),
		IgnoreMappings: []string{"docker_buildx_builder", "docker_compose"},
		MetadataInfo:   tfbridge.NewProviderMetadata([]byte("{}")),
	}
}

func resources() map[string]*tfbridge.ResourceInfo {
	return map[string]*tfbridge.ResourceInfo{
		// Two containers can't share a name, an address or a port: the old one goes first.
		"docker_container": {Tok: resource("Container"), DeleteBeforeReplace: true, Fields: fields{
			"name":              generatedName(),
			"command":           {Name: "command"}, // not "commands", unlike "entrypoints" and "envs"
			"networks_advanced": {Name: "networksAdvanced"},
		}},
		"docker_network":        {Tok: resource("Network"), Fields: fields{"name": generatedName()}},
		"docker_volume":         {Tok: resource("Volume"), Fields: fields{"name": generatedName()}},
		"docker_image":          {Tok: resource("RemoteImage")},
		"docker_tag":            {Tok: resource("Tag")},
		"docker_registry_image": {Tok: resource("RegistryImage")},
		"docker_plugin":         {Tok: resource("Plugin")},
		"docker_service":        {Tok: resource("Service")},
		"docker_secret":         {Tok: resource("Secret")},
		"docker_config":         {Tok: resource("ServiceConfig")},
	}
}

func dataSources() map[string]*tfbridge.DataSourceInfo {
	return map[string]*tfbridge.DataSourceInfo{
		"docker_network":                  {Tok: function("getNetwork")},
		"docker_image":                    {Tok: function("getRemoteImage")},
		"docker_registry_image":           {Tok: function("getRegistryImage")},
		"docker_registry_image_manifests": {Tok: function("getRegistryImageManifests")},
		"docker_plugin":                   {Tok: function("getPlugin")},
		"docker_logs":                     {Tok: function("getLogs")},
	}
}

type fields = map[string]*tfbridge.SchemaInfo

func generatedName() *tfbridge.SchemaInfo { return tfbridge.AutoName("name", longestName, "-") }

func resource(name string) tokens.Type {
	return tokens.Type("docker:index/" + string(name[0]|0x20) + name[1:] + ":" + name)
}

func function(name string) tokens.ModuleMember {
	return tokens.ModuleMember("docker:index/" + name + ":" + name)
}
