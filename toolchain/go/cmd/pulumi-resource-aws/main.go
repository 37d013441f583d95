// pulumi-resource-aws is the Terraform AWS provider, cut down to what we declare, behind the Terraform
// bridge, as the released plugin is behind it whole.
package main

import (
	"context"
	_ "embed"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"ytempire/toolchain/internal/awsprovider"
)

// Written by generate-aws-schema during the build.
//
//go:embed schema.json
var schema []byte

func main() { tfbridge.MainWithMuxer(context.Background(), "aws", awsprovider.Info(), schema) }
