//! SSM: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::ssm::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn ssm(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (ssm, caller) = (&self.neighbours, asked.caller);
        answer! { json asked;
            PutParameter(input) => ssm.put_parameter(caller, input),
            GetParameter(input) => ssm.get_parameter(caller, input),
            GetParameters(input) => ssm.get_parameters(caller, input),
            GetParametersByPath(input) => ssm.get_parameters_by_path(caller, input),
            GetParameterHistory(input) => ssm.get_parameter_history(caller, input),
            DescribeParameters(input) => ssm.describe_parameters(caller, input),
            DeleteParameter(input) => ssm.delete_parameter(caller, input),
            DeleteParameters(input) => ssm.delete_parameters(caller, input),
            LabelParameterVersion(input) => ssm.label_parameter_version(caller, input),
            UnlabelParameterVersion(input) => ssm.unlabel_parameter_version(caller, input),
            AddTagsToResource(input) => ssm.add_tags_to_resource(caller, input),
            RemoveTagsFromResource(input) => ssm.remove_tags_from_resource(caller, input),
            ListTagsForResource(input) => ssm.list_tags_for_resource(caller, input),
        }
    }
}
