//! Settings of asynchronous invokes: Put-, Update-, Get-, Delete- and ListFunctionEventInvokeConfig(s).

mod destinations;

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_types::Target;
use hearth_types::keys::Part;
use hearth_types::limits::LIST_SETTINGS_PAGE;
use hearth_types::settings::EventInvokeConfig;

use crate::records::{Loaded, TRIES, as_found, contended};
use crate::{Control, invalid, parts};

/// What Put and Update take.
struct Given {
    retries: Option<u8>,
    event_age_s: Option<u32>,
    destinations: Option<api::DestinationConfig>,
}

impl Given {
    /// # Errors
    /// Where nothing is given at all.
    fn new(
        retries: Option<i32>,
        event_age_s: Option<i32>,
        destinations: Option<api::DestinationConfig>,
    ) -> Result<Self, ApiError> {
        if retries.is_none() && event_age_s.is_none() && destinations.is_none() {
            return Err(invalid("You must specify at least one of error handling or destination setting."));
        }
        Ok(Self {
            retries: retries.and_then(|retries| u8::try_from(retries).ok()),
            event_age_s: event_age_s.and_then(|seconds| u32::try_from(seconds).ok()),
            destinations,
        })
    }

    /// What is given, over what was there.
    fn over(&self, before: EventInvokeConfig, now_ms: i64) -> EventInvokeConfig {
        let sides = self.destinations.as_ref();
        let some = |arn: &Option<String>| arn.clone().filter(|arn| !arn.is_empty());
        let success = sides.and_then(|sides| sides.on_success.as_ref()).map(|side| some(&side.destination));
        let failure = sides.and_then(|sides| sides.on_failure.as_ref()).map(|side| some(&side.destination));
        EventInvokeConfig {
            retries: self.retries.or(before.retries),
            event_age_s: self.event_age_s.or(before.event_age_s),
            on_success: success.unwrap_or(before.on_success),
            on_failure: failure.unwrap_or(before.on_failure),
            modified_ms: now_ms,
        }
    }
}

impl Control {
    /// PutFunctionEventInvokeConfig: what is not given is as if it had never been set.
    ///
    /// # Errors
    /// As the real service.
    pub async fn put_function_event_invoke_config(
        &self,
        input: api::PutFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let (retries, age) = (input.maximum_retry_attempts, input.maximum_event_age_in_seconds);
        let given = Given::new(retries, age, input.destination_config)?;
        for _ in 0..TRIES {
            let function = self.owner_of_event_invokes(&target).await?;
            self.check_destinations(&target, given.destinations.as_ref()).await?;
            let before = self.part::<EventInvokeConfig>(Part::EventInvokeConfig, &target).await?;
            let config = given.over(EventInvokeConfig::default(), self.now_ms());
            if self.replace_event_invoke_config(&target, &function, before.as_ref(), Some(&config)).await? {
                return Ok(self.shown_event_invoke_config(&target.name, &parts::qualifier(&target), &config));
            }
        }
        Err(contended())
    }

    /// UpdateFunctionEventInvokeConfig: what is not given stays as it is.
    ///
    /// # Errors
    /// As the real service.
    pub async fn update_function_event_invoke_config(
        &self,
        input: api::UpdateFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let (retries, age) = (input.maximum_retry_attempts, input.maximum_event_age_in_seconds);
        let given = Given::new(retries, age, input.destination_config)?;
        for _ in 0..TRIES {
            let function = self.owner_of_event_invokes(&target).await?;
            self.check_destinations(&target, given.destinations.as_ref()).await?;
            let before = self.event_invoke_config(&target).await?;
            let config = given.over(before.record.clone(), self.now_ms());
            if self.replace_event_invoke_config(&target, &function, Some(&before), Some(&config)).await? {
                return Ok(self.shown_event_invoke_config(&target.name, &parts::qualifier(&target), &config));
            }
        }
        Err(contended())
    }

    /// GetFunctionEventInvokeConfig.
    ///
    /// # Errors
    /// As the real service: also for a function that is not there, the answer speaks of its settings (observed).
    pub async fn get_function_event_invoke_config(
        &self,
        input: api::GetFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let config = self.event_invoke_config(&target).await?.record;
        Ok(self.shown_event_invoke_config(&target.name, &parts::qualifier(&target), &config))
    }

    /// DeleteFunctionEventInvokeConfig.
    ///
    /// # Errors
    /// As GetFunctionEventInvokeConfig.
    pub async fn delete_function_event_invoke_config(
        &self,
        input: api::DeleteFunctionEventInvokeConfigRequest,
    ) -> Result<(), ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        for _ in 0..TRIES {
            let before = self.event_invoke_config(&target).await?;
            let Some(function) = self.load(&target.name).await? else { continue };
            if self.replace_event_invoke_config(&target, &function, Some(&before), None).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// ListFunctionEventInvokeConfigs: `$LATEST`, versions, aliases.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_function_event_invoke_configs(
        &self,
        input: api::ListFunctionEventInvokeConfigsRequest,
    ) -> Result<api::ListFunctionEventInvokeConfigsResponse, ApiError> {
        let Target { name, .. } = self.resolve(&input.function_name, None)?;
        let page = Page::new("event-invoke-configs", input.marker.as_deref(), input.max_items, LIST_SETTINGS_PAGE)?;
        if self.load(&name).await?.is_none() {
            return Err(no_function());
        }
        let mut found = self.parts::<EventInvokeConfig>(Part::EventInvokeConfig, &name, &page).await?;
        let next_marker = page.cut(&mut found, |(qualifier, _)| qualifier);
        let shown = found.iter().map(|(qualifier, config)| self.shown_event_invoke_config(&name, qualifier, config));
        Ok(api::ListFunctionEventInvokeConfigsResponse {
            function_event_invoke_configs: Some(shown.collect()),
            next_marker,
        })
    }

    /// The function, where it has the version or the alias that is asked for.
    async fn owner_of_event_invokes(&self, target: &Target) -> Result<Loaded, ApiError> {
        let function = self.load(&target.name).await?.ok_or_else(no_function)?;
        self.named(&target.name, target.qualifier.as_deref()).await?.ok_or_else(no_function)?;
        Ok(function)
    }

    async fn event_invoke_config(&self, target: &Target) -> Result<Loaded<EventInvokeConfig>, ApiError> {
        self.part(Part::EventInvokeConfig, target).await?.ok_or_else(|| {
            let (arn, qualifier) = (self.parts.place.arn(&target.name), parts::qualifier(target));
            ApiError::not_found(format!("The function {arn}:{qualifier} doesn't have an EventInvokeConfig"))
        })
    }

    async fn replace_event_invoke_config(
        &self,
        target: &Target,
        function: &Loaded,
        before: Option<&Loaded<EventInvokeConfig>>,
        after: Option<&EventInvokeConfig>,
    ) -> Result<bool, ApiError> {
        self.replace_part(Part::EventInvokeConfig, target, function, as_found(before), after).await
    }

    fn shown_event_invoke_config(
        &self,
        function: &str,
        qualifier: &str,
        config: &EventInvokeConfig,
    ) -> api::FunctionEventInvokeConfig {
        api::FunctionEventInvokeConfig {
            last_modified: Some(hearth_api::Timestamp(config.modified_ms)),
            function_arn: Some(format!("{}:{qualifier}", self.parts.place.arn(function))),
            maximum_retry_attempts: config.retries.map(i32::from),
            maximum_event_age_in_seconds: config.event_age_s.and_then(|seconds| i32::try_from(seconds).ok()),
            // Both sides are always there (observed).
            destination_config: Some(api::DestinationConfig {
                on_success: Some(api::OnSuccess { destination: config.on_success.clone() }),
                on_failure: Some(api::OnFailure { destination: config.on_failure.clone() }),
            }),
        }
    }
}

fn no_function() -> ApiError {
    ApiError::not_found("The function doesn't exist.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(retries: Option<i32>, destinations: Option<api::DestinationConfig>) -> Given {
        Given::new(retries, None, destinations).unwrap()
    }

    #[test]
    fn what_is_given_replaces_what_was_there_and_the_rest_stays() {
        let to = |arn: &str| api::DestinationConfig {
            on_success: Some(api::OnSuccess { destination: Some(arn.to_owned()) }),
            on_failure: None,
        };
        let first = given(Some(0), Some(to("arn:a"))).over(EventInvokeConfig::default(), 1);
        assert_eq!((first.retries, first.on_success.as_deref(), first.modified_ms), (Some(0), Some("arn:a"), 1));
        let failure = api::DestinationConfig {
            on_success: None,
            on_failure: Some(api::OnFailure { destination: Some("arn:b".into()) }),
        };
        let both = given(None, Some(failure)).over(first, 2);
        assert_eq!((both.on_success.as_deref(), both.on_failure.as_deref()), (Some("arn:a"), Some("arn:b")));
        let cleared = given(None, Some(to(""))).over(both, 3);
        assert_eq!((cleared.on_success, cleared.on_failure.as_deref()), (None, Some("arn:b")));
        assert!(Given::new(None, None, None).is_err());
        assert!(Given::new(None, None, Some(api::DestinationConfig::default())).is_ok());
    }
}
