//! CreateEventSourceMapping, GetEventSourceMapping, ListEventSourceMappings, UpdateEventSourceMapping,
//! DeleteEventSourceMapping.

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::{Precondition, Write};
use hearth_types::limits::LIST_MAPPINGS_PAGE;
use hearth_types::{Target, keys};
use uuid::Uuid;

use crate::mappings::change::Change;
use crate::mappings::settings::Settings;
use crate::mappings::source::Source;
use crate::mappings::view::{self, Shown};
use crate::mappings::{Mapping, one_form};
use crate::records::{Loaded, TRIES, contended, put};
use crate::{Control, invalid, rules};

impl Control {
    /// CreateEventSourceMapping.
    ///
    /// # Errors
    /// As the real service; that a source exists is not looked at.
    pub async fn create_event_source_mapping(
        &self,
        input: api::CreateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let source = Source::asked(&input)?;
        let settings = Settings::new(&source, &Change::from(&input))?;
        let target = self.resolve(&input.function_name, None)?;
        let tags = input.tags.unwrap_or_default().into_iter().collect();
        rules::tags(&tags)?;
        let mapping = Mapping {
            function: target.name.clone(),
            qualifier: target.qualifier.clone(),
            source,
            settings,
            wanted: input.enabled.unwrap_or(true),
            tags,
            last_modified_ms: self.now_ms(),
        };
        let uuid = Uuid::new_v4().to_string();
        for _ in 0..TRIES {
            self.must_be_invocable(&target).await?;
            self.must_be_free(&mapping).await?;
            let writes = vec![
                put(keys::mapping(&uuid), &mapping, Precondition::Absent)?,
                put(mapping.claim(), &uuid, Precondition::Absent)?,
            ];
            if self.commit(writes).await? {
                return Ok(self.shown_mapping(&uuid, &mapping, Shown::Creating));
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
        Ok(self.shown_mapping(&uuid, &mapping.record, Shown::Settled))
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
        let shown = found.iter().map(|(uuid, loaded)| self.shown_mapping(uuid, &loaded.record, Shown::Settled));
        Ok(api::ListEventSourceMappingsResponse { event_source_mappings: Some(shown.collect()), next_marker })
    }

    /// UpdateEventSourceMapping: an absent member changes nothing.
    ///
    /// # Errors
    /// As the real service.
    pub async fn update_event_source_mapping(
        &self,
        input: api::UpdateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let uuid = known_form(&input.uuid)?;
        for _ in 0..TRIES {
            let before = self.mapping(&uuid).await?;
            let after = self.changed_mapping(&before.record, &input).await?;
            let mut writes = vec![put(keys::mapping(&uuid), &after, before.unchanged())?];
            if after.claim() != before.record.claim() {
                self.must_be_free(&after).await?;
                writes.push(Write::delete(before.record.claim(), Precondition::Any));
                writes.push(put(after.claim(), &uuid, Precondition::Absent)?);
            }
            if self.commit(writes).await? {
                let shown = match (before.record.wanted, after.wanted) {
                    (false, true) => Shown::Enabling,
                    (true, false) => Shown::Disabling,
                    _ => Shown::Updating,
                };
                return Ok(self.shown_mapping(&uuid, &after, shown));
            }
        }
        Err(contended())
    }

    /// DeleteEventSourceMapping. The answer is the last that is seen of it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn delete_event_source_mapping(
        &self,
        input: api::DeleteEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, ApiError> {
        let uuid = known_form(&input.uuid)?;
        for _ in 0..TRIES {
            let mapping = self.mapping(&uuid).await?;
            let writes = vec![
                Write::delete(keys::mapping(&uuid), mapping.unchanged()),
                Write::delete(mapping.record.claim(), Precondition::Any),
            ];
            if self.commit(writes).await? {
                return Ok(self.shown_mapping(&uuid, &mapping.record, Shown::Deleting));
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
            self.must_be_invocable(&target).await?;
            (mapping.function, mapping.qualifier) = (target.name, target.qualifier);
        }
        mapping.settings = mapping.settings.changed(&mapping.source, &Change::from(input))?;
        mapping.wanted = input.enabled.unwrap_or(mapping.wanted);
        mapping.last_modified_ms = self.now_ms();
        Ok(mapping)
    }

    /// The function must be there, with the version or alias that is named.
    async fn must_be_invocable(&self, target: &Target) -> Result<(), ApiError> {
        let there = self.load(&target.name).await?.is_some()
            && self.named(&target.name, target.qualifier.as_deref()).await?.is_some();
        if there { Ok(()) } else { Err(invalid("Function does not exist")) }
    }

    /// No other mapping may lead from this source to this function.
    async fn must_be_free(&self, mapping: &Mapping) -> Result<(), ApiError> {
        match self.read::<String>(&mapping.claim()).await? {
            Some(other) => Err(mapping.source.exists(&mapping.function, &other.record)),
            None => Ok(()),
        }
    }

    fn shown_mapping(&self, uuid: &str, mapping: &Mapping, shown: Shown) -> api::EventSourceMappingConfiguration {
        view::configuration(&self.parts.place, uuid, mapping, shown)
    }
}

/// The ids that we give are the only ones: nothing else may become part of a key.
fn known_form(uuid: &str) -> Result<String, ApiError> {
    one_form(uuid).ok_or_else(missing)
}

fn missing() -> ApiError {
    ApiError::not_found("The resource you requested does not exist.")
}
