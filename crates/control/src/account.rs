//! The account as a whole: its limits, and what it uses of them.

use std::sync::PoisonError;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::{FunctionRecord, VersionRecord};
use hearth_types::keys::{self, Part};
use hearth_types::limits::{UNZIPPED_BYTES, ZIP_BYTES};

use crate::Control;
use crate::layers::LayerVersion;

/// What an account uses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Usage {
    functions: u64,
    /// Of the packages of all functions, their published versions and layer versions, each counted for itself (observed).
    code_bytes: u64,
    /// Of the concurrency: what is reserved, or provisioned of functions that reserve nothing.
    concurrency: u64,
}

impl Control {
    /// GetAccountSettings.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get_account_settings(&self) -> Result<api::GetAccountSettingsResponse, ApiError> {
        let usage = self.usage().await?;
        let limit = u64::from(self.parts.concurrency.limit);
        let number = |count: u64| i64::try_from(count).ok();
        let small = |count: u64| i32::try_from(count).ok();
        Ok(api::GetAccountSettingsResponse {
            account_limit: Some(api::AccountLimit {
                total_code_size: number(self.parts.code_storage),
                code_size_unzipped: number(UNZIPPED_BYTES),
                code_size_zipped: number(ZIP_BYTES as u64),
                concurrent_executions: small(limit),
                unreserved_concurrent_executions: small(limit.saturating_sub(usage.concurrency)),
            }),
            account_usage: Some(api::AccountUsage {
                total_code_size: number(usage.code_bytes),
                function_count: number(usage.functions),
            }),
        })
    }

    /// Makes room for one more version of so many bytes.
    ///
    /// To look at all records at each deploy would make thousands of functions slow. So the sum is kept as no less than
    /// what is used: it grows with each version, and only where it reaches the limit it is counted anew.
    ///
    /// # Errors
    /// When the account's code storage is full.
    pub(crate) async fn reserve_code(&self, bytes: u64) -> Result<(), ApiError> {
        if self.fits_code(bytes) {
            return Ok(());
        }
        let used = self.usage().await?.code_bytes;
        *self.code_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
        if self.fits_code(bytes) { Ok(()) } else { Err(full()) }
    }

    /// Counts the bytes in where they fit. Never where nothing was counted yet.
    fn fits_code(&self, bytes: u64) -> bool {
        let mut counted = self.code_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.map(|used| used.saturating_add(bytes)).filter(|used| *used <= self.parts.code_storage) {
            Some(used) => {
                *counted = Some(used);
                true
            }
            None => false,
        }
    }

    async fn usage(&self) -> Result<Usage, ApiError> {
        let mut usage = Usage::default();
        let mut published = Vec::new();
        self.visit::<FunctionRecord>(keys::FUNCTIONS, |name, function| {
            usage.functions += 1;
            usage.concurrency += u64::from(function.reserved_concurrency.unwrap_or(0));
            usage.code_bytes += function.latest.code.size();
            if function.last_published > 0 {
                published.push((name.to_owned(), function.reserved_concurrency.is_none()));
            }
        })
        .await?;
        for (name, takes_provisioned) in published {
            if takes_provisioned {
                usage.concurrency += self.total_provisioned(&name).await?;
            }
            self.visit::<VersionRecord>(&Part::Version.prefix(&name), |_, version| {
                usage.code_bytes += version.code.size();
            })
            .await?;
        }
        self.visit::<LayerVersion>(keys::LAYER_VERSIONS, |_, version| usage.code_bytes += version.code.size).await?;
        Ok(usage)
    }
}

fn full() -> ApiError {
    ApiError::new(&hearth_api::error::modelled::CODE_STORAGE_EXCEEDED, "Code storage limit exceeded.")
}
