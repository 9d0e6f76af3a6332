//! Function URLs: Create-, Get-, Update-, Delete- and ListFunctionUrlConfig(s).

mod shape;

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::Precondition;
use hearth_types::keys::Part;
use hearth_types::limits::LIST_SETTINGS_PAGE;
use hearth_types::settings::UrlConfig;
use hearth_types::{Qualifier, Target, UrlHost};
use uuid::Uuid;

use crate::records::{Loaded, TRIES, contended};
use crate::{Control, rules};

impl Control {
    /// CreateFunctionUrlConfig. `endpoint` is the address the client used: the URL is below it.
    ///
    /// # Errors
    /// As the real service.
    pub async fn create_function_url_config(
        &self,
        input: api::CreateFunctionUrlConfigRequest,
        endpoint: &str,
    ) -> Result<api::CreateFunctionUrlConfigResponse, ApiError> {
        let target = self.resolve_for_url(&input.function_name, input.qualifier.as_deref())?;
        let now_ms = self.now_ms();
        let config = UrlConfig {
            id: Uuid::new_v4().simple().to_string(),
            auth: shape::auth(input.auth_type),
            invoke_mode: input.invoke_mode.map(shape::invoke_mode).unwrap_or_default(),
            cors: input.cors.and_then(shape::cors),
            created_ms: now_ms,
            modified_ms: now_ms,
        };
        for _ in 0..TRIES {
            let function = self.owner_of_url(&target).await?;
            if self.part::<UrlConfig>(Part::Url, &target).await?.is_some() {
                return Err(self.url_exists(&target));
            }
            if self.replace_part(Part::Url, &target, &function, Precondition::Absent, Some(&config)).await? {
                let shown = self.shown_url(&target, &config, endpoint);
                // What was not given is not shown by this operation alone (observed).
                return Ok(api::CreateFunctionUrlConfigResponse {
                    function_url: shown.function_url,
                    function_arn: shown.function_arn,
                    auth_type: shown.auth_type,
                    cors: shown.cors,
                    creation_time: shown.creation_time,
                    invoke_mode: input.invoke_mode,
                });
            }
        }
        Err(contended())
    }

    /// GetFunctionUrlConfig.
    ///
    /// # Errors
    /// One text for all that is not there (observed).
    pub async fn get_function_url_config(
        &self,
        input: api::GetFunctionUrlConfigRequest,
        endpoint: &str,
    ) -> Result<api::GetFunctionUrlConfigResponse, ApiError> {
        let target = self.resolve_for_url(&input.function_name, input.qualifier.as_deref())?;
        let shown = self.shown_url(&target, &self.url(&target).await?.record, endpoint);
        Ok(api::GetFunctionUrlConfigResponse {
            function_url: shown.function_url,
            function_arn: shown.function_arn,
            auth_type: shown.auth_type,
            cors: shown.cors,
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
            invoke_mode: shown.invoke_mode,
        })
    }

    /// UpdateFunctionUrlConfig: what is not given stays; an empty Cors goes. The URL itself never changes.
    ///
    /// # Errors
    /// As the real service.
    pub async fn update_function_url_config(
        &self,
        input: api::UpdateFunctionUrlConfigRequest,
        endpoint: &str,
    ) -> Result<api::UpdateFunctionUrlConfigResponse, ApiError> {
        let target = self.resolve_for_url(&input.function_name, input.qualifier.as_deref())?;
        for _ in 0..TRIES {
            let function = self.owner_of_url(&target).await?;
            let found = self.url(&target).await?;
            let unchanged = found.unchanged();
            let before = found.record;
            let config = UrlConfig {
                auth: input.auth_type.map_or(before.auth, shape::auth),
                invoke_mode: input.invoke_mode.map_or(before.invoke_mode, shape::invoke_mode),
                cors: input.cors.clone().map_or(before.cors, shape::cors),
                modified_ms: self.now_ms(),
                ..before
            };
            if self.replace_part(Part::Url, &target, &function, unchanged, Some(&config)).await? {
                let shown = self.shown_url(&target, &config, endpoint);
                return Ok(api::UpdateFunctionUrlConfigResponse {
                    function_url: shown.function_url,
                    function_arn: shown.function_arn,
                    auth_type: shown.auth_type,
                    cors: shown.cors,
                    creation_time: shown.creation_time,
                    last_modified_time: shown.last_modified_time,
                    invoke_mode: shown.invoke_mode,
                });
            }
        }
        Err(contended())
    }

    /// DeleteFunctionUrlConfig: the URL of exactly this qualifier, for good.
    ///
    /// # Errors
    /// One text for all that is not there (observed).
    pub async fn delete_function_url_config(&self, input: api::DeleteFunctionUrlConfigRequest) -> Result<(), ApiError> {
        let target = self.resolve_for_url(&input.function_name, input.qualifier.as_deref())?;
        for _ in 0..TRIES {
            let unchanged = self.url(&target).await?.unchanged();
            let function = self.load(&target.name).await?.ok_or_else(no_url)?;
            if self.replace_part::<UrlConfig>(Part::Url, &target, &function, unchanged, None).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// ListFunctionUrlConfigs: that of the unqualified function, then those of aliases by their names.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_function_url_configs(
        &self,
        input: api::ListFunctionUrlConfigsRequest,
        endpoint: &str,
    ) -> Result<api::ListFunctionUrlConfigsResponse, ApiError> {
        let Target { name, .. } = self.resolve(&input.function_name, None)?;
        let page = Page::new("function-urls", input.marker.as_deref(), input.max_items, LIST_SETTINGS_PAGE)?;
        if self.load(&name).await?.is_none() {
            return Err(no_function());
        }
        let mut found = self.parts::<UrlConfig>(Part::Url, &name, &page).await?;
        let next_marker = page.cut(&mut found, |(qualifier, _)| qualifier);
        let shown = found.iter().map(|(qualifier, config)| {
            let is_latest = Qualifier::from(qualifier.as_str()) == Qualifier::Latest;
            let qualifier = (!is_latest).then(|| qualifier.clone());
            self.shown_url(&Target { name: name.clone(), qualifier }, config, endpoint)
        });
        Ok(api::ListFunctionUrlConfigsResponse { function_url_configs: shown.collect(), next_marker })
    }

    /// Resolves names: only the unqualified function and aliases have URLs.
    fn resolve_for_url(&self, function_name: &str, qualifier: Option<&str>) -> Result<Target, ApiError> {
        let target = self.resolve(function_name, qualifier)?;
        match target.qualifier.as_deref() {
            Some(text) if !matches!(Qualifier::from(text), Qualifier::Alias(_)) => Err(ApiError::validation(format!(
                // As the model says it of the member Qualifier; here it may be a part of the name.
                "1 validation error detected: Value '{text}' at 'qualifier' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
            ))),
            _ => Ok(target),
        }
    }

    /// The function, where it has the alias that is asked for.
    async fn owner_of_url(&self, target: &Target) -> Result<Loaded, ApiError> {
        let function = self.load(&target.name).await?.ok_or_else(no_function)?;
        if function.record.latest.config.per_tenant {
            return Err(rules::no_tenants("A function URL"));
        }
        self.named(&target.name, target.qualifier.as_deref()).await?.ok_or_else(no_function)?;
        Ok(function)
    }

    async fn url(&self, target: &Target) -> Result<Loaded<UrlConfig>, ApiError> {
        self.part(Part::Url, target).await?.ok_or_else(no_url)
    }

    fn url_exists(&self, target: &Target) -> ApiError {
        let arn = self.parts.place.arn_as_asked(target);
        ApiError::conflict(format!(
            "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig exists \
             for this Lambda function"
        ))
    }

    fn shown_url(&self, target: &Target, config: &UrlConfig, endpoint: &str) -> api::FunctionUrlConfig {
        api::FunctionUrlConfig {
            function_url: UrlHost::url(&config.id, &self.parts.place.region, endpoint),
            function_arn: self.parts.place.arn_as_asked(target).to_string(),
            creation_time: shape::date(config.created_ms),
            last_modified_time: shape::date(config.modified_ms),
            cors: config.cors.clone().map(shape::shown_cors),
            auth_type: shape::shown_auth(config.auth),
            invoke_mode: Some(shape::shown_invoke_mode(config.invoke_mode)),
        }
    }
}

fn no_function() -> ApiError {
    ApiError::not_found("Function does not exist")
}

fn no_url() -> ApiError {
    ApiError::not_found("The resource you requested does not exist.")
}
