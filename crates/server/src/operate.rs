//! The table of operations: which of the control plane's functions answers which operation, a line each.

use bytes::Bytes;
use hearth_api::{ApiError, Matched, Operation, check, decode, encode, ops};
use hearth_types::limits::SMALL_BODY_BYTES;
use http::{HeaderMap, Response, header};

use crate::gateway::Gateway;

/// Makes `ANSWERED` and [`Gateway::operate`], which decodes the input of the operation that was asked for, runs its line
/// and encodes what it gives.
macro_rules! answers {
    (|$control:ident, $endpoint:ident| $($operation:ident($input:ident) => $output:expr,)*) => {
        /// The operations that have a line: what the documentation says is answered.
        #[cfg(test)]
        pub(crate) const ANSWERED: &[Operation] = &[$(Operation::$operation),*];

        impl Gateway {
            /// Answers the operations that have a line; the others say that they have none.
            pub(crate) async fn operate(
                &self,
                matched: &Matched,
                headers: &HeaderMap,
                body: Bytes,
            ) -> Result<Response<Bytes>, ApiError> {
                let $control = &self.control;
                let $endpoint = &endpoint(headers);
                match matched.operation {
                    $(Operation::$operation => {
                        let $input = decode_off(body.len(), || decode::<ops::$operation>(matched, headers, body))?;
                        Ok(encode::<ops::$operation>(&$output.await?))
                    })*
                    other => {
                        check(matched, headers, body)?;
                        Err(ApiError::not_implemented(other))
                    }
                }
            }
        }
    };
}

answers! { |control, endpoint|
    CreateFunction(input) => control.create_function(input),
    GetFunction(input) => control.get_function(input, endpoint),
    GetFunctionConfiguration(input) => control.get_function_configuration(input),
    ListFunctions(input) => control.list_functions(input),
    UpdateFunctionCode(input) => control.update_function_code(input),
    UpdateFunctionConfiguration(input) => control.update_function_configuration(input),
    DeleteFunction(input) => control.delete_function(input),

    PublishVersion(input) => control.publish_version(input),
    ListVersionsByFunction(input) => control.list_versions_by_function(input),
    CreateAlias(input) => control.create_alias(input),
    GetAlias(input) => control.get_alias(input),
    ListAliases(input) => control.list_aliases(input),
    UpdateAlias(input) => control.update_alias(input),
    DeleteAlias(input) => control.delete_alias(input),

    AddPermission(input) => control.add_permission(input),
    RemovePermission(input) => control.remove_permission(input),
    GetPolicy(input) => control.get_policy(input),

    PutFunctionConcurrency(input) => control.put_function_concurrency(input),
    GetFunctionConcurrency(input) => control.get_function_concurrency(input),
    DeleteFunctionConcurrency(input) => control.delete_function_concurrency(input),
    PutProvisionedConcurrencyConfig(input) => control.put_provisioned_concurrency_config(input),
    GetProvisionedConcurrencyConfig(input) => control.get_provisioned_concurrency_config(input),
    ListProvisionedConcurrencyConfigs(input) => control.list_provisioned_concurrency_configs(input),
    DeleteProvisionedConcurrencyConfig(input) => control.delete_provisioned_concurrency_config(input),
    PutFunctionEventInvokeConfig(input) => control.put_function_event_invoke_config(input),
    UpdateFunctionEventInvokeConfig(input) => control.update_function_event_invoke_config(input),
    GetFunctionEventInvokeConfig(input) => control.get_function_event_invoke_config(input),
    DeleteFunctionEventInvokeConfig(input) => control.delete_function_event_invoke_config(input),
    ListFunctionEventInvokeConfigs(input) => control.list_function_event_invoke_configs(input),
    CreateFunctionUrlConfig(input) => control.create_function_url_config(input, endpoint),
    GetFunctionUrlConfig(input) => control.get_function_url_config(input, endpoint),
    UpdateFunctionUrlConfig(input) => control.update_function_url_config(input, endpoint),
    DeleteFunctionUrlConfig(input) => control.delete_function_url_config(input),
    ListFunctionUrlConfigs(input) => control.list_function_url_configs(input, endpoint),
    PutRuntimeManagementConfig(input) => control.put_runtime_management_config(input),
    GetRuntimeManagementConfig(input) => control.get_runtime_management_config(input),
    PutFunctionRecursionConfig(input) => control.put_function_recursion_config(input),
    GetFunctionRecursionConfig(input) => control.get_function_recursion_config(input),

    CreateCodeSigningConfig(input) => control.create_code_signing_config(input),
    GetCodeSigningConfig(input) => control.get_code_signing_config(input),
    UpdateCodeSigningConfig(input) => control.update_code_signing_config(input),
    DeleteCodeSigningConfig(input) => control.delete_code_signing_config(input),
    ListCodeSigningConfigs(input) => control.list_code_signing_configs(input),
    PutFunctionCodeSigningConfig(input) => control.put_function_code_signing_config(input),
    GetFunctionCodeSigningConfig(input) => control.get_function_code_signing_config(input),
    DeleteFunctionCodeSigningConfig(input) => control.delete_function_code_signing_config(input),
    ListFunctionsByCodeSigningConfig(input) => control.list_functions_by_code_signing_config(input),

    CreateEventSourceMapping(input) => control.create_event_source_mapping(input),
    GetEventSourceMapping(input) => control.get_event_source_mapping(input),
    ListEventSourceMappings(input) => control.list_event_source_mappings(input),
    UpdateEventSourceMapping(input) => control.update_event_source_mapping(input),
    DeleteEventSourceMapping(input) => control.delete_event_source_mapping(input),

    TagResource(input) => control.tag_resource(input),
    UntagResource(input) => control.untag_resource(input),
    ListTags(input) => control.list_tags(input),
    GetAccountSettings(_input) => control.get_account_settings(),

    PublishLayerVersion(input) => control.publish_layer_version(input, endpoint),
    GetLayerVersion(input) => control.get_layer_version(input, endpoint),
    GetLayerVersionByArn(input) => control.get_layer_version_by_arn(input, endpoint),
    ListLayers(input) => control.list_layers(input),
    ListLayerVersions(input) => control.list_layer_versions(input),
    DeleteLayerVersion(input) => control.delete_layer_version(input),
    AddLayerVersionPermission(input) => control.add_layer_version_permission(input),
    RemoveLayerVersionPermission(input) => control.remove_layer_version_permission(input),
    GetLayerVersionPolicy(input) => control.get_layer_version_policy(input),
}

/// Decodes a large body beside the invokes that this thread serves: that is work of a tenth of a second.
pub(crate) fn decode_off<T>(bytes: usize, decode: impl FnOnce() -> T) -> T {
    if bytes > SMALL_BODY_BYTES { tokio::task::block_in_place(decode) } else { decode() }
}

/// The address that the client used.
pub(crate) fn endpoint(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    format!("http://{host}")
}
