//! What a bucket is set to: read and written where it has an effect here; what cannot be set reads as not set.

use std::fmt::Display;

use bytes::Bytes;
use hearth_types::limits::{S3_BUCKET_TAGS, S3_XML_BYTES};
use http::{Method, StatusCode};
use http_body::Body;
use serde::Deserialize;

use crate::S3;
use crate::error::S3Error;
use crate::headers::checked_tags;
use crate::notifications::Notifications;
use crate::receive::collect;
use crate::records::{Bucket, Ownership, PublicAccessBlock, Versioning};
use crate::route::{Answer, Call, document, empty};
use crate::tagging::{Tagging, tags_document};
use crate::xml::{self, Xml};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersioningConfiguration {
    status: Option<Status>,
    mfa_delete: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum Status {
    Enabled,
    Suspended,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OwnershipControls {
    rule: OwnershipRule,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OwnershipRule {
    object_ownership: String,
}

impl S3 {
    pub(crate) async fn setting<B>(&self, call: &Call, bucket: &str, setting: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let found = self.bucket(bucket).await?;
        match call.method {
            Method::GET => self.get_setting(&found.record, setting),
            Method::PUT => {
                let body = collect(call, body, S3_XML_BYTES).await?;
                self.put_setting(call, bucket, setting, &body).await
            }
            Method::DELETE => self.delete_setting(bucket, setting).await,
            _ => Err(S3Error::method_not_allowed(&call.method)),
        }
    }

    fn get_setting(&self, bucket: &Bucket, setting: &str) -> Answer {
        let mut xml = Xml::new();
        match setting {
            "location" => {
                // The oldest region has no name here.
                let region = self.region();
                xml.root("LocationConstraint").raw(if region == "us-east-1" { "" } else { region });
                xml.close("LocationConstraint");
            }
            "versioning" => {
                let status = match bucket.versioning {
                    Versioning::Off => None,
                    Versioning::Enabled => Some("Enabled"),
                    Versioning::Suspended => Some("Suspended"),
                };
                xml.root("VersioningConfiguration").maybe("Status", status).close("VersioningConfiguration");
            }
            "tagging" if bucket.tags.is_empty() => return Err(not_set("NoSuchTagSet", "The TagSet does not exist")),
            "tagging" => return Ok(tags_document(&bucket.tags)),
            "publicAccessBlock" => public_access_block(bucket, &mut xml)?,
            "ownershipControls" => ownership(bucket, &mut xml)?,
            "acl" => self.access_list(&mut xml),
            "notification" => bucket.notifications.show(&mut xml),
            "logging" => drop(xml.root("BucketLoggingStatus").close("BucketLoggingStatus")),
            "accelerate" => drop(xml.root("AccelerateConfiguration").close("AccelerateConfiguration")),
            "requestPayment" => {
                xml.root("RequestPaymentConfiguration").text("Payer", "BucketOwner");
                xml.close("RequestPaymentConfiguration");
            }
            other => return Err(never_set(other).unwrap_or_else(|| unsupported(&Method::GET, other))),
        }
        Ok(document(xml))
    }

    fn access_list(&self, xml: &mut Xml) {
        let owner = self.owner();
        xml.root("AccessControlPolicy").open("Owner").text("ID", &owner).close("Owner").open("AccessControlList");
        xml.open("Grant");
        xml.raw("<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">");
        xml.text("ID", &owner).close("Grantee").text("Permission", "FULL_CONTROL").close("Grant");
        xml.close("AccessControlList").close("AccessControlPolicy");
    }

    async fn put_setting(&self, call: &Call, name: &str, setting: &str, body: &[u8]) -> Answer {
        match setting {
            "versioning" => {
                let asked: VersioningConfiguration = xml::read(body)?;
                if asked.mfa_delete.is_some_and(|wanted| wanted != "Disabled") {
                    return Err(S3Error::not_implemented("MfaDelete"));
                }
                let versioning = match asked.status.ok_or_else(S3Error::malformed_xml)? {
                    Status::Enabled => Versioning::Enabled,
                    Status::Suspended => Versioning::Suspended,
                };
                self.change_bucket(name, |bucket| bucket.versioning = versioning).await?;
            }
            "tagging" => {
                let tags = checked_tags(xml::read::<Tagging>(body)?.pairs(), S3_BUCKET_TAGS)?;
                self.change_bucket(name, |bucket| bucket.tags.clone_from(&tags)).await?;
                return Ok(empty(StatusCode::NO_CONTENT));
            }
            "publicAccessBlock" => {
                let asked: PublicAccessBlock = xml::read(body)?;
                self.change_bucket(name, |bucket| bucket.public_access_block = Some(asked)).await?;
            }
            "ownershipControls" => {
                let asked: OwnershipControls = xml::read(body)?;
                if asked.rule.object_ownership != "BucketOwnerEnforced" {
                    let what = format!("The object ownership {}", asked.rule.object_ownership);
                    return Err(S3Error::not_implemented(&what));
                }
                self.change_bucket(name, |bucket| bucket.ownership = Some(Ownership::BucketOwnerEnforced)).await?;
            }
            "acl" => return Err(S3Error::bad("AccessControlListNotSupported", "The bucket does not allow ACLs")),
            "notification" => {
                let asked = Notifications::read(body)?;
                self.introduce(call, name, &asked).await?;
                self.change_bucket(name, |bucket| bucket.notifications.clone_from(&asked)).await?;
            }
            other => return Err(unsupported(&Method::PUT, other)),
        }
        Ok(empty(StatusCode::OK))
    }

    async fn delete_setting(&self, name: &str, setting: &str) -> Answer {
        match setting {
            "tagging" => self.change_bucket(name, |bucket| bucket.tags.clear()).await?,
            "publicAccessBlock" => self.change_bucket(name, |bucket| bucket.public_access_block = None).await?,
            "ownershipControls" => self.change_bucket(name, |bucket| bucket.ownership = None).await?,
            // Gone already, as what was never there is.
            other if never_set(other).is_some() => {}
            other => return Err(unsupported(&Method::DELETE, other)),
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

fn public_access_block(bucket: &Bucket, xml: &mut Xml) -> Result<(), S3Error> {
    let Some(set) = bucket.public_access_block else {
        let message = "The public access block configuration was not found";
        return Err(not_set("NoSuchPublicAccessBlockConfiguration", message));
    };
    let shown = |set: bool| if set { "true" } else { "false" };
    xml.root("PublicAccessBlockConfiguration")
        .text("BlockPublicAcls", shown(set.block_public_acls))
        .text("IgnorePublicAcls", shown(set.ignore_public_acls))
        .text("BlockPublicPolicy", shown(set.block_public_policy))
        .text("RestrictPublicBuckets", shown(set.restrict_public_buckets))
        .close("PublicAccessBlockConfiguration");
    Ok(())
}

fn ownership(bucket: &Bucket, xml: &mut Xml) -> Result<(), S3Error> {
    match bucket.ownership {
        None => Err(not_set("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")),
        Some(Ownership::BucketOwnerEnforced) => {
            xml.root("OwnershipControls").open("Rule").text("ObjectOwnership", "BucketOwnerEnforced");
            xml.close("Rule").close("OwnershipControls");
            Ok(())
        }
    }
}

/// What S3 says where a setting is not there, for those that cannot be set here.
fn never_set(setting: &str) -> Option<S3Error> {
    let (code, message) = match setting {
        "cors" => ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        "encryption" => {
            ("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found")
        }
        "lifecycle" => ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
        "object-lock" => {
            ("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
        }
        "policy" | "policyStatus" => ("NoSuchBucketPolicy", "The bucket policy does not exist"),
        "replication" => ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
        "website" => ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
        _ => return None,
    };
    Some(not_set(code, message))
}

fn not_set(code: &'static str, message: &str) -> S3Error {
    S3Error::new(StatusCode::NOT_FOUND, code, message)
}

fn unsupported(method: &Method, setting: &str) -> S3Error {
    S3Error::not_implemented(&format!("{method} ?{setting} of a bucket"))
}
