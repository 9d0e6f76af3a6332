//! Services that spoke the query protocol before they spoke JSON tell the older code of an error in a header, and clients
//! show that one.

use http::HeaderValue;

/// What follows `x-amzn-query-error` where it differs from the code in the body.
pub(crate) fn older_code(code: &str) -> Option<HeaderValue> {
    let of_sqs = |code| HeaderValue::from_static(code);
    Some(match code {
        "QueueDoesNotExist" => of_sqs("AWS.SimpleQueueService.NonExistentQueue;Sender"),
        "QueueNameExists" => of_sqs("QueueAlreadyExists;Sender"),
        "PurgeQueueInProgress" => of_sqs("AWS.SimpleQueueService.PurgeQueueInProgress;Sender"),
        "QueueDeletedRecently" => of_sqs("AWS.SimpleQueueService.QueueDeletedRecently;Sender"),
        "MessageNotInflight" => of_sqs("AWS.SimpleQueueService.MessageNotInflight;Sender"),
        "UnsupportedOperation" => of_sqs("AWS.SimpleQueueService.UnsupportedOperation;Sender"),
        "TooManyEntriesInBatchRequest" => of_sqs("AWS.SimpleQueueService.TooManyEntriesInBatchRequest;Sender"),
        "EmptyBatchRequest" => of_sqs("AWS.SimpleQueueService.EmptyBatchRequest;Sender"),
        "BatchEntryIdsNotDistinct" => of_sqs("AWS.SimpleQueueService.BatchEntryIdsNotDistinct;Sender"),
        "BatchRequestTooLong" => of_sqs("AWS.SimpleQueueService.BatchRequestTooLong;Sender"),
        "InvalidBatchEntryId" => of_sqs("AWS.SimpleQueueService.InvalidBatchEntryId;Sender"),
        _ => return None,
    })
}
