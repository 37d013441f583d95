// Package shim gives the plugin the Terraform provider, whose constructor is internal to its module.
// The build copies this folder into the copy of that module.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/kreuzwerker/terraform-provider-docker/internal/provider"
)

// New returns the Docker provider.
func New(version string) *schema.Provider { return provider.New(version)() }
