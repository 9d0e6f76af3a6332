//! Which service a request is for, where one address serves all: what the target header says, then the form, then the
//! scope of the signature, then the path.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::generated::{application_autoscaling, events, iam, lambda, logs, scheduler, sns, sqs, ssm, sts};
use crate::operation::{Protocol, Service, ServiceOperation as _};
use crate::route::begins_as;
use crate::uri::query_pairs;

/// The services whose requests this crate reads.
const SERVICES: fn() -> [&'static Service; 10] = || {
    [
        lambda::Operation::service(),
        iam::Operation::service(),
        sts::Operation::service(),
        ssm::Operation::service(),
        logs::Operation::service(),
        sqs::Operation::service(),
        sns::Operation::service(),
        events::Operation::service(),
        scheduler::Operation::service(),
        application_autoscaling::Operation::service(),
    ]
};

/// The names of services that [`SERVICES`] lacks, by what stands before the dot in `X-Amz-Target`.
const TARGETS: &[(&str, &str)] = &[
    ("DynamoDB_20120810", "dynamodb"),
    ("DynamoDBStreams_20120810", "dynamodb"),
    ("Kinesis_20131202", "kinesis"),
    ("TrentService", "kms"),
    ("secretsmanager", "secretsmanager"),
    ("CodeDeploy_20141006", "codedeploy"),
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
    ("GraniteServiceVersion20100801", "monitoring"),
    ("AWSStepFunctions", "states"),
];

/// The same by the version that a form names.
const VERSIONS: &[(&str, &str)] =
    &[("2010-05-15", "cloudformation"), ("2012-11-05", "sqs"), ("2010-08-01", "monitoring"), ("2016-11-15", "ec2")];

/// How a request names its operation; its answers and errors are written accordingly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// In `X-Amz-Target`; the protocol is JSON 1.0 or 1.1.
    Target(Protocol),
    /// In a form that is the body, or the query.
    Form,
    /// In a path below `/service`, with bodies in CBOR.
    Cbor,
    /// By method and path.
    Path,
}

/// Whom a request addresses, as its head says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addressed<'a> {
    /// How it names its operation.
    pub style: Style,
    /// The service, by the name that signatures have for it. None where the head does not name one: then a form's
    /// version does, and what has no form and no path of Lambda's may be S3's.
    pub service: Option<Cow<'a, str>>,
    /// What stands behind the dot in `X-Amz-Target`.
    pub target: Option<&'a str>,
}

impl<'a> Addressed<'a> {
    /// Of a request.
    #[must_use]
    pub fn of(head: &'a Parts) -> Self {
        let scope = || scope(&head.headers, head.uri.query());
        if let Some(target) = text(&head.headers, "x-amz-target") {
            let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
            let service = service_of_target(prefix).map(Cow::Borrowed).or_else(scope);
            let service = service.or(Some(Cow::Borrowed(prefix)));
            return Self { style: Style::Target(json_version(&head.headers)), service, target: Some(operation) };
        }
        let style = match head.uri.path() {
            "/" if is_form(head) => Style::Form,
            path if is_form(head) && scope().map_or_else(|| is_queue(path), |service| service == "sqs") => Style::Form,
            path if path.starts_with("/service/") && head.headers.contains_key("smithy-protocol") => Style::Cbor,
            _ => Style::Path,
        };
        let of_path = || match style {
            Style::Path if begins_as::<lambda::Operation>(head.uri.path()) => {
                Some(Cow::Borrowed(lambda::Operation::service().name))
            }
            Style::Form if is_queue(head.uri.path()) => Some(Cow::Borrowed(sqs::Operation::service().name)),
            _ => None,
        };
        Self { style, service: scope().or_else(of_path), target: None }
    }

    /// Every name in a request that a server could take for that of its operation, so that whoever may not do one of them
    /// does not get it done by a second name. None where nothing but path and method tell it.
    #[must_use]
    pub fn operations(&self, head: &Parts, body: &[u8]) -> Vec<String> {
        let targets = head.headers.get_all("x-amz-target").iter().filter_map(|target| target.to_str().ok());
        let targets: Vec<&str> = targets.map(|target| target.rsplit('.').next().unwrap_or(target)).collect();
        let of_path = head.uri.path().rsplit('/').next().filter(|_| self.style == Style::Cbor);
        // Some take a form for one whatever type it says that it has, and on any path.
        let form = if targets.is_empty() { String::from_utf8_lossy(body) } else { Cow::Borrowed("") };
        let of_query = query_pairs(head.uri.query().unwrap_or_default());
        let actions = of_query.chain(query_pairs(&form)).flatten().filter(|(name, _)| name == "Action");
        let actions = actions.map(|(_, action)| action.into_owned());
        targets.iter().copied().chain(of_path).map(str::to_owned).chain(actions).collect()
    }

    /// The service that has this version of a form's API.
    #[must_use]
    pub fn service_of_version(version: &str) -> Option<&'static str> {
        let ours = SERVICES().into_iter().filter(|service| service.protocol == Protocol::Query);
        let ours = ours.map(|service| (service.version, service.name));
        ours.chain(VERSIONS.iter().copied()).find(|(known, _)| *known == version).map(|(_, name)| name)
    }
}

fn service_of_target(prefix: &str) -> Option<&'static str> {
    let ours = SERVICES().into_iter().filter_map(|service| Some((service.target_prefix?, service.name)));
    ours.chain(TARGETS.iter().copied()).find(|(known, _)| *known == prefix).map(|(_, name)| name)
}

/// The name of the service in the scope of a signature, `KEY/DATE/REGION/SERVICE/aws4_request`, wherever it stands.
fn scope<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    if let Some(authorization) = text(headers, header::AUTHORIZATION.as_str()) {
        let credential = authorization.split_once("Credential=")?.1;
        return service_of_scope(credential.split([',', ' ']).next()?).map(Cow::Borrowed);
    }
    let (_, credential) = query_pairs(query?).flatten().find(|(name, _)| name == "X-Amz-Credential")?;
    service_of_scope(&credential).map(|service| Cow::Owned(service.to_owned()))
}

fn service_of_scope(credential: &str) -> Option<&str> {
    let mut parts = credential.rsplit('/');
    let end = parts.next()?;
    (end == "aws4_request").then(|| parts.next()).flatten().filter(|service| !service.is_empty())
}

/// The path of a queue's URL: `/ACCOUNT/NAME`. Older clients send there what is for the queue.
fn is_queue(path: &str) -> bool {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    parts.is_some_and(|(account, name)| is_account(account) && !name.is_empty() && !name.contains('/'))
}

/// A form in the body, or its parameters in the query.
fn is_form(head: &Parts) -> bool {
    let content_type = text(&head.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let in_body = head.method == Method::POST && content_type.starts_with("application/x-www-form-urlencoded");
    in_body || has_action(head.uri.query().unwrap_or_default())
}

fn has_action(query: &str) -> bool {
    query_pairs(query).flatten().any(|(name, _)| name == "Action")
}

fn json_version(headers: &HeaderMap) -> Protocol {
    match text(headers, header::CONTENT_TYPE.as_str()) {
        Some(text) if text.starts_with("application/x-amz-json-1.0") => Protocol::Json10,
        _ => Protocol::Json11,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
