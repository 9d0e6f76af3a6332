//! Aliases: names for versions, two of which may share the invokes.

use std::collections::BTreeMap;

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::{Precondition, Write};
use hearth_types::function::{AliasRecord, Configuration, VersionId};
use hearth_types::keys::{self, Part};
use hearth_types::limits::{ALIAS_WEIGHTS, LIST_ALIASES_PAGE};
use hearth_types::settings::ProvisionedConcurrency;
use hearth_types::{Qualifier, Target};

use crate::records::{Loaded, TRIES, contended, put, touch};
use crate::{Control, invalid, names, new_revision, refused};

impl Control {
    /// CreateAlias.
    ///
    /// # Errors
    /// As the real service.
    pub async fn create_alias(&self, input: api::CreateAliasRequest) -> Result<api::AliasConfiguration, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let record = AliasRecord {
            version: self.version_id(&target, &input.function_version)?,
            description: input.description.unwrap_or_default(),
            weights: self.weights(&target, input.routing_config)?.unwrap_or_default(),
            revision: new_revision(),
        };
        may_route(&record)?;
        let key = Part::Alias.key(&target.name, &input.name);
        for _ in 0..TRIES {
            let asked = Target { qualifier: Some(record.version.to_string()), ..target.clone() };
            let function = self.function(&asked).await?;
            let mut writes = self.existing(&target.name, &record).await?;
            if self.alias(&target.name, &input.name).await?.is_some() {
                let arn = self.parts.place.arn(&target.name);
                return Err(ApiError::conflict(format!("Alias already exists: {arn}:{}", input.name)));
            }
            writes.extend([touch(&function)?, put(key.clone(), &record, Precondition::Absent)?]);
            if self.commit(writes).await? {
                return Ok(self.shown_alias(&target.name, &input.name, &record));
            }
        }
        Err(contended())
    }

    /// GetAlias.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_alias(&self, input: api::GetAliasRequest) -> Result<api::AliasConfiguration, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        self.function(&target).await?;
        match self.alias(&target.name, &input.name).await? {
            Some(alias) => Ok(self.shown_alias(&target.name, &input.name, &alias.record)),
            None => Err(self.alias_not_found(&target.name, &input.name)),
        }
    }

    /// ListAliases, by name; those of one version where one is given, also where it gets only a part of the invokes.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_aliases(&self, input: api::ListAliasesRequest) -> Result<api::ListAliasesResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let page = Page::new("aliases", input.marker.as_deref(), input.max_items, LIST_ALIASES_PAGE)?;
        self.function(&target).await?;
        let wanted = input.function_version.as_deref().map(Qualifier::from);
        let fits = |alias: &AliasRecord| wanted.as_ref().is_none_or(|wanted| leads_to(alias, wanted));
        let after = page.after.as_ref().map(|name| Part::Alias.key(&target.name, name));
        let prefix = Part::Alias.prefix(&target.name);
        let mut found = self.read_matching(&prefix, after.as_deref(), page.read(), fits).await?;
        let next_marker = page.cut(&mut found, |(name, _)| name);
        let aliases = found.iter().map(|(name, alias)| self.shown_alias(&target.name, name, &alias.record)).collect();
        Ok(api::ListAliasesResponse { aliases: Some(aliases), next_marker })
    }

    /// UpdateAlias: an absent member changes nothing, an empty RoutingConfig removes the weights.
    ///
    /// # Errors
    /// As the real service.
    pub async fn update_alias(&self, input: api::UpdateAliasRequest) -> Result<api::AliasConfiguration, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let version = input.function_version.as_deref().map(|text| self.version_id(&target, text)).transpose()?;
        let weights = self.weights(&target, input.routing_config)?;
        for _ in 0..TRIES {
            let function = self.function(&target).await?;
            let alias = self.known_alias(&target, &input.name).await?;
            if input.revision_id.as_deref().is_some_and(|known| known != alias.record.revision.to_string()) {
                return Err(names::stale_revision());
            }
            let before = alias.record.clone();
            let record = AliasRecord {
                version: version.unwrap_or(before.version),
                description: input.description.clone().unwrap_or(before.description),
                weights: weights.clone().unwrap_or(before.weights),
                revision: new_revision(),
            };
            may_route(&record)?;
            let mut writes = self.existing(&target.name, &record).await?;
            let provisioned = Part::ProvisionedConcurrency.key(&target.name, &input.name);
            if self.read::<ProvisionedConcurrency>(&provisioned).await?.is_some() {
                self.begin_with_init(&target.name, versions(&record)).await?;
            }
            let key = Part::Alias.key(&target.name, &input.name);
            writes.extend([touch(&function)?, put(key, &record, alias.unchanged())?]);
            if self.commit(writes).await? {
                return Ok(self.shown_alias(&target.name, &input.name, &record));
            }
        }
        Err(contended())
    }

    /// DeleteAlias: with what belongs to the alias. One that is not there is deleted already (observed).
    ///
    /// # Errors
    /// As the real service.
    pub async fn delete_alias(&self, input: api::DeleteAliasRequest) -> Result<(), ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        for _ in 0..TRIES {
            let function = self.function(&target).await?;
            let parts = keys::parts_of_qualifier(&target.name, &input.name);
            let gone = std::iter::once(Part::Alias.key(&target.name, &input.name)).chain(parts);
            let writes = gone.map(|key| Write::delete(key, Precondition::Any)).chain([touch(&function)?]).collect();
            if self.commit(writes).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// The alias that an update changes.
    async fn known_alias(&self, target: &Target, name: &str) -> Result<Loaded<AliasRecord>, ApiError> {
        let missing = || ApiError::not_found(format!("Alias not found: {}:{name}", self.parts.place.arn(&target.name)));
        self.alias(&target.name, name).await?.ok_or_else(missing)
    }

    /// That the versions exist, and go on doing so until the alias is written; and that they may share invokes.
    async fn existing(&self, function: &str, alias: &AliasRecord) -> Result<Vec<Write>, ApiError> {
        let mut checks = Vec::new();
        let mut first: Option<Configuration> = None;
        for number in versions(alias) {
            let Some(version) = self.published_version(function, number).await? else {
                return Err(self.version_not_found(function, &number.to_string()));
            };
            checks.push(Write::check(keys::version(function, number), version.unchanged()));
            let config = version.record.config;
            match &first {
                Some(first) => may_share(first, &config)?,
                None => first = Some(config),
            }
        }
        Ok(checks)
    }

    /// A FunctionVersion member.
    fn version_id(&self, target: &Target, text: &str) -> Result<VersionId, ApiError> {
        match Qualifier::from(text) {
            Qualifier::Latest => Ok(VersionId::Latest),
            Qualifier::Version(number) if number.to_string() == text => Ok(VersionId::Number(number)),
            Qualifier::Alias(_) if text == "$LATEST.PUBLISHED" => {
                Err(refused("FunctionVersion $LATEST.PUBLISHED", "there are no capacity providers"))
            }
            _ => Err(self.version_not_found(&target.name, text)),
        }
    }

    /// A RoutingConfig member; none where it is absent.
    fn weights(
        &self,
        target: &Target,
        given: Option<api::AliasRoutingConfiguration>,
    ) -> Result<Option<BTreeMap<u64, f64>>, ApiError> {
        let Some(routing) = given else { return Ok(None) };
        let given = routing.additional_version_weights.unwrap_or_default();
        if given.len() > ALIAS_WEIGHTS {
            return Err(invalid(format!(
                "Number of items in AdditionalVersionWeights cannot be greater than {ALIAS_WEIGHTS}"
            )));
        }
        let parsed = given.into_iter().map(|(text, weight)| match self.version_id(target, &text)? {
            VersionId::Number(number) => Ok((number, weight)),
            VersionId::Latest => Err(self.version_not_found(&target.name, &text)),
        });
        parsed.collect::<Result<_, _>>().map(Some)
    }

    fn version_not_found(&self, function: &str, version: &str) -> ApiError {
        self.function_not_found(&Target { name: function.to_owned(), qualifier: Some(version.to_owned()) })
    }

    fn shown_alias(&self, function: &str, name: &str, alias: &AliasRecord) -> api::AliasConfiguration {
        let weights = alias.weights.iter().map(|(version, weight)| (version.to_string(), *weight)).collect();
        api::AliasConfiguration {
            alias_arn: Some(format!("{}:{name}", self.parts.place.arn(function))),
            name: Some(name.to_owned()),
            function_version: Some(alias.version.to_string()),
            description: Some(alias.description.clone()),
            routing_config: (!alias.weights.is_empty())
                .then_some(api::AliasRoutingConfiguration { additional_version_weights: Some(weights) }),
            revision_id: Some(alias.revision.to_string()),
        }
    }
}

/// The published versions that an alias leads to.
pub(crate) fn versions(alias: &AliasRecord) -> impl Iterator<Item = u64> {
    let main = match alias.version {
        VersionId::Latest => None,
        VersionId::Number(number) => Some(number),
    };
    main.into_iter().chain(alias.weights.keys().copied())
}

fn leads_to(alias: &AliasRecord, wanted: &Qualifier) -> bool {
    match wanted {
        Qualifier::Latest => alias.version == VersionId::Latest,
        Qualifier::Version(number) => versions(alias).any(|version| version == *number),
        Qualifier::Alias(_) => false,
    }
}

/// Two versions behind one alias have one role, and dead letters of both go to one place or nowhere (AWS Lambda's guide).
/// What the real service says otherwise is not known.
fn may_share(one: &Configuration, other: &Configuration) -> Result<(), ApiError> {
    let differ = |what: &str| {
        Err(invalid(format!(
            "The function versions of an alias must have the same {what}, but theirs are not the same."
        )))
    };
    if one.role != other.role {
        return differ("execution role");
    }
    if one.dead_letter != other.dead_letter {
        return differ("dead letter configuration");
    }
    Ok(())
}

/// Whether a version and the weights go together.
fn may_route(alias: &AliasRecord) -> Result<(), ApiError> {
    match alias.version {
        // The real service leaves the body's Type out here (observed).
        VersionId::Latest if !alias.weights.is_empty() => {
            Err(invalid("$LATEST is not supported for an alias pointing to more than 1 version").without_type())
        }
        VersionId::Number(number) if alias.weights.contains_key(&number) => Err(invalid(format!(
            "Invalid function version {number}. Function version {number} is already included in routing configuration."
        ))),
        _ => Ok(()),
    }
}
