//! PutRuntimeManagementConfig, GetRuntimeManagementConfig. Runtimes are this machine's own interpreters, so that all
//! functions run what is installed: Auto is the one mode there is.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::{Qualifier, Target};

use crate::{Control, invalid, parts, refused};

impl Control {
    /// PutRuntimeManagementConfig.
    ///
    /// # Errors
    /// As the real service; and for the modes that hold a runtime back, which cannot be done here.
    pub async fn put_runtime_management_config(
        &self,
        input: api::PutRuntimeManagementConfigRequest,
    ) -> Result<api::PutRuntimeManagementConfigResponse, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        self.has_version(&target).await?;
        let mode = input.update_runtime_on;
        match (mode, &input.runtime_version_arn) {
            (api::UpdateRuntimeOn::Auto, None) => Ok(api::PutRuntimeManagementConfigResponse {
                update_runtime_on: mode,
                function_arn: self.arn_of_version(&target),
                runtime_version_arn: None,
            }),
            (api::UpdateRuntimeOn::Manual, None) => {
                Err(invalid("RuntimeVersionArn must be given where UpdateRuntimeOn is Manual."))
            }
            (api::UpdateRuntimeOn::Auto | api::UpdateRuntimeOn::FunctionUpdate, Some(_)) => {
                Err(invalid(format!("RuntimeVersionArn cannot be given where UpdateRuntimeOn is {}.", mode.as_str())))
            }
            _ => Err(refused(
                &format!("UpdateRuntimeOn {}", mode.as_str()),
                "functions run the interpreters that are installed on this machine, as with Auto",
            )),
        }
    }

    /// GetRuntimeManagementConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_runtime_management_config(
        &self,
        input: api::GetRuntimeManagementConfigRequest,
    ) -> Result<api::GetRuntimeManagementConfigResponse, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        self.has_version(&target).await?;
        Ok(api::GetRuntimeManagementConfigResponse {
            update_runtime_on: Some(api::UpdateRuntimeOn::Auto),
            function_arn: Some(self.arn_of_version(&target)),
            runtime_version_arn: None,
        })
    }

    /// That there is the version. An alias has no runtime of its own.
    async fn has_version(&self, target: &Target) -> Result<(), ApiError> {
        self.found(target).await?;
        match target.qualifier.as_deref().map(Qualifier::from) {
            Some(Qualifier::Alias(_)) => Err(self.function_not_found(target)),
            _ => Ok(()),
        }
    }

    fn arn_of_version(&self, target: &Target) -> String {
        format!("{}:{}", self.parts.place.arn(&target.name), parts::qualifier(target))
    }
}
