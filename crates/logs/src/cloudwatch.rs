//! CloudWatch Logs on the log store: one plain async function per operation.

mod groups;
mod put;
mod read;
mod streams;
mod tags;
mod tail;
mod token;

pub use tail::LiveTail;

use std::sync::Arc;

use hearth_api::error::{Fault, Kind, Spelling};
use hearth_api::logs::errors::{
    ACCESS_DENIED, INVALID_PARAMETER, LIMIT_EXCEEDED, RESOURCE_ALREADY_EXISTS, RESOURCE_NOT_FOUND, SERVICE_UNAVAILABLE,
};
use hearth_api::{ApiError, Page, ServiceOperation};
use hearth_identity::Caller;
use hearth_types::Place;
use hearth_types::limits::{LOG_LIST_PAGE, LOG_TAILS};
use tokio::sync::Semaphore;
use tracing::error;

use crate::store::{LogStore, Refused};

static THROTTLING: Kind =
    Kind { code: "ThrottlingException", status: 400, spelling: Spelling::Lower, fault: Some(Fault::User) };

/// The service.
#[derive(Debug)]
pub struct CloudWatchLogs {
    place: Place,
    store: Arc<LogStore>,
    /// A place for each live tail.
    tails: Arc<Semaphore>,
}

impl CloudWatchLogs {
    /// On a store; ARNs are of `place`.
    #[must_use]
    pub fn new(place: Place, store: Arc<LogStore>) -> Self {
        Self { place, store, tails: Arc::new(Semaphore::new(LOG_TAILS)) }
    }

    /// Work with files of the store, off the threads that serve.
    async fn off<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LogStore) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.store.off(work).await.map_err(refused)
    }

    /// Work that sees every line that was written before, and every group that a line made.
    async fn flushed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LogStore) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.store.flush().await;
        self.off(work).await
    }

    /// Lets a caller on who may do this to a group.
    fn allow(&self, caller: &Caller, operation: impl ServiceOperation, group: &str) -> Result<(), ApiError> {
        self.allow_stream(caller, operation, group, "")
    }

    /// Lets a caller on who may do this to a stream. Without a stream's name that is the group.
    fn allow_stream(
        &self,
        caller: &Caller,
        operation: impl ServiceOperation,
        group: &str,
        stream: &str,
    ) -> Result<(), ApiError> {
        caller
            .may(operation.iam_action(), &self.stream_arn(group, stream), None, &[])
            .map_err(|denied| ApiError::new(&ACCESS_DENIED, denied.to_string()))
    }

    fn group_arn(&self, group: &str) -> String {
        format!("arn:aws:logs:{}:{}:log-group:{group}", self.place.region, self.place.account)
    }

    fn stream_arn(&self, group: &str, stream: &str) -> String {
        format!("{}:log-stream:{stream}", self.group_arn(group))
    }

    /// The group's name out of a member that takes its ARN too.
    fn group_of(&self, identifier: &str) -> Result<String, ApiError> {
        if !identifier.starts_with("arn:") {
            return Ok(identifier.to_owned());
        }
        let name = identifier.strip_prefix(&self.group_arn("")).map(|name| name.strip_suffix(":*").unwrap_or(name));
        name.filter(|name| !name.is_empty() && !name.contains(':')).map(str::to_owned).ok_or_else(no_group)
    }

    /// The group's name out of the two members that may have it.
    fn group_named(&self, name: Option<String>, identifier: Option<&str>) -> Result<String, ApiError> {
        match (name, identifier) {
            (Some(name), None) => Ok(name),
            (None, Some(identifier)) => self.group_of(identifier),
            (Some(_), Some(_)) => {
                Err(invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters."))
            }
            (None, None) => Err(invalid("Either logGroupName or logGroupIdentifier is needed.")),
        }
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(&INVALID_PARAMETER, message)
}

fn no_group() -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, "The specified log group does not exist.")
}

fn no_stream() -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, "The specified log stream does not exist.")
}

fn refused(refused: Refused) -> ApiError {
    match refused {
        Refused::NoGroup => no_group(),
        Refused::NoStream => no_stream(),
        Refused::GroupExists => ApiError::new(&RESOURCE_ALREADY_EXISTS, "The specified log group already exists"),
        Refused::StreamExists => ApiError::new(&RESOURCE_ALREADY_EXISTS, "The specified log stream already exists"),
        Refused::TooManyGroups | Refused::TooManyStreams => ApiError::new(&LIMIT_EXCEEDED, "Resource limit exceeded."),
        Refused::TooFast => ApiError::new(&THROTTLING, "Rate exceeded"),
        Refused::Io(cause) => {
            error!("the log store: {cause}");
            ApiError::new(&SERVICE_UNAVAILABLE, "The log cannot be read or written.")
        }
    }
}

/// The page of a list that a client asks for.
fn page(list: &'static str, token: Option<&str>, limit: Option<i32>) -> Result<Page, ApiError> {
    Page::new(list, token, limit, LOG_LIST_PAGE).map_err(|_| invalid("The specified nextToken is invalid."))
}
