//! CreateEventSourceMapping, GetEventSourceMapping, ListEventSourceMappings, UpdateEventSourceMapping,
//! DeleteEventSourceMapping.

use hearth_api::error::modelled;
use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::{Precondition, Write};
use hearth_types::limits::LIST_MAPPINGS_PAGE;
use hearth_types::mapping::{Mapping, Phase, Progress, Source};
use hearth_types::{Target, keys};
use uuid::Uuid;

use crate::event_sources::Poller;
use crate::mappings::change::Change;
use crate::mappings::{one_form, settings, source, view};
use crate::records::{Loaded, TRIES, contended, put};
use crate::{Control, invalid, rules};

impl Control {
    /// CreateEventSourceMapping.
    ///
    /// # Errors
    /// As the real service: also where the source is not there, or the function may not poll it.
    pub async fn create_event_source_mapping(
        &self,
        input: api::CreateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let source = source::asked(&input)?;
        let settings = settings::new(&source, &Change::from(&input))?;
        let target = self.resolve(&input.function_name, None)?;
        let tags = input.tags.unwrap_or_default().into_iter().collect();
        rules::tags(&tags)?;
        let wanted = input.enabled.unwrap_or(true);
        let mapping = Mapping {
            function: target.name.clone(),
            qualifier: target.qualifier.clone(),
            source,
            settings,
            wanted,
            // Made disabled, it is so at once (observed).
            phase: if wanted { Phase::Creating } else { Phase::Disabled },
            reason: None,
            tags,
            last_modified_ms: self.now_ms(),
        };
        let uuid = Uuid::new_v4().to_string();
        for _ in 0..TRIES {
            self.must_be_pollable(&mapping.source, &target).await?;
            self.must_be_free(&mapping).await?;
            let writes = vec![
                put(keys::mapping(&uuid), &mapping, Precondition::Absent)?,
                put(mapping.claim(), &uuid, Precondition::Absent)?,
            ];
            if self.commit(writes).await? {
                return self.shown_mapping(&uuid, &mapping).await;
            }
        }
        Err(contended())
    }

    /// GetEventSourceMapping.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get_event_source_mapping(
        &self,
        input: api::GetEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let uuid = known_form(&input.uuid)?;
        let mapping = self.mapping(&uuid).await?;
        self.shown_mapping(&uuid, &mapping.record).await
    }

    /// ListEventSourceMappings, of one source and one function where they are given.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub async fn list_event_source_mappings(
        &self,
        input: api::ListEventSourceMappingsRequest,
    ) -> Result<api::ListEventSourceMappingsResponse, ApiError> {
        let page = Page::new("mappings", input.marker.as_deref(), input.max_items, LIST_MAPPINGS_PAGE)?;
        let target = input.function_name.as_deref().map(|name| self.resolve(name, None)).transpose()?;
        let fits = |mapping: &Mapping| {
            let of_source = input.event_source_arn.as_deref().is_none_or(|arn| mapping.source.arn() == Some(arn));
            of_source && target.as_ref().is_none_or(|target| *target == mapping.target())
        };
        let after = page.after.as_deref().map(keys::mapping);
        let mut found = self.read_matching(keys::MAPPINGS, after.as_deref(), page.read(), fits).await?;
        let next_marker = page.cut(&mut found, |(uuid, _)| uuid);
        let mut shown = Vec::with_capacity(found.len());
        for (uuid, loaded) in &found {
            shown.push(self.shown_mapping(uuid, &loaded.record).await?);
        }
        Ok(api::ListEventSourceMappingsResponse { event_source_mappings: Some(shown), next_marker })
    }

    /// UpdateEventSourceMapping: an absent member changes nothing.
    ///
    /// # Errors
    /// As the real service; ResourceInUseException for a mapping that is in transition.
    pub async fn update_event_source_mapping(
        &self,
        input: api::UpdateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let uuid = known_form(&input.uuid)?;
        for _ in 0..TRIES {
            let before = self.mapping(&uuid).await?;
            must_be_settled(&before.record, "update")?;
            let after = self.changed_mapping(&before.record, &input).await?;
            let mut writes = vec![put(keys::mapping(&uuid), &after, before.unchanged())?];
            if after.claim() != before.record.claim() {
                self.must_be_free(&after).await?;
                writes.push(Write::delete(before.record.claim(), Precondition::Any));
                writes.push(put(after.claim(), &uuid, Precondition::Absent)?);
            }
            if self.commit(writes).await? {
                return self.shown_mapping(&uuid, &after).await;
            }
        }
        Err(contended())
    }

    /// DeleteEventSourceMapping. Once what is in flight has come to its end the mapping is gone.
    ///
    /// # Errors
    /// When there is none; ResourceInUseException for one that is in transition.
    pub async fn delete_event_source_mapping(
        &self,
        input: api::DeleteEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let uuid = known_form(&input.uuid)?;
        for _ in 0..TRIES {
            let before = self.mapping(&uuid).await?;
            must_be_settled(&before.record, "delete")?;
            let going = Mapping { wanted: false, phase: Phase::Deleting, reason: None, ..before.record.clone() };
            if self.commit(vec![put(keys::mapping(&uuid), &going, before.unchanged())?]).await? {
                return self.shown_mapping(&uuid, &going).await;
            }
        }
        Err(contended())
    }

    async fn mapping(&self, uuid: &str) -> Result<Loaded<Mapping>, ApiError> {
        self.read(&keys::mapping(uuid)).await?.ok_or_else(missing)
    }

    async fn changed_mapping(
        &self,
        before: &Mapping,
        input: &api::UpdateEventSourceMappingRequest,
    ) -> Result<Mapping, ApiError> {
        let mut mapping = before.clone();
        if let Some(name) = &input.function_name {
            let target = self.resolve(name, None)?;
            self.must_be_pollable(&mapping.source, &target).await?;
            (mapping.function, mapping.qualifier) = (target.name, target.qualifier);
        }
        mapping.settings = settings::changed(mapping.settings, &mapping.source, &Change::from(input))?;
        mapping.wanted = input.enabled.unwrap_or(mapping.wanted);
        mapping.phase = match (before.wanted, mapping.wanted) {
            (false, true) => Phase::Enabling,
            (true, false) => Phase::Disabling,
            (true, true) | (false, false) => Phase::Updating,
        };
        mapping.reason = None;
        mapping.last_modified_ms = self.now_ms();
        Ok(mapping)
    }

    /// The function must be there, with the version or alias that is named, and must be able to poll the source.
    async fn must_be_pollable(&self, source: &Source, target: &Target) -> Result<(), ApiError> {
        if self.load(&target.name).await?.is_none() {
            return Err(no_function());
        }
        let found = self.found(target).await;
        let found = found.map_err(|error| if error.kind.status == 404 { no_function() } else { error })?;
        let config = &found.version().config;
        if config.per_tenant {
            return Err(rules::no_tenants("An event source mapping"));
        }
        let poller = Poller { function: &target.name, role: &config.role, timeout_s: config.timeout_s };
        self.parts.event_sources.check(source, poller).await.map_err(invalid)
    }

    /// No other mapping may lead from this source to this function.
    async fn must_be_free(&self, mapping: &Mapping) -> Result<(), ApiError> {
        match self.read::<String>(&mapping.claim()).await? {
            Some(other) => Err(source::exists(&mapping.source, &mapping.function, &other.record)),
            None => Ok(()),
        }
    }

    async fn shown_mapping(
        &self,
        uuid: &str,
        mapping: &Mapping,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let progress = self.read::<Progress>(&keys::mapping_progress(uuid)).await?;
        let progress = progress.map(|found| found.record).unwrap_or_default();
        Ok(view::configuration(&self.parts.place, uuid, mapping, &progress))
    }
}

/// The ids that we give are the only ones: nothing else may become part of a key.
fn known_form(uuid: &str) -> Result<String, ApiError> {
    one_form(uuid).ok_or_else(missing)
}

/// A transition comes to its end before another one begins.
fn must_be_settled(mapping: &Mapping, verb: &str) -> Result<(), ApiError> {
    if mapping.phase.is_settled() {
        return Ok(());
    }
    let text = format!("Cannot {verb} the event source mapping because it is in use.");
    Err(ApiError::new(&modelled::RESOURCE_IN_USE, text))
}

fn no_function() -> ApiError {
    invalid("Function does not exist")
}

fn missing() -> ApiError {
    ApiError::not_found("The resource you requested does not exist.")
}
