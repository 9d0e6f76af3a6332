//! What a caller needs for what it asks: S3's actions and condition keys.

use hearth_identity::policy::Context;
use http::Method;

use crate::error::S3Error;
use crate::route::Call;

/// The ARN of a bucket.
pub(crate) fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// The ARN of an object.
pub(crate) fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

impl Call {
    /// Lets the caller on who may do this.
    ///
    /// # Errors
    /// AccessDenied.
    pub(crate) fn may(&self, action: &str, arn: &str) -> Result<(), S3Error> {
        if self.caller.is_unchecked() {
            return Ok(());
        }
        self.caller.may_in(action, arn, None, self.keys()).map_err(|denied| {
            // S3 puts resources in quotes.
            let text = denied.to_string();
            S3Error::access_denied(text.replace(&format!("resource: {arn}"), &format!("resource: \"{arn}\"")))
        })
    }

    /// The same on an object, of which one version or the newest is meant.
    ///
    /// # Errors
    /// AccessDenied.
    pub(crate) fn may_on_version(
        &self,
        [newest, older]: [&str; 2],
        arn: &str,
        version: Option<&str>,
    ) -> Result<(), S3Error> {
        self.may(if version.is_some() { older } else { newest }, arn)
    }

    fn keys(&self) -> Context {
        let mut keys = Context::default();
        let of_query = [
            ("s3:prefix", "prefix"),
            ("s3:delimiter", "delimiter"),
            ("s3:max-keys", "max-keys"),
            ("s3:VersionId", "versionId"),
        ];
        for (key, name) in of_query {
            if let Some(value) = self.query.get(name) {
                keys.set(key, value);
            }
        }
        for (name, value) in &self.headers {
            if let Ok(value) = value.to_str()
                && name.as_str().starts_with("x-amz-")
            {
                keys.set(&format!("s3:{name}"), value);
            }
        }
        keys
    }
}

/// The action of reading or changing one of a bucket's settings.
pub(crate) fn of_setting(method: &Method, setting: &str) -> String {
    let name = match setting {
        "accelerate" => "AccelerateConfiguration",
        "acl" => "BucketAcl",
        "analytics" => "AnalyticsConfiguration",
        "cors" => "BucketCORS",
        "encryption" => "EncryptionConfiguration",
        "intelligent-tiering" => "IntelligentTieringConfiguration",
        "inventory" => "InventoryConfiguration",
        "lifecycle" => "LifecycleConfiguration",
        "location" => "BucketLocation",
        "logging" => "BucketLogging",
        "metrics" => "MetricsConfiguration",
        "notification" => "BucketNotification",
        "object-lock" => "BucketObjectLockConfiguration",
        "ownershipControls" => "BucketOwnershipControls",
        "policy" => "BucketPolicy",
        "policyStatus" => "BucketPolicyStatus",
        "publicAccessBlock" => "BucketPublicAccessBlock",
        "replication" => "ReplicationConfiguration",
        "requestPayment" => "BucketRequestPayment",
        "tagging" => "BucketTagging",
        "versioning" => "BucketVersioning",
        "website" => "BucketWebsite",
        other => other,
    };
    let verb = match (method, setting) {
        (&Method::GET | &Method::HEAD, _) => "Get",
        // These have actions of their own; what else is deleted is put.
        (&Method::DELETE, "policy" | "website") => "Delete",
        _ => "Put",
    };
    format!("s3:{verb}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_their_actions() {
        assert_eq!(of_setting(&Method::GET, "location"), "s3:GetBucketLocation");
        assert_eq!(of_setting(&Method::DELETE, "tagging"), "s3:PutBucketTagging");
        assert_eq!(of_setting(&Method::DELETE, "policy"), "s3:DeleteBucketPolicy");
    }
}
