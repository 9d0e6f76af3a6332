//! A target as its rule keeps it.

use hearth_api::events::types as api;
use hearth_api::{ApiError, Map};
use hearth_delivery::Target;
use hearth_types::limits::{TARGET_AGE_S, TARGET_ATTEMPTS, TARGET_INPUT_BYTES, TEMPLATE_VARIABLES};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::errors::{invalid, unsupported};
use crate::event::Event;
use crate::input::{Input, PREDEFINED, variables};
use crate::path::Path;

/// A target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct TargetRecord {
    pub(crate) id: String,
    pub(crate) arn: String,
    #[serde(default)]
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) input: Input,
    /// MessageGroupId, of a FIFO queue.
    #[serde(default)]
    pub(crate) group: Option<String>,
    /// The queue of what is not taken.
    #[serde(default)]
    pub(crate) dead_letters: Option<String>,
    #[serde(default)]
    pub(crate) attempts: Option<i32>,
    #[serde(default)]
    pub(crate) age_s: Option<i32>,
}

/// Where a target leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leads {
    Function,
    Queue,
    Topic,
    LogGroup,
    Bus,
}

impl Leads {
    /// None for an ARN of no service that targets can be of.
    pub(crate) fn of(arn: &str) -> Option<Leads> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, _, _, resource] = parts.as_slice() else { return None };
        match *service {
            "lambda" if resource.starts_with("function:") => Some(Leads::Function),
            "sqs" => Some(Leads::Queue),
            "sns" => Some(Leads::Topic),
            "logs" if resource.starts_with("log-group:") => Some(Leads::LogGroup),
            "events" if resource.starts_with("event-bus/") => Some(Leads::Bus),
            _ => None,
        }
    }
}

impl TargetRecord {
    /// # Errors
    /// ValidationException; and for what targets cannot be here, by name.
    pub(crate) fn of(given: api::Target) -> Result<TargetRecord, ApiError> {
        let (id, arn) = (given.id.clone(), given.arn.clone());
        refuse(&given)?;
        if !arn.starts_with("arn:") || arn.splitn(6, ':').count() < 6 {
            return Err(invalid(format!(
                "Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
            )));
        }
        let leads = Leads::of(&arn).ok_or_else(|| {
            unsupported(&format!("targets such as {arn}: functions, queues, topics, log groups and event buses are"))
        })?;
        let group = given.sqs_parameters.and_then(|parameters| parameters.message_group_id);
        if leads == Leads::Queue && arn.ends_with(".fifo") && group.is_none() {
            return Err(invalid(format!("Parameter(s) SqsParameters must be specified for target: {id}.")));
        }
        let retry = given.retry_policy;
        let attempts = retry.as_ref().and_then(|retry| retry.maximum_retry_attempts);
        let dead_letters = given.dead_letter_config.and_then(|config| config.arn);
        if let Some(queue) = dead_letters.as_deref().filter(|queue| Leads::of(queue) != Some(Leads::Queue)) {
            return Err(invalid(format!("Parameter DeadLetterConfig.Arn of target {id} is no queue: {queue}.")));
        }
        let input = input(&id, given.input, given.input_path, given.input_transformer)?;
        let age_s = retry.and_then(|retry| retry.maximum_event_age_in_seconds);
        Ok(TargetRecord { id, arn, role: given.role_arn, input, group, dead_letters, attempts, age_s })
    }

    /// As clients see it.
    pub(crate) fn shown(&self) -> api::Target {
        let of = |constant: Option<&String>| constant.cloned();
        let (input, input_path, input_transformer) = match &self.input {
            Input::Event => (None, None, None),
            Input::Constant(text) => (of(Some(text)), None, None),
            Input::Path(path) => (None, of(Some(path)), None),
            Input::Template { paths, template } => {
                let paths: Map<String> = paths.clone().into_iter().collect();
                let input_paths_map = (!paths.is_empty()).then_some(paths);
                let transformer = api::InputTransformer { input_paths_map, input_template: template.clone() };
                (None, None, Some(transformer))
            }
        };
        let retries = self.attempts.is_some() || self.age_s.is_some();
        api::Target {
            id: self.id.clone(),
            arn: self.arn.clone(),
            role_arn: self.role.clone(),
            input,
            input_path,
            input_transformer,
            sqs_parameters: self.group.clone().map(|group| api::SqsParameters { message_group_id: Some(group) }),
            dead_letter_config: self.dead_letters.clone().map(|arn| api::DeadLetterConfig { arn: Some(arn) }),
            retry_policy: retries.then_some(api::RetryPolicy {
                maximum_retry_attempts: self.attempts,
                maximum_event_age_in_seconds: self.age_s,
            }),
            kinesis_parameters: None,
            run_command_parameters: None,
            ecs_parameters: None,
            batch_parameters: None,
            http_parameters: None,
            redshift_data_parameters: None,
            sage_maker_pipeline_parameters: None,
            app_sync_parameters: None,
        }
    }

    /// Where the outbox takes something for it. None for a bus: what comes through one goes on at once.
    pub(crate) fn destination(&self, event: &Event) -> Option<Target> {
        match Leads::of(&self.arn)? {
            Leads::Bus => Some(Target::Bus {
                arn: self.arn.clone(),
                source: event.source.clone(),
                detail_type: event.detail_type.clone(),
                resources: event.resources.clone(),
            }),
            _ => destination(&self.arn, self.group.clone()),
        }
    }
}

/// Where the outbox takes something for what has this ARN.
pub(crate) fn destination(arn: &str, group: Option<String>) -> Option<Target> {
    let arn = arn.to_owned();
    match Leads::of(&arn)? {
        Leads::Function => Some(Target::Function { arn }),
        Leads::Queue => Some(Target::Queue { arn, attributes: Default::default(), group, deduplication: None }),
        Leads::Topic => Some(Target::topic(arn, Default::default())),
        Leads::LogGroup => Some(Target::LogGroup { arn: arn.trim_end_matches(":*").to_owned() }),
        Leads::Bus => {
            Some(Target::Bus { arn, source: String::new(), detail_type: String::new(), resources: Vec::new() })
        }
    }
}

/// How long a target is tried.
pub(crate) fn retry(attempts: Option<i32>, age_s: Option<i32>) -> hearth_delivery::Retry {
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(TARGET_ATTEMPTS);
    let age_s = age_s.map_or(TARGET_AGE_S, i64::from);
    hearth_delivery::Retry { attempts, age_ms: age_s * 1000, pause_ms: None }
}

/// The parameters of targets that there are none of here.
fn refuse(given: &api::Target) -> Result<(), ApiError> {
    let named = [
        ("KinesisParameters", given.kinesis_parameters.is_some()),
        ("RunCommandParameters", given.run_command_parameters.is_some()),
        ("EcsParameters", given.ecs_parameters.is_some()),
        ("BatchParameters", given.batch_parameters.is_some()),
        ("HttpParameters", given.http_parameters.is_some()),
        ("RedshiftDataParameters", given.redshift_data_parameters.is_some()),
        ("SageMakerPipelineParameters", given.sage_maker_pipeline_parameters.is_some()),
        ("AppSyncParameters", given.app_sync_parameters.is_some()),
    ];
    match named.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(unsupported(&format!("targets with {name}"))),
        None => Ok(()),
    }
}

fn input(
    id: &str,
    constant: Option<String>,
    path: Option<String>,
    transformer: Option<api::InputTransformer>,
) -> Result<Input, ApiError> {
    match (constant, path, transformer) {
        (None, None, None) => Ok(Input::Event),
        (Some(text), None, None) => match serde_json::from_str::<Value>(&text) {
            Ok(_) => Ok(Input::Constant(text)),
            Err(cause) => Err(invalid(format!("JSON syntax error in input for target {id}: {cause}"))),
        },
        (None, Some(path), None) if Path::parse(&path).is_some() => Ok(Input::Path(path)),
        (None, Some(_), None) => Err(invalid(format!("Invalid InputPath for target {id}."))),
        (None, None, Some(transformer)) => template(id, transformer),
        _ => {
            Err(invalid(format!("Only one of Input, InputPath, or InputTransformer must be provided for target {id}.")))
        }
    }
}

fn template(id: &str, given: api::InputTransformer) -> Result<Input, ApiError> {
    let paths: std::collections::BTreeMap<String, String> =
        given.input_paths_map.unwrap_or_default().into_iter().collect();
    let template = given.input_template;
    if paths.len() > TEMPLATE_VARIABLES || template.len() > TARGET_INPUT_BYTES {
        return Err(invalid(format!("The InputTransformer of target {id} is too large.")));
    }
    if let Some((name, path)) = paths.iter().find(|(_, path)| Path::parse(path).is_none()) {
        return Err(invalid(format!("Invalid InputPathsMap for target {id}: {name} is {path}.")));
    }
    if let Some(name) = paths.keys().find(|name| name.to_lowercase().starts_with("aws")) {
        return Err(invalid(format!(
            "Invalid InputPathsMap for target {id}: {name} begins with AWS, which is reserved."
        )));
    }
    let known = |name: &&str| paths.contains_key(*name) || PREDEFINED.contains(name);
    if let Some(name) = variables(&template).into_iter().find(|name| !known(name)) {
        return Err(invalid(format!("InputTemplate for target {id} contains invalid placeholder {name}.")));
    }
    Ok(Input::Template { paths, template })
}
