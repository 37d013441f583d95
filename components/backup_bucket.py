"""Where backups are kept away from the host: an S3 bucket that keeps what it is given, and the
identities that reach it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws import iam, s3

from rollout.bucket_policies import Identity, bucket_policy, encryption, identity_policy
from rollout.retention import LIFECYCLE, TAG, LifecycleRule
from rollout.settings import Backups


def provider(settings: Backups) -> aws.Provider:
    """AWS with the credentials of the environment, or what stands in for it at `backupEndpoint`:
    there nobody is asked who we are, and buckets are folders of one host."""
    if not settings.endpoint:
        return aws.Provider("backups", region=settings.region)
    endpoint = settings.endpoint
    return aws.Provider(
        "backups",
        region=settings.region,
        endpoints=[aws.ProviderEndpointArgs(s3=endpoint, iam=endpoint, sts=endpoint, kms=endpoint)],
        s3_use_path_style=True,
        skip_credentials_validation=True,
        skip_metadata_api_check=True,
        skip_region_validation=True,
        skip_requesting_account_id=True,
    )


@dataclass(frozen=True)
class BackupBucketArgs:
    """bucket: its name. protect: the bucket, with what is in it, is not deleted by this program.
    kms_key: ARN of the key that encrypts; S3's own without. object_lock: objects may be locked; the
    job says which, because a default of the bucket would lock every log, too. log_bucket: where
    each access is logged; nowhere without. enforced: whether the bucket policy's conditions are
    evaluated where this bucket is."""

    bucket: str
    protect: bool = True
    kms_key: str = ""
    object_lock: bool = True
    log_bucket: str = ""
    enforced: bool = True

    @classmethod
    def of(cls, settings: Backups, protect: bool) -> BackupBucketArgs:
        """As configured. Against an endpoint that is not AWS's the bucket policy isn't declared:
        moto ignores conditions, and a denial without its condition refuses everything."""
        return cls(
            bucket=settings.bucket,
            protect=protect,
            kms_key=settings.kms_key,
            object_lock=settings.object_lock,
            log_bucket=settings.log_bucket,
            enforced=not settings.endpoint,
        )


class BackupBucket(pulumi.ComponentResource):
    """The bucket and its settings; for each identity a user, its policy and its key.

    keys: the identities' access keys, as {identity: {id, secret}}; a secret.
    """

    name: pulumi.Output[str]
    keys: pulumi.Output[dict[str, dict[str, str]]]

    def __init__(
        self, name: str, args: BackupBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ytempire:backup:BackupBucket", name, None, opts)
        self._name, self._args = name, args
        self.bucket = s3.Bucket(
            name,
            bucket=args.bucket,
            object_lock_enabled=args.object_lock,
            force_destroy=not args.protect,
            opts=self._options(),
        )
        self.name = self.bucket.bucket
        self._closed()
        self._versioned()
        if args.log_bucket:
            self._logged()
        if args.enforced:
            self._enforced()
        self.keys = self._identities()
        self.register_outputs({"name": self.name, "keys": self.keys})

    def _options(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, protect=self._args.protect, depends_on=list(after)
        )

    def _closed(self) -> None:
        """Not public, no access lists, encrypted."""
        s3.BucketPublicAccessBlock(
            f"{self._name}-private",
            bucket=self.name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._options(),
        )
        s3.BucketOwnershipControls(
            f"{self._name}-ownership",
            bucket=self.name,
            rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._options(),
        )
        kms_key = self._args.kms_key
        s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption",
            bucket=self.name,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=_by_default(kms_key),
                    bucket_key_enabled=bool(kms_key),
                )
            ],
            opts=self._options(),
        )

    def _versioned(self) -> None:
        """Versions, and what expires when."""
        versioning = s3.BucketVersioning(
            f"{self._name}-versioning",
            bucket=self.name,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=self._options(),
        )
        s3.BucketLifecycleConfiguration(
            f"{self._name}-lifecycle",
            bucket=self.name,
            rules=[_lifecycle(rule) for rule in LIFECYCLE],
            opts=self._options(versioning),
        )

    def _logged(self) -> None:
        s3.BucketLogging(
            f"{self._name}-access-log",
            bucket=self.name,
            target_bucket=self._args.log_bucket,
            target_prefix=f"{self._args.bucket}/",
            opts=self._options(),
        )

    def _enforced(self) -> None:
        s3.BucketPolicy(
            f"{self._name}-policy",
            bucket=self.name,
            policy=json.dumps(bucket_policy(self._args.bucket, self._args.kms_key)),
            opts=self._options(),
        )

    def _identities(self) -> pulumi.Output[dict[str, dict[str, str]]]:
        keys = {
            str(identity): self._identity(identity)
            for identity in Identity
            if identity != Identity.LOCKER or self._args.object_lock
        }
        return pulumi.Output.secret(
            pulumi.Output.all(
                **{name: pulumi.Output.all(id=k.id, secret=k.secret) for name, k in keys.items()}
            )
        )

    def _identity(self, identity: Identity) -> iam.AccessKey:
        """Not protected: a key must be replaceable in a hurry."""
        name, mine = f"{self._name}-{identity}", pulumi.ResourceOptions(parent=self)
        user = iam.User(name, name=f"{self._args.bucket}-{identity}", opts=mine)
        policy = identity_policy(identity, self._args.bucket, self._args.kms_key)
        iam.UserPolicy(
            name,
            name=str(identity),
            user=user.name,
            policy=json.dumps(policy),
            opts=mine,
        )
        return iam.AccessKey(name, user=user.name, opts=mine)


def _by_default(
    kms_key: str,
) -> s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs:
    return s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm=encryption(kms_key), kms_master_key_id=kms_key or None
    )


def _lifecycle(rule: LifecycleRule) -> s3.BucketLifecycleConfigurationRuleArgs:
    expiration = s3.BucketLifecycleConfigurationRuleExpirationArgs(
        days=rule.expire_days, expired_object_delete_marker=rule.markers or None
    )
    return s3.BucketLifecycleConfigurationRuleArgs(
        id=rule.id,
        status="Enabled",
        filter=_filter(rule),
        expiration=expiration,
        noncurrent_version_expiration=(
            s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=rule.gone_days
            )
        ),
        abort_incomplete_multipart_upload=(
            s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=rule.upload_days
            )
            if rule.upload_days
            else None
        ),
    )


def _filter(rule: LifecycleRule) -> s3.BucketLifecycleConfigurationRuleFilterArgs:
    if rule.tag is None:
        return s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=rule.prefix)
    tag = s3.BucketLifecycleConfigurationRuleFilterTagArgs(key=TAG, value=rule.tag)
    return s3.BucketLifecycleConfigurationRuleFilterArgs(tag=tag)
