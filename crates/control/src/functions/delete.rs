//! DeleteFunction.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::{Precondition, Write};
use hearth_types::function::AliasRecord;
use hearth_types::keys::{self, Part};
use hearth_types::limits::STORE_COMMIT_WRITES;
use hearth_types::{Qualifier, Target};

use crate::records::{Loaded, touch};
use crate::{Control, aliases, invalid};

impl Control {
    /// DeleteFunction: a whole function with all that belongs to it, or one version of it. A version that is not there is
    /// deleted already.
    ///
    /// # Errors
    /// As the real service: `$LATEST` is refused before the question whether there is such a function (observed).
    pub async fn delete_function(
        &self,
        input: api::DeleteFunctionRequest,
    ) -> Result<api::DeleteFunctionResponse, ApiError> {
        let Target { name, qualifier } = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let qualifier = qualifier.as_deref().map(Qualifier::from);
        if qualifier == Some(Qualifier::Latest) {
            return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        // The error names the function without the qualifier.
        let whole = Target { name, qualifier: None };
        loop {
            let function = self.function(&whole).await?;
            let writes = match qualifier {
                None | Some(Qualifier::Latest) => self.all_of(&whole.name, &function).await?,
                Some(Qualifier::Version(number)) => self.one_version(&whole.name, &function, number).await?,
                Some(Qualifier::Alias(_)) => return Err(invalid("Deletion of aliases is not currently supported.")),
            };
            // If not, the record settled meanwhile, or another client deletes too: look again.
            if self.commit(writes).await? {
                return Ok(api::DeleteFunctionResponse::default());
            }
        }
    }

    /// A function and all that belongs to it. What is too much for one commit is removed before, in an order that leaves
    /// nothing without what it leads to: an end of the server in between costs some parts of what was to go anyway.
    async fn all_of(&self, name: &str, function: &Loaded) -> Result<Vec<Write>, ApiError> {
        let versions = Part::Version.prefix(name);
        let (mut parts, others): (Vec<_>, Vec<_>) =
            self.keys(&keys::parts_of(name)).await?.into_iter().partition(|key| key.starts_with(&versions));
        parts.extend(others);
        let own = || keys::function(name);
        while parts.len() >= STORE_COMMIT_WRITES {
            let some = parts.split_off(parts.len() - (STORE_COMMIT_WRITES - 1));
            let unchanged = Write::check(own(), function.unchanged());
            if !self.commit(some.into_iter().map(removed).chain([unchanged]).collect()).await? {
                // The last commit will not be made either, and all is looked at again.
                break;
            }
        }
        parts.truncate(STORE_COMMIT_WRITES - 1);
        Ok(parts.into_iter().map(removed).chain([Write::delete(own(), function.unchanged())]).collect())
    }

    /// One version and what belongs to it.
    async fn one_version(&self, name: &str, function: &Loaded, number: u64) -> Result<Vec<Write>, ApiError> {
        let aliases = self.read_all::<AliasRecord>(&Part::Alias.prefix(name)).await?;
        let leading: Vec<&str> = aliases
            .iter()
            .filter(|(_, alias)| aliases::versions(&alias.record).any(|version| version == number))
            .map(|(alias, _)| alias.as_str())
            .collect();
        if !leading.is_empty() {
            return Err(ApiError::conflict(format!(
                "Unable to delete version because the following aliases reference it: [{}]",
                leading.join(", ")
            )));
        }
        let qualifier = number.to_string();
        let gone = std::iter::once(keys::version(name, number)).chain(keys::parts_of_qualifier(name, &qualifier));
        Ok(gone.map(removed).chain([touch(function)?]).collect())
    }
}

fn removed(key: String) -> Write {
    Write::delete(key, Precondition::Any)
}
