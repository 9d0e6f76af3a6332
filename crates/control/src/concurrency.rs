//! Reserved concurrency: PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::keys;
use hearth_types::{Qualifier, Target};
use serde::{Deserialize, Serialize};

use crate::names::functions_only;
use crate::records::{TRIES, as_found, contended, put};
use crate::{Control, invalid};

/// How many executions an account may have at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountConcurrency {
    /// All functions together.
    pub limit: u32,
    /// What reservations must leave to the functions that have none (Lambda: 100).
    pub unreserved_min: u32,
}

/// Of a function's record what says how much it takes of the account: all records are looked through for it.
#[derive(Deserialize)]
struct Share {
    reserved_concurrency: Option<u32>,
    #[serde(default)]
    last_published: u64,
}

/// Written with every reservation, and with all that is provisioned, so that two at once cannot both take the last of the
/// account's.
#[derive(Serialize, Deserialize)]
pub(crate) struct Reservations {}

impl Control {
    /// PutFunctionConcurrency. 0 stops all invokes.
    ///
    /// # Errors
    /// As the real service.
    pub async fn put_function_concurrency(
        &self,
        input: api::PutFunctionConcurrencyRequest,
    ) -> Result<api::Concurrency, ApiError> {
        let target = self.resolve_unqualified(&input.function_name)?;
        let wanted = u32::try_from(input.reserved_concurrent_executions).unwrap_or(u32::MAX);
        for _ in 0..TRIES {
            let reservations = self.read::<Reservations>(keys::RESERVATIONS).await?;
            let Some(mut function) = self.load(&target.name).await? else {
                // With the version that it is about (observed).
                return Err(
                    self.function_not_found(&Target { qualifier: Some(Qualifier::Latest.to_string()), ..target })
                );
            };
            let own = function.record.reserved_concurrency;
            self.parts.concurrency.check(wanted, own, self.taken_by_others(&target.name).await?)?;
            covers(wanted, self.total_provisioned(&target.name).await?)?;
            function.record.reserved_concurrency = Some(wanted);
            let unchanged = as_found(reservations.as_ref());
            let writes = vec![
                put(keys::function(&target.name), &function.record, function.unchanged())?,
                put(keys::RESERVATIONS.to_owned(), &Reservations {}, unchanged)?,
            ];
            if self.commit(writes).await? {
                let reserved_concurrent_executions = Some(input.reserved_concurrent_executions);
                return Ok(api::Concurrency { reserved_concurrent_executions });
            }
        }
        Err(contended())
    }

    /// GetFunctionConcurrency: without members where nothing is reserved.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_function_concurrency(
        &self,
        input: api::GetFunctionConcurrencyRequest,
    ) -> Result<api::GetFunctionConcurrencyResponse, ApiError> {
        let target = self.resolve_unqualified(&input.function_name)?;
        let function = self.load(&target.name).await?.ok_or_else(|| self.function_not_found(&target))?;
        let reserved = function.record.reserved_concurrency.and_then(|reserved| i32::try_from(reserved).ok());
        Ok(api::GetFunctionConcurrencyResponse { reserved_concurrent_executions: reserved })
    }

    /// DeleteFunctionConcurrency: no error where nothing is reserved.
    ///
    /// # Errors
    /// As the real service.
    pub async fn delete_function_concurrency(
        &self,
        input: api::DeleteFunctionConcurrencyRequest,
    ) -> Result<(), ApiError> {
        let target = self.resolve_unqualified(&input.function_name)?;
        self.change_function(&target, |function| {
            function.reserved_concurrency = None;
            Ok(())
        })
        .await
    }

    /// What functions other than this one take from the account's unreserved concurrency: what they reserve, or what is
    /// provisioned of those that reserve nothing. All of them: with no name.
    pub(crate) async fn taken_by_others(&self, than: &str) -> Result<u64, ApiError> {
        let mut taken = 0;
        let mut published = Vec::new();
        self.visit::<Share>(keys::FUNCTIONS, |name, share| match share.reserved_concurrency {
            _ if name == than => {}
            Some(reserved) => taken += u64::from(reserved),
            None if share.last_published > 0 => published.push(name.to_owned()),
            None => {}
        })
        .await?;
        for name in published {
            taken += self.total_provisioned(&name).await?;
        }
        Ok(taken)
    }

    /// Resolves the name of a function that must come without any qualifier, `$LATEST` too (observed).
    fn resolve_unqualified(&self, function_name: &str) -> Result<Target, ApiError> {
        let target = self.resolve(function_name, None)?;
        if target.qualifier.is_some() {
            return Err(functions_only());
        }
        Ok(target)
    }
}

impl AccountConcurrency {
    /// Whether a function that has reserved its `own` may reserve so much beside what the others have. What takes nothing
    /// from them is always allowed: to stop a function, for instance.
    fn check(self, wanted: u32, own: Option<u32>, by_others: u64) -> Result<(), ApiError> {
        let reserved = u64::from(wanted) + by_others;
        let leaves_enough = reserved + u64::from(self.unreserved_min) <= u64::from(self.limit);
        if leaves_enough || wanted <= own.unwrap_or(0) {
            return Ok(());
        }
        // The real service leaves the Type out (observed).
        Err(invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution \
             below its minimum value of [{}].",
            self.unreserved_min
        ))
        .without_type())
    }
}

/// That a reservation has room for what is provisioned. The text is the real service's own, spaces and all, and it leaves
/// the Type out (observed).
fn covers(reserved: u32, provisioned: u64) -> Result<(), ApiError> {
    if u64::from(reserved) >= provisioned {
        return Ok(());
    }
    Err(invalid(format!(
        " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned concurrency \
         [{provisioned}]."
    ))
    .without_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_leave_the_minimum_to_the_rest() {
        let account = AccountConcurrency { limit: 1000, unreserved_min: 100 };
        assert!(account.check(900, None, 0).is_ok() && account.check(901, None, 0).is_err());
        assert!(account.check(400, None, 500).is_ok() && account.check(401, Some(1), 500).is_err());
        assert!(account.check(u32::MAX, None, u64::from(u32::MAX)).is_err());
        let refused = account.check(901, None, 0).unwrap_err();
        assert_eq!((refused.kind.code, refused.kind.fault), ("InvalidParameterValueException", None));
        assert!(refused.to_string().ends_with("below its minimum value of [100]."));
        // A limit below the minimum leaves nothing to reserve; to stop a function is still possible.
        let small = AccountConcurrency { limit: 50, unreserved_min: 100 };
        assert!(small.check(1, None, 0).is_err() && small.check(0, None, 0).is_ok());
        assert!(small.check(5, Some(7), 0).is_ok() && small.check(8, Some(7), 0).is_err());
    }
}
