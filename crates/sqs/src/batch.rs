//! Batches: their bounds, and what becomes of single entries.

use std::collections::HashSet;

use hearth_api::ApiError;
use hearth_api::sqs::{errors, types as api};
use hearth_types::limits::SQS_BATCH;

/// Checks the ids of a batch's entries.
pub(crate) fn check_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        let text = "There should be at least one entry in the request.";
        return Err(ApiError::new(&errors::EMPTY_BATCH_REQUEST, text));
    }
    if ids.len() > SQS_BATCH {
        let text = format!("Maximum number of entries per request are {SQS_BATCH}. You have sent {}.", ids.len());
        return Err(ApiError::new(&errors::TOO_MANY_ENTRIES_IN_BATCH_REQUEST, text));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if ids.iter().any(|id| !(1..=80).contains(&id.len()) || !id.chars().all(allowed)) {
        let text = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
        return Err(ApiError::new(&errors::INVALID_BATCH_ENTRY_ID, text));
    }
    let mut seen = HashSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        None => Ok(()),
        Some(twice) => Err(ApiError::new(&errors::BATCH_ENTRY_IDS_NOT_DISTINCT, format!("Id {twice} repeated."))),
    }
}

/// An entry that failed.
pub(crate) fn failed(id: String, error: &ApiError) -> api::BatchResultErrorEntry {
    api::BatchResultErrorEntry {
        id,
        sender_fault: error.kind.status < 500,
        code: error.kind.code.to_owned(),
        message: error.message.clone(),
    }
}
