//! EventBridge Scheduler: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::scheduler::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn scheduler(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (rules, caller) = (&self.rules, asked.caller);
        answer! { json asked;
            CreateSchedule(input) => rules.create_schedule(caller, input),
            UpdateSchedule(input) => rules.update_schedule(caller, input),
            GetSchedule(input) => rules.get_schedule(caller, input),
            ListSchedules(input) => rules.list_schedules(caller, input),
            DeleteSchedule(input) => rules.delete_schedule(caller, input),

            CreateScheduleGroup(input) => rules.create_schedule_group(caller, input),
            GetScheduleGroup(input) => rules.get_schedule_group(caller, input),
            ListScheduleGroups(input) => rules.list_schedule_groups(caller, input),
            DeleteScheduleGroup(input) => rules.delete_schedule_group(caller, input),

            TagResource(input) => rules.tag_schedule_group(caller, input),
            UntagResource(input) => rules.untag_schedule_group(caller, input),
            ListTagsForResource(input) => rules.list_tags_of_schedule_group(caller, input),
        }
    }
}
