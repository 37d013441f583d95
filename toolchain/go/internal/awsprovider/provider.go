// Package awsprovider describes to the bridge what of the AWS provider we declare: object storage, the
// identities that reach it and the keys that encrypt it. Everything else is left out of the build.
package awsprovider

import (
	"context"
	_ "embed"

	"github.com/hashicorp/terraform-provider-aws/shim"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	tfshim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// Version is set by the build from toolchain/versions.py.
var Version = "0.0.0"

// Which half of the provider serves which resource. The generator writes it during the build.
//
//go:embed bridge-metadata.json
var metadata []byte

// What we declare: the Terraform type, and the module and name in the `pulumi_aws` package.
var declared = map[string][2]string{
	"aws_s3_bucket":                                      {"s3", "Bucket"},
	"aws_s3_bucket_lifecycle_configuration":              {"s3", "BucketLifecycleConfiguration"},
	"aws_s3_bucket_logging":                              {"s3", "BucketLogging"},
	"aws_s3_bucket_object_lock_configuration":            {"s3", "BucketObjectLockConfiguration"},
	"aws_s3_bucket_ownership_controls":                   {"s3", "BucketOwnershipControls"},
	"aws_s3_bucket_policy":                               {"s3", "BucketPolicy"},
	"aws_s3_bucket_public_access_block":                  {"s3", "BucketPublicAccessBlock"},
	"aws_s3_bucket_server_side_encryption_configuration": {"s3", "BucketServerSideEncryptionConfiguration"},
	"aws_s3_bucket_versioning":                           {"s3", "BucketVersioning"},
	"aws_iam_access_key":                                 {"iam", "AccessKey"},
	"aws_iam_policy":                                     {"iam", "Policy"},
	"aws_iam_user":                                       {"iam", "User"},
	"aws_iam_user_policy":                                {"iam", "UserPolicy"},
	"aws_iam_user_policy_attachment":                     {"iam", "UserPolicyAttachment"},
	"aws_kms_alias":                                      {"kms", "Alias"},
	"aws_kms_key":                                        {"kms", "Key"},
}

// Functions of the framework half, which the bridge wants mapped or ignored like everything else.
var functions = []string{"arn_build", "arn_parse", "trim_iam_role_path", "user_agent"}

// Info is the bridge's description of the provider; it panics only on a build that can't work.
func Info() tfbridge.ProviderInfo {
	ctx := context.Background()
	older, newer, err := shim.New(ctx)
	if err != nil {
		panic(err)
	}
	provider := pf.MuxShimWithDisjointgPF(ctx, shimv2.NewProvider(older), newer)
	return tfbridge.ProviderInfo{
		P:              provider,
		Name:           "aws",
		Version:        Version,
		Resources:      resources(),
		IgnoreMappings: undeclared(provider),
		MetadataInfo:   tfbridge.NewProviderMetadata(metadata),
		// Names the documentation's folder, which this build has no use for.
		UpstreamRepoPath: ".",
	}
}

func resources() map[string]*tfbridge.ResourceInfo {
	mapped := map[string]*tfbridge.ResourceInfo{}
	for terraform, pulumi := range declared {
		mapped[terraform] = &tfbridge.ResourceInfo{Tok: token(pulumi[0], pulumi[1])}
	}
	return mapped
}

func token(module, name string) tokens.Type {
	return tokens.Type("aws:" + module + "/" + string(name[0]|0x20) + name[1:] + ":" + name)
}

func undeclared(provider tfshim.Provider) []string {
	ignored := append([]string{}, functions...)
	provider.ResourcesMap().Range(func(name string, _ tfshim.Resource) bool {
		if _, found := declared[name]; !found {
			ignored = append(ignored, name)
		}
		return true
	})
	provider.DataSourcesMap().Range(func(name string, _ tfshim.Resource) bool {
		ignored = append(ignored, name)
		return true
	})
	return ignored
}
