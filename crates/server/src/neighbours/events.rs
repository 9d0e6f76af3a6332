//! EventBridge: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::events::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn eventbridge(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (rules, caller) = (&self.rules, asked.caller);
        answer! { json asked;
            PutEvents(input) => rules.put_events(caller, input),
            TestEventPattern(input) => rules.test_event_pattern(caller, input),

            PutRule(input) => rules.put_rule(caller, input),
            DescribeRule(input) => rules.describe_rule(caller, input),
            ListRules(input) => rules.list_rules(caller, input),
            EnableRule(input) => rules.enable_rule(caller, input),
            DisableRule(input) => rules.disable_rule(caller, input),
            DeleteRule(input) => rules.delete_rule(caller, input),

            PutTargets(input) => rules.put_targets(caller, input),
            RemoveTargets(input) => rules.remove_targets(caller, input),
            ListTargetsByRule(input) => rules.list_targets_by_rule(caller, input),
            ListRuleNamesByTarget(input) => rules.list_rule_names_by_target(caller, input),

            CreateEventBus(input) => rules.create_event_bus(caller, input),
            UpdateEventBus(input) => rules.update_event_bus(caller, input),
            DescribeEventBus(input) => rules.describe_event_bus(caller, input),
            ListEventBuses(input) => rules.list_event_buses(caller, input),
            DeleteEventBus(input) => rules.delete_event_bus(caller, input),
            PutPermission(input) => rules.put_permission(caller, input),
            RemovePermission(input) => rules.remove_permission(caller, input),

            TagResource(input) => rules.tag_resource(caller, input),
            UntagResource(input) => rules.untag_resource(caller, input),
            ListTagsForResource(input) => rules.list_tags_for_resource(caller, input),
        }
    }
}
