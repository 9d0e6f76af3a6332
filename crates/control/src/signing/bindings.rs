//! PutFunctionCodeSigningConfig, GetFunctionCodeSigningConfig, DeleteFunctionCodeSigningConfig,
//! ListFunctionsByCodeSigningConfig.

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::Write;
use hearth_types::function::{Code, FunctionRecord};
use hearth_types::keys;
use hearth_types::limits::LIST_CODE_SIGNING_PAGE;

use super::CodeSigningConfig;
use crate::records::{Loaded, TRIES, contended, put};
use crate::{Control, invalid};

impl Control {
    /// PutFunctionCodeSigningConfig: from the next deployment on.
    ///
    /// # Errors
    /// As the real service: first for the configuration, then for the function (observed).
    pub async fn put_function_code_signing_config(
        &self,
        input: api::PutFunctionCodeSigningConfigRequest,
    ) -> Result<api::PutFunctionCodeSigningConfigResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        for _ in 0..TRIES {
            let (id, config) = self.code_signing_config_to_bind(&input.code_signing_config_arn).await?;
            let mut function = self.function(&target).await?;
            if matches!(function.record.latest.code, Code::Image { .. }) {
                return Err(images_have_none());
            }
            let unchanged = function.unchanged();
            function.record.code_signing = Some(id.clone());
            let own = put(keys::function(&target.name), &function.record, unchanged)?;
            if self.commit(vec![own, bound(&id, &config)?]).await? {
                return Ok(api::PutFunctionCodeSigningConfigResponse {
                    code_signing_config_arn: self.code_signing_arn(&id),
                    function_name: target.name,
                });
            }
        }
        Err(contended())
    }

    /// GetFunctionCodeSigningConfig: without members where none is bound.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_function_code_signing_config(
        &self,
        input: api::GetFunctionCodeSigningConfigRequest,
    ) -> Result<api::GetFunctionCodeSigningConfigResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let bound = self.function(&target).await?.record.code_signing;
        Ok(api::GetFunctionCodeSigningConfigResponse {
            function_name: bound.as_ref().map(|_| target.name),
            code_signing_config_arn: bound.map(|id| self.code_signing_arn(&id)),
        })
    }

    /// DeleteFunctionCodeSigningConfig: no error where none is bound.
    ///
    /// # Errors
    /// As the real service.
    pub async fn delete_function_code_signing_config(
        &self,
        input: api::DeleteFunctionCodeSigningConfigRequest,
    ) -> Result<(), ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        self.change_function(&target, |function| {
            function.code_signing = None;
            Ok(())
        })
        .await
    }

    /// ListFunctionsByCodeSigningConfig: unqualified ARNs, by name.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_functions_by_code_signing_config(
        &self,
        input: api::ListFunctionsByCodeSigningConfigRequest,
    ) -> Result<api::ListFunctionsByCodeSigningConfigResponse, ApiError> {
        let page =
            Page::new("functions-by-code-signing", input.marker.as_deref(), input.max_items, LIST_CODE_SIGNING_PAGE)?;
        let (id, _) = self.code_signing_config(&input.code_signing_config_arn).await?;
        let after = page.after.as_deref().map(keys::function);
        let is_bound = |function: &FunctionRecord| function.code_signing.as_ref() == Some(&id);
        let mut found = self.read_matching(keys::FUNCTIONS, after.as_deref(), page.read(), is_bound).await?;
        let next_marker = page.cut(&mut found, |(name, _)| name);
        let arns = found.iter().map(|(name, _)| self.parts.place.arn(name).to_string()).collect();
        Ok(api::ListFunctionsByCodeSigningConfigResponse { next_marker, function_arns: Some(arns) })
    }
}

/// Writes a configuration as it is. Belongs into each commit that binds it: deleting it must notice.
pub(crate) fn bound(id: &str, config: &Loaded<CodeSigningConfig>) -> Result<Write, ApiError> {
    put(keys::code_signing(id), &config.record, config.unchanged())
}

pub(crate) fn images_have_none() -> ApiError {
    invalid("Code signing configurations are not supported for functions created with container images.")
}
