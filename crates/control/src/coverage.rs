//! What becomes of each member of the requests that say what a function is. The tables that refuse a member are the ones
//! that the documentation shows: [`coverage`].

use hearth_api::types as api;
use hearth_api::{ApiError, Operation};

use crate::{invalid, refused};

/// A member of the request `I`, as the service model names it; `Code.ZipFile` is one of a structure.
pub(crate) struct Member<I: 'static> {
    name: &'static str,
    effect: Effect<I>,
}

/// What becomes of it.
enum Effect<I: 'static> {
    /// It has its effect, with what is particular here.
    Works(&'static str),
    /// It is kept and shown, and changes nothing.
    Kept(&'static str),
    /// It is refused by name where it is given.
    Refused { why: &'static str, given: fn(&I) -> bool },
    /// Only its empty form is taken; the rest gets an error that Lambda has.
    Empty { why: &'static str, check: fn(&I) -> Result<(), ApiError> },
}

/// A line of [`coverage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// The operation that has the member.
    pub operation: Operation,
    /// As the service model names it.
    pub member: &'static str,
    /// `works`, `kept` or `refused`.
    pub effect: &'static str,
    /// What is particular; empty where nothing is.
    pub note: &'static str,
}

/// Each member of CreateFunction, UpdateFunctionCode and UpdateFunctionConfiguration, and what becomes of it.
#[must_use]
pub fn coverage() -> Vec<Line> {
    let mut lines = lines(Operation::CreateFunction, CREATE_FUNCTION);
    lines.extend(self::lines(Operation::UpdateFunctionCode, UPDATE_FUNCTION_CODE));
    lines.extend(self::lines(Operation::UpdateFunctionConfiguration, UPDATE_FUNCTION_CONFIGURATION));
    lines
}

fn lines<I>(operation: Operation, members: &'static [Member<I>]) -> Vec<Line> {
    let line = |member: &'static Member<I>| {
        let (effect, note) = match member.effect {
            Effect::Works(note) => ("works", note),
            Effect::Kept(note) => ("kept", note),
            Effect::Refused { why, .. } | Effect::Empty { why, .. } => ("refused", why),
        };
        Line { operation, member: member.name, effect, note }
    };
    members.iter().map(line).collect()
}

/// That nothing is given that cannot have an effect here.
///
/// # Errors
/// For the first such member.
pub(crate) fn supported<I>(members: &[Member<I>], input: &I) -> Result<(), ApiError> {
    members.iter().try_for_each(|member| match member.effect {
        Effect::Works(_) | Effect::Kept(_) => Ok(()),
        Effect::Refused { why, given } if given(input) => Err(refused(member.name, why)),
        Effect::Refused { .. } => Ok(()),
        Effect::Empty { check, .. } => check(input),
    })
}

const fn works<I>(name: &'static str, note: &'static str) -> Member<I> {
    Member { name, effect: Effect::Works(note) }
}

const fn kept<I>(name: &'static str, note: &'static str) -> Member<I> {
    Member { name, effect: Effect::Kept(note) }
}

const fn not_here<I>(name: &'static str, why: &'static str, given: fn(&I) -> bool) -> Member<I> {
    Member { name, effect: Effect::Refused { why, given } }
}

/// The members of an operation alone, and those that CreateFunction and UpdateFunctionConfiguration share.
macro_rules! with_configuration {
    ($($own:expr),* $(,)?) => { &[
        $($own,)*
        works("FunctionName", ""),
        works("Role", ROLE),
        works("Runtime", RUNTIME),
        works("Handler", ""),
        works("Description", ""),
        works("Timeout", ""),
        works("MemorySize", ""),
        works("EphemeralStorage", ""),
        works("Environment", ""),
        works("Layers", ""),
        works("LoggingConfig", ""),
        works("DeadLetterConfig", DEAD_LETTERS),
        works("TracingConfig", "spans go to an OpenTelemetry collector: --otlp"),
        kept("KMSKeyArn", "nothing is encrypted with it"),
        works("SnapStart", "of Python; of other runtimes it is kept and OptimizationStatus stays `Off`"),
        kept("ImageConfig", IMAGES),
        Member { name: "VpcConfig", effect: Effect::Empty { why: VPC, check: |input| no_vpc(input.vpc_config.as_ref()) } },
        not_here("FileSystemConfigs", "there are no file systems to mount", |input| {
            input.file_system_configs.as_ref().is_some_and(|systems| !systems.is_empty())
        }),
        not_here("DurableConfig", "there are no durable executions", |input| input.durable_config.is_some()),
        not_here("CapacityProviderConfig", NO_CAPACITY, |input| input.capacity_provider_config.is_some()),
    ] };
}

const DEAD_LETTERS: &str = "queues and topics of this server";
const ROLE: &str =
    "one that was made must trust Lambda; where no signatures are asked for, one that nobody made is fine";
const RUNTIME: &str = "a name that Lambda takes; where this machine has no such interpreter, the invoke says so";
const ARCHITECTURES: &str = "functions of another architecture than this machine's are kept; their invokes say so";
const IMAGES: &str = "images are kept, not fetched; their invokes say so";
const VPC: &str = "there is no VPC: taken empty, else its subnets and groups are not found";
const NO_CAPACITY: &str = "there are no capacity providers";
const NO_KMS: &str = "nothing is encrypted with a key of its own";

pub(crate) static CREATE_FUNCTION: &[Member<api::CreateFunctionRequest>] = with_configuration![
    works("Code.ZipFile", "up to 50 MiB, 250 MiB unpacked"),
    works("Code.S3Bucket", "of the buckets on this server, and of another S3 with --code-s3"),
    works("Code.S3Key", ""),
    works("Code.S3ObjectVersion", ""),
    kept("Code.ImageUri", IMAGES),
    not_here("Code.SourceKMSKeyArn", NO_KMS, |input| input.code.source_kms_key_arn.is_some()),
    works("PackageType", ""),
    works("Architectures", ARCHITECTURES),
    works("Publish", ""),
    works("Tags", ""),
    works("CodeSigningConfigArn", "no signature is verified: under `Enforce` all code is refused"),
    not_here("PublishTo", NO_CAPACITY, |input| input.publish_to.is_some()),
    works("TenancyConfig", "not with function URLs, provisioned concurrency, SnapStart or event source mappings"),
];

pub(crate) static UPDATE_FUNCTION_CONFIGURATION: &[Member<api::UpdateFunctionConfigurationRequest>] =
    with_configuration![works("RevisionId", "")];

pub(crate) static UPDATE_FUNCTION_CODE: &[Member<api::UpdateFunctionCodeRequest>] = &[
    works("FunctionName", ""),
    works("ZipFile", "up to 50 MiB, 250 MiB unpacked"),
    works("S3Bucket", "of the buckets on this server, and of another S3 with --code-s3"),
    works("S3Key", ""),
    works("S3ObjectVersion", ""),
    kept("ImageUri", IMAGES),
    not_here("SourceKMSKeyArn", NO_KMS, |input| input.source_kms_key_arn.is_some()),
    works("Architectures", ARCHITECTURES),
    works("Publish", ""),
    works("DryRun", ""),
    works("RevisionId", ""),
    not_here("PublishTo", NO_CAPACITY, |input| input.publish_to.is_some()),
];

/// No security group and no subnet is there: the real service says so about those that it does not find.
fn no_vpc(vpc: Option<&api::VpcConfig>) -> Result<(), ApiError> {
    let Some(vpc) = vpc else { return Ok(()) };
    let first = |ids: &Option<Vec<String>>| ids.as_ref().and_then(|ids| ids.first().cloned());
    if let Some(id) = first(&vpc.security_group_ids) {
        return Err(invalid(format!(
            "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. \
             EC2 Error Message: The security group '{id}' does not exist"
        )));
    }
    if let Some(id) = first(&vpc.subnet_ids) {
        return Err(invalid(format!(
            "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. \
             EC2 Error Message: The subnet ID '{id}' does not exist"
        )));
    }
    if vpc.ipv6_allowed_for_dual_stack == Some(true) {
        return Err(refused("VpcConfig.Ipv6AllowedForDualStack", "there is no VPC"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A member that a later service model brings must get a line before it can be ignored.
    #[test]
    fn every_member_of_the_model_has_one_line() {
        for operation in
            [Operation::CreateFunction, Operation::UpdateFunctionCode, Operation::UpdateFunctionConfiguration]
        {
            let lines: Vec<Line> = coverage().into_iter().filter(|line| line.operation == operation).collect();
            let names: BTreeSet<&str> = lines.iter().map(|line| line.member).collect();
            assert_eq!(names.len(), lines.len(), "a member has two lines");
            assert_eq!(names, operation.members(&["Code"]).iter().map(String::as_str).collect());
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        let durable = api::UpdateFunctionConfigurationRequest {
            durable_config: Some(api::DurableConfig::default()),
            ..Default::default()
        };
        let error = supported(UPDATE_FUNCTION_CONFIGURATION, &durable).unwrap_err().to_string();
        assert!(error.contains("DurableConfig is not supported by this version of Hearth"), "{error}");
        assert!(supported(UPDATE_FUNCTION_CONFIGURATION, &Default::default()).is_ok());
    }
}
