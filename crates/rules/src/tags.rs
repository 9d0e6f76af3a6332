//! Tags of buses and rules.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::events::types as api;
use hearth_api::events::{Operation, errors};
use hearth_identity::Caller;
use hearth_types::limits::TAGS;

use crate::bus::DEFAULT;
use crate::errors::invalid;
use crate::{Rules, allow};

/// What an ARN names.
enum Tagged {
    Bus(String),
    Rule { bus: String, name: String },
}

impl Rules {
    /// TagResource.
    ///
    /// # Errors
    /// ResourceNotFoundException, and where there would be too many.
    pub async fn tag_resource(
        &self,
        caller: &Caller,
        input: api::TagResourceRequest,
    ) -> Result<api::TagResourceResponse, ApiError> {
        allow(caller, Operation::TagResource, &input.resource_arn, None)?;
        self.change_tags(&input.resource_arn, |tags| {
            tags.extend(input.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            if tags.len() > TAGS { Err(invalid("Too many tags: a resource has at most 50.")) } else { Ok(()) }
        })
        .await?;
        Ok(api::TagResourceResponse {})
    }

    /// UntagResource.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn untag_resource(
        &self,
        caller: &Caller,
        input: api::UntagResourceRequest,
    ) -> Result<api::UntagResourceResponse, ApiError> {
        allow(caller, Operation::UntagResource, &input.resource_arn, None)?;
        self.change_tags(&input.resource_arn, |tags| {
            tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(api::UntagResourceResponse {})
    }

    /// ListTagsForResource.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn list_tags_for_resource(
        &self,
        caller: &Caller,
        input: api::ListTagsForResourceRequest,
    ) -> Result<api::ListTagsForResourceResponse, ApiError> {
        allow(caller, Operation::ListTagsForResource, &input.resource_arn, None)?;
        let tags = match self.tagged(&input.resource_arn)? {
            Tagged::Bus(name) => self.bus(&name).await?.0.tags,
            Tagged::Rule { bus, name } => self.rule(&bus, &name).await?.record.tags,
        };
        let tags = tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect();
        Ok(api::ListTagsForResourceResponse { tags: Some(tags) })
    }

    async fn change_tags(
        &self,
        arn: &str,
        change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        match self.tagged(arn)? {
            Tagged::Bus(name) => self.change_bus(&name, |bus| change(&mut bus.tags)).await,
            Tagged::Rule { bus, name } => self.change_rule(&bus, &name, |rule| change(&mut rule.tags)).await,
        }
    }

    fn tagged(&self, arn: &str) -> Result<Tagged, ApiError> {
        let unknown = || ApiError::new(&errors::RESOURCE_NOT_FOUND, format!("There is no resource {arn}."));
        let rest = arn.strip_prefix(&self.arn("")).ok_or_else(unknown)?;
        if let Some(name) = rest.strip_prefix("event-bus/") {
            return Ok(Tagged::Bus(name.to_owned()));
        }
        let rule = rest.strip_prefix("rule/").ok_or_else(unknown)?;
        let (bus, name) = rule.split_once('/').unwrap_or((DEFAULT, rule));
        Ok(Tagged::Rule { bus: bus.to_owned(), name: name.to_owned() })
    }
}
