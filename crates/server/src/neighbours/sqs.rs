//! SQS: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::sqs::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn sqs(&self, asked: Asked<'_, Operation>, at: &str) -> Result<Response<Bytes>, ApiError> {
        let (sqs, caller) = (&self.sqs, asked.caller);
        answer! { either asked;
            AddPermission(input) => sqs.add_permission(caller, input),
            CancelMessageMoveTask(input) => sqs.cancel_message_move_task(caller, input),
            CreateQueue(input) => sqs.create_queue(caller, input, at),
            GetQueueUrl(input) => sqs.get_queue_url(caller, input, at),
            ListQueues(input) => sqs.list_queues(caller, input, at),
            GetQueueAttributes(input) => sqs.get_queue_attributes(caller, input),
            SetQueueAttributes(input) => sqs.set_queue_attributes(caller, input),
            TagQueue(input) => sqs.tag_queue(caller, input),
            UntagQueue(input) => sqs.untag_queue(caller, input),
            ListQueueTags(input) => sqs.list_queue_tags(caller, input),
            PurgeQueue(input) => sqs.purge_queue(caller, input),
            DeleteQueue(input) => sqs.delete_queue(caller, input),
            ListDeadLetterSourceQueues(input) => sqs.list_dead_letter_source_queues(caller, input, at),
            ListMessageMoveTasks(input) => sqs.list_message_move_tasks(caller, input),
            RemovePermission(input) => sqs.remove_permission(caller, input),
            StartMessageMoveTask(input) => sqs.start_message_move_task(caller, input),
            SendMessage(input) => sqs.send_message(caller, input),
            SendMessageBatch(input) => sqs.send_message_batch(caller, input),
            ReceiveMessage(input) => sqs.receive_message(caller, input),
            DeleteMessage(input) => sqs.delete_message(caller, input),
            DeleteMessageBatch(input) => sqs.delete_message_batch(caller, input),
            ChangeMessageVisibility(input) => sqs.change_message_visibility(caller, input),
            ChangeMessageVisibilityBatch(input) => sqs.change_message_visibility_batch(caller, input),
        }
    }
}
