//! Provisioned concurrency: Put-, Get-, Delete- and ListProvisionedConcurrencyConfig(s). What is asked for is kept here,
//! under Lambda's rules; how far it is, those say who make the environments.

use std::time::Duration;

use hearth_api::error::modelled::PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND;
use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_types::function::{AliasRecord, SnapStart, VersionId};
use hearth_types::keys::{self, Part};
use hearth_types::limits::{LIST_SETTINGS_PAGE, PROVISION_IN_PROGRESS};
use hearth_types::settings::{Hindrance, ProvisionedConcurrency, Provisioning};
use hearth_types::{Qualifier, Target};

use crate::concurrency::{AccountConcurrency, Reservations};
use crate::named::Named;
use crate::records::{TRIES, as_found, contended, put, touch};
use crate::{Control, aliases, invalid, parts, rules};

const UNPUBLISHED: &str = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";

/// Who keeps environments initialised, and knows how far that is.
pub trait Provisioner: Send + Sync {
    /// That of a function's version, by its number, or alias. None where it is not known yet.
    fn provisioning(&self, function: &str, qualifier: &str) -> Option<Provisioning>;
}

/// StatusReason. The first is Lambda's own.
fn reason(hindrance: Hindrance) -> &'static str {
    match hindrance {
        Hindrance::Init => "FUNCTION_ERROR_INIT_FAILURE",
        Hindrance::NeverFits => {
            "An environment of this version is larger than all the memory that this server gives to functions."
        }
        Hindrance::Room => "The room for environments is used up; the missing ones are made as soon as there is some.",
        Hindrance::Version => "There is no published version that can be invoked.",
    }
}

impl Control {
    /// PutProvisionedConcurrencyConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn put_provisioned_concurrency_config(
        &self,
        input: api::PutProvisionedConcurrencyConfigRequest,
    ) -> Result<api::PutProvisionedConcurrencyConfigResponse, ApiError> {
        let target = self.resolve(&input.function_name, Some(&input.qualifier))?;
        if is_latest(&target) {
            return Err(invalid(UNPUBLISHED));
        }
        let requested = u32::try_from(input.provisioned_concurrent_executions).unwrap_or(u32::MAX);
        let config = ProvisionedConcurrency { requested, modified_ms: self.now_ms() };
        for _ in 0..TRIES {
            let reservations = self.read::<Reservations>(keys::RESERVATIONS).await?;
            let named = self.provisionable(&target).await?;
            let Some(function) = self.load(&target.name).await? else { continue };
            if function.record.latest.config.per_tenant {
                return Err(rules::no_tenants("Provisioned concurrency"));
            }
            let before = self.part(Part::ProvisionedConcurrency, &target).await?;
            let mut others = self.all_provisioned(&target.name).await?;
            others.retain(|(qualifier, _)| *qualifier != parts::qualifier(&target));
            self.is_not_covered(&target, &named, &others).await?;
            self.begin_with_init(&target.name, named.versions()).await?;
            let total = sum(&others) + u64::from(requested);
            let by_others = self.taken_by_others(&target.name).await?;
            fits(self.parts.concurrency, function.record.reserved_concurrency, by_others, total)?;
            let unchanged = as_found::<ProvisionedConcurrency>(before.as_ref());
            let writes = vec![
                touch(&function)?,
                put(parts::key(Part::ProvisionedConcurrency, &target), &config, unchanged)?,
                put(keys::RESERVATIONS.to_owned(), &Reservations {}, as_found(reservations.as_ref()))?,
            ];
            if self.commit(writes).await? {
                // What has just been asked for is under way; how it ended is read afterwards.
                return Ok(api::PutProvisionedConcurrencyConfigResponse {
                    requested_provisioned_concurrent_executions: Some(input.provisioned_concurrent_executions),
                    available_provisioned_concurrent_executions: Some(0),
                    allocated_provisioned_concurrent_executions: Some(0),
                    status: Some(api::ProvisionedConcurrencyStatusEnum::InProgress),
                    status_reason: None,
                    last_modified: Some(date(config.modified_ms)),
                });
            }
        }
        Err(contended())
    }

    /// GetProvisionedConcurrencyConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_provisioned_concurrency_config(
        &self,
        input: api::GetProvisionedConcurrencyConfigRequest,
    ) -> Result<api::GetProvisionedConcurrencyConfigResponse, ApiError> {
        let target = self.resolve_published(&input.function_name, &input.qualifier)?;
        self.provisionable(&target).await?;
        let found = self.part::<ProvisionedConcurrency>(Part::ProvisionedConcurrency, &target).await?;
        let found = found.ok_or_else(|| {
            ApiError::new(
                &PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND,
                "No Provisioned Concurrency Config found for this function",
            )
        })?;
        let shown = self.config_shown(&target.name, &parts::qualifier(&target), &found.record);
        Ok(api::GetProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: shown.requested_provisioned_concurrent_executions,
            available_provisioned_concurrent_executions: shown.available_provisioned_concurrent_executions,
            allocated_provisioned_concurrent_executions: shown.allocated_provisioned_concurrent_executions,
            status: shown.status,
            status_reason: shown.status_reason,
            last_modified: shown.last_modified,
        })
    }

    /// ListProvisionedConcurrencyConfigs: versions, then aliases by their names.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_provisioned_concurrency_configs(
        &self,
        input: api::ListProvisionedConcurrencyConfigsRequest,
    ) -> Result<api::ListProvisionedConcurrencyConfigsResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let page = Page::new("provisioned", input.marker.as_deref(), input.max_items, LIST_SETTINGS_PAGE)?;
        self.function(&target).await?;
        let mut found = self.parts::<ProvisionedConcurrency>(Part::ProvisionedConcurrency, &target.name, &page).await?;
        let next_marker = page.cut(&mut found, |(qualifier, _)| qualifier);
        let configs =
            found.iter().map(|(qualifier, config)| self.config_shown(&target.name, qualifier, config)).collect();
        Ok(api::ListProvisionedConcurrencyConfigsResponse {
            provisioned_concurrency_configs: Some(configs),
            next_marker,
        })
    }

    /// DeleteProvisionedConcurrencyConfig: no error where there is none.
    ///
    /// # Errors
    /// As the real service.
    pub async fn delete_provisioned_concurrency_config(
        &self,
        input: api::DeleteProvisionedConcurrencyConfigRequest,
    ) -> Result<(), ApiError> {
        let target = self.resolve_published(&input.function_name, &input.qualifier)?;
        for _ in 0..TRIES {
            self.provisionable(&target).await?;
            let Some(function) = self.load(&target.name).await? else { continue };
            let before = self.part(Part::ProvisionedConcurrency, &target).await?;
            let unchanged = as_found::<ProvisionedConcurrency>(before.as_ref());
            let gone = None::<&ProvisionedConcurrency>;
            if self.replace_part(Part::ProvisionedConcurrency, &target, &function, unchanged, gone).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// What the function's versions and aliases have asked for, together.
    pub(crate) async fn total_provisioned(&self, function: &str) -> Result<u64, ApiError> {
        Ok(sum(&self.all_provisioned(function).await?))
    }

    async fn all_provisioned(&self, function: &str) -> Result<Vec<(String, ProvisionedConcurrency)>, ApiError> {
        let found = self.read_all(&Part::ProvisionedConcurrency.prefix(function)).await?;
        Ok(found.into_iter().map(|(qualifier, loaded)| (qualifier, loaded.record)).collect())
    }

    /// That environments of these versions begin with an init: where they go on from a snapshot none is kept ready.
    ///
    /// # Errors
    /// One that is with SnapStart.
    pub(crate) async fn begin_with_init(
        &self,
        function: &str,
        versions: impl Iterator<Item = u64>,
    ) -> Result<(), ApiError> {
        for number in versions {
            let version = self.published_version(function, number).await?;
            if version.is_some_and(|version| version.record.config.snap_start != SnapStart::None) {
                return Err(invalid("Provisioned Concurrency is not supported for SnapStart enabled functions."));
            }
        }
        Ok(())
    }

    /// As it is now; what has just been asked for is in progress in any case.
    fn config_shown(
        &self,
        function: &str,
        qualifier: &str,
        config: &ProvisionedConcurrency,
    ) -> api::ProvisionedConcurrencyConfigListItem {
        let arn = format!("{}:{qualifier}", self.parts.place.arn(function));
        let for_ms = u64::try_from(self.now_ms().saturating_sub(config.modified_ms)).unwrap_or(u64::MAX);
        let is_new = Duration::from_millis(for_ms) < PROVISION_IN_PROGRESS.max(self.parts.settle_after);
        let provisioning = if is_new { None } else { self.parts.provisioner.provisioning(function, qualifier) };
        shown(arn, config, provisioning)
    }

    /// The name of an alias or of a version that has a number.
    ///
    /// # Errors
    /// `$LATEST`, of which nothing is provisioned.
    pub(crate) fn resolve_published(&self, function_name: &str, qualifier: &str) -> Result<Target, ApiError> {
        let target = self.resolve(function_name, Some(qualifier))?;
        if is_latest(&target) {
            return Err(invalid("The function resource provided must be an alias or a published version."));
        }
        Ok(target)
    }

    /// The version or the alias. Without the function there is neither, and the error is the same.
    pub(crate) async fn provisionable(&self, target: &Target) -> Result<Named, ApiError> {
        let qualifier = parts::qualifier(target);
        self.named(&target.name, Some(&qualifier)).await?.ok_or_else(|| match Qualifier::from(qualifier.as_str()) {
            Qualifier::Alias(alias) => self.alias_not_found(&target.name, &alias),
            _ => self.function_not_found(target),
        })
    }

    /// That a version is not provisioned twice: for itself and for an alias that leads to it.
    async fn is_not_covered(
        &self,
        target: &Target,
        named: &Named,
        others: &[(String, ProvisionedConcurrency)],
    ) -> Result<(), ApiError> {
        match named {
            Named::Latest => Ok(()),
            Named::Alias(alias) if alias.record.version == VersionId::Latest => Err(invalid(UNPUBLISHED)),
            Named::Alias(alias) => {
                let leads_to = |number: u64| aliases::versions(&alias.record).any(|version| version == number);
                if others.iter().any(|(qualifier, _)| qualifier.parse().is_ok_and(leads_to)) {
                    return Err(ApiError::conflict(
                        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
                    ));
                }
                Ok(())
            }
            Named::Version(number, _) => {
                for (qualifier, _) in others {
                    let alias = self.read::<AliasRecord>(&Part::Alias.key(&target.name, qualifier)).await?;
                    if alias.is_some_and(|alias| aliases::versions(&alias.record).any(|version| version == *number)) {
                        return Err(ApiError::conflict("Version is pointed by a Provisioned Concurrency alias"));
                    }
                }
                Ok(())
            }
        }
    }
}

fn is_latest(target: &Target) -> bool {
    target.qualifier.as_deref().map(Qualifier::from).is_none_or(|qualifier| qualifier == Qualifier::Latest)
}

fn sum(configs: &[(String, ProvisionedConcurrency)]) -> u64 {
    configs.iter().map(|(_, config)| u64::from(config.requested)).sum()
}

/// That what a function's versions and aliases ask for together is in its reservation; without one, that it leaves the
/// rest of the account enough.
fn fits(
    account: AccountConcurrency,
    reserved: Option<u32>,
    reserved_by_others: u64,
    total: u64,
) -> Result<(), ApiError> {
    if let Some(reserved) = reserved {
        return if total <= u64::from(reserved) {
            Ok(())
        } else {
            Err(invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for \
                 function",
            ))
        };
    }
    let unreserved = u64::from(account.limit).saturating_sub(reserved_by_others);
    if total > unreserved {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{unreserved}]."
        )));
    }
    if total + u64::from(account.unreserved_min) > unreserved {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
             minimum value of [{}].",
            account.unreserved_min
        )));
    }
    Ok(())
}

fn shown(
    arn: String,
    config: &ProvisionedConcurrency,
    provisioning: Option<Provisioning>,
) -> api::ProvisionedConcurrencyConfigListItem {
    let Provisioning { allocated, available, hindrance } = provisioning.unwrap_or_default();
    let hindrance = hindrance.filter(|_| available < config.requested);
    let status = match hindrance {
        _ if available >= config.requested => api::ProvisionedConcurrencyStatusEnum::Ready,
        None | Some(Hindrance::Room) => api::ProvisionedConcurrencyStatusEnum::InProgress,
        Some(_) => api::ProvisionedConcurrencyStatusEnum::Failed,
    };
    api::ProvisionedConcurrencyConfigListItem {
        function_arn: Some(arn),
        requested_provisioned_concurrent_executions: i32::try_from(config.requested).ok(),
        available_provisioned_concurrent_executions: i32::try_from(available).ok(),
        allocated_provisioned_concurrent_executions: i32::try_from(allocated).ok(),
        status: Some(status),
        status_reason: hindrance.map(|hindrance| reason(hindrance).to_owned()),
        last_modified: Some(date(config.modified_ms)),
    }
}

/// `2024-03-05T12:00:00+0000`.
fn date(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_what_is_so() {
        use api::ProvisionedConcurrencyStatusEnum::{Failed, InProgress, Ready};
        let config = ProvisionedConcurrency { requested: 3, modified_ms: 0 };
        let of = |allocated, available, hindrance| {
            let item = shown(String::new(), &config, Some(Provisioning { allocated, available, hindrance }));
            let counts =
                (item.allocated_provisioned_concurrent_executions, item.available_provisioned_concurrent_executions);
            assert_eq!(counts, (Some(allocated as i32), Some(available as i32)));
            (item.status.unwrap(), item.status_reason)
        };
        assert_eq!(of(3, 3, None), (Ready, None));
        assert_eq!(of(3, 3, Some(Hindrance::Init)), (Ready, None), "what is there counts");
        assert_eq!(of(3, 2, None), (InProgress, None));
        assert_eq!(of(0, 0, Some(Hindrance::Init)), (Failed, Some("FUNCTION_ERROR_INIT_FAILURE".to_owned())));
        assert_eq!(of(1, 1, Some(Hindrance::Room)).0, InProgress);
        assert_eq!(of(0, 0, Some(Hindrance::NeverFits)).0, Failed);
    }

    #[test]
    fn provisioned_concurrency_leaves_the_account_enough() {
        let account = AccountConcurrency { limit: 1000, unreserved_min: 100 };
        assert!(fits(account, None, 500, 400).is_ok());
        let text = |total| fits(account, None, 500, total).unwrap_err().to_string();
        assert!(text(401).ends_with("below its minimum value of [100]."), "{}", text(401));
        assert!(text(501).ends_with("greater than account's unreserved concurrency [500]."), "{}", text(501));
        assert!(fits(account, Some(2), 998, 2).is_ok() && fits(account, Some(2), 0, 3).is_err());
    }
}
