// generate-aws-schema writes what the aws plugin embeds: its schema, and which half of the Terraform
// provider serves which resource. The build runs it between compiling the provider and linking the plugin.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"

	"ytempire/toolchain/internal/awsprovider"
)

func main() { tfgen.MainWithMuxer("aws", awsprovider.Info()) }
