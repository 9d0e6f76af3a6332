//! PutFunctionRecursionConfig, GetFunctionRecursionConfig.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::RecursiveLoop;

use crate::Control;

impl Control {
    /// PutFunctionRecursionConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn put_function_recursion_config(
        &self,
        input: api::PutFunctionRecursionConfigRequest,
    ) -> Result<api::PutFunctionRecursionConfigResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        self.change_function(&target, |function| {
            function.recursive_loop = match input.recursive_loop {
                api::RecursiveLoop::Allow => RecursiveLoop::Allow,
                api::RecursiveLoop::Terminate => RecursiveLoop::Terminate,
            };
            Ok(())
        })
        .await?;
        Ok(api::PutFunctionRecursionConfigResponse { recursive_loop: Some(input.recursive_loop) })
    }

    /// GetFunctionRecursionConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_function_recursion_config(
        &self,
        input: api::GetFunctionRecursionConfigRequest,
    ) -> Result<api::GetFunctionRecursionConfigResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let function = self.load(&target.name).await?.ok_or_else(|| self.function_not_found(&target))?;
        let recursive_loop = match function.record.recursive_loop {
            RecursiveLoop::Allow => api::RecursiveLoop::Allow,
            RecursiveLoop::Terminate => api::RecursiveLoop::Terminate,
        };
        Ok(api::GetFunctionRecursionConfigResponse { recursive_loop: Some(recursive_loop) })
    }
}
