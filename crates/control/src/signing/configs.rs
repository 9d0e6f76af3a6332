//! CreateCodeSigningConfig, GetCodeSigningConfig, UpdateCodeSigningConfig, DeleteCodeSigningConfig,
//! ListCodeSigningConfigs.

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::{Precondition, Write};
use hearth_types::function::FunctionRecord;
use hearth_types::keys;
use hearth_types::limits::LIST_CODE_SIGNING_PAGE;
use uuid::Uuid;

use super::{CodeSigningConfig, Untrusted};
use crate::records::{TRIES, contended, put};
use crate::{Control, rules, view};

impl Control {
    /// CreateCodeSigningConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn create_code_signing_config(
        &self,
        input: api::CreateCodeSigningConfigRequest,
    ) -> Result<api::CreateCodeSigningConfigResponse, ApiError> {
        let tags = input.tags.unwrap_or_default().into_iter().collect();
        rules::tags(&tags)?;
        let config = CodeSigningConfig {
            description: input.description,
            publishers: input.allowed_publishers.signing_profile_version_arns,
            untrusted: input.code_signing_policies.as_ref().and_then(untrusted).unwrap_or_default(),
            tags,
            modified_ms: self.now_ms(),
        };
        for _ in 0..TRIES {
            let id = new_id();
            if self.commit(vec![put(keys::code_signing(&id), &config, Precondition::Absent)?]).await? {
                let code_signing_config = self.shown_code_signing(&id, &config);
                return Ok(api::CreateCodeSigningConfigResponse { code_signing_config });
            }
        }
        Err(contended())
    }

    /// GetCodeSigningConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_code_signing_config(
        &self,
        input: api::GetCodeSigningConfigRequest,
    ) -> Result<api::GetCodeSigningConfigResponse, ApiError> {
        let (id, config) = self.code_signing_config(&input.code_signing_config_arn).await?;
        let code_signing_config = self.shown_code_signing(&id, &config.record);
        Ok(api::GetCodeSigningConfigResponse { code_signing_config })
    }

    /// UpdateCodeSigningConfig: what is not given stays; the next deployments are judged by what is new.
    ///
    /// # Errors
    /// As the real service.
    pub async fn update_code_signing_config(
        &self,
        input: api::UpdateCodeSigningConfigRequest,
    ) -> Result<api::UpdateCodeSigningConfigResponse, ApiError> {
        for _ in 0..TRIES {
            let (id, found) = self.code_signing_config(&input.code_signing_config_arn).await?;
            let unchanged = found.unchanged();
            let before = found.record;
            let publishers = input.allowed_publishers.clone().map(|given| given.signing_profile_version_arns);
            let config = CodeSigningConfig {
                description: input.description.clone().or(before.description),
                publishers: publishers.unwrap_or(before.publishers),
                untrusted: input.code_signing_policies.as_ref().and_then(untrusted).unwrap_or(before.untrusted),
                tags: before.tags,
                modified_ms: self.now_ms(),
            };
            if self.commit(vec![put(keys::code_signing(&id), &config, unchanged)?]).await? {
                let code_signing_config = self.shown_code_signing(&id, &config);
                return Ok(api::UpdateCodeSigningConfigResponse { code_signing_config });
            }
        }
        Err(contended())
    }

    /// DeleteCodeSigningConfig.
    ///
    /// # Errors
    /// As the real service: not while functions are bound to it.
    pub async fn delete_code_signing_config(
        &self,
        input: api::DeleteCodeSigningConfigRequest,
    ) -> Result<api::DeleteCodeSigningConfigResponse, ApiError> {
        for _ in 0..TRIES {
            let (id, config) = self.code_signing_config(&input.code_signing_config_arn).await?;
            let mut bound = 0_usize;
            let is_bound = |function: &FunctionRecord| function.code_signing.as_ref() == Some(&id);
            self.visit(keys::FUNCTIONS, |_, function| bound += usize::from(is_bound(&function))).await?;
            if bound > 0 {
                return Err(ApiError::conflict(format!(
                    "The code signing configuration is in use by {bound} function(s): {}",
                    input.code_signing_config_arn
                )));
            }
            // Who binds it meanwhile writes it too.
            if self.commit(vec![Write::delete(keys::code_signing(&id), config.unchanged())]).await? {
                return Ok(api::DeleteCodeSigningConfigResponse::default());
            }
        }
        Err(contended())
    }

    /// ListCodeSigningConfigs.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_code_signing_configs(
        &self,
        input: api::ListCodeSigningConfigsRequest,
    ) -> Result<api::ListCodeSigningConfigsResponse, ApiError> {
        let page = Page::new("code-signing", input.marker.as_deref(), input.max_items, LIST_CODE_SIGNING_PAGE)?;
        let after = page.after.as_deref().map(keys::code_signing);
        let mut found = self.read_page(keys::CODE_SIGNING, after.as_deref(), page.read()).await?;
        let next_marker = page.cut(&mut found, |(id, _)| id);
        let configs = found.iter().map(|(id, config)| self.shown_code_signing(id, &config.record)).collect();
        Ok(api::ListCodeSigningConfigsResponse { next_marker, code_signing_configs: Some(configs) })
    }

    fn shown_code_signing(&self, id: &str, config: &CodeSigningConfig) -> api::CodeSigningConfig {
        api::CodeSigningConfig {
            code_signing_config_id: id.to_owned(),
            code_signing_config_arn: self.code_signing_arn(id),
            description: config.description.clone(),
            allowed_publishers: api::AllowedPublishers { signing_profile_version_arns: config.publishers.clone() },
            code_signing_policies: api::CodeSigningPolicies {
                untrusted_artifact_on_deployment: Some(match config.untrusted {
                    Untrusted::Warn => api::CodeSigningPolicy::Warn,
                    Untrusted::Enforce => api::CodeSigningPolicy::Enforce,
                }),
            },
            last_modified: view::last_modified(config.modified_ms),
        }
    }
}

fn untrusted(given: &api::CodeSigningPolicies) -> Option<Untrusted> {
    given.untrusted_artifact_on_deployment.map(|policy| match policy {
        api::CodeSigningPolicy::Warn => Untrusted::Warn,
        api::CodeSigningPolicy::Enforce => Untrusted::Enforce,
    })
}

/// `csc-` and 17 of a-z 0-9.
fn new_id() -> String {
    format!("csc-{:.17}", Uuid::new_v4().simple().to_string())
}
