//! DeleteFunction.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::{Precondition, Write};
use hearth_types::{Qualifier, keys};

use crate::records::NotWritten;
use crate::{Control, invalid};

impl Control {
    /// DeleteFunction.
    ///
    /// # Errors
    /// As the real service: `$LATEST` is refused before the question whether there is such a function (observed).
    pub async fn delete_function(
        &self,
        input: api::DeleteFunctionRequest,
    ) -> Result<api::DeleteFunctionResponse, ApiError> {
        let mut target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let qualifier = target.qualifier.take();
        if qualifier.as_deref().map(Qualifier::from) == Some(Qualifier::Latest) {
            return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        loop {
            let Some(loaded) = self.load(&target.name).await? else {
                return Err(self.function_not_found(&target));
            };
            match qualifier.as_deref().map(Qualifier::from) {
                None | Some(Qualifier::Latest) => {}
                // Deleting a version that is not there succeeds, and none is ever there yet.
                Some(Qualifier::Version(_)) => return Ok(api::DeleteFunctionResponse::default()),
                Some(Qualifier::Alias(_)) => return Err(invalid("Deletion of aliases is not currently supported.")),
            }
            match self.commit(self.whole(&target.name, loaded.unchanged()).await?).await {
                Ok(()) => return Ok(api::DeleteFunctionResponse::default()),
                Err(NotWritten::Failed(cause)) => return Err(cause),
                // The record settled meanwhile, or another client deletes too: look again.
                Err(NotWritten::Conflict) => {}
            }
        }
    }
}

impl Control {
    /// Removes a function and all that belongs to it.
    async fn whole(&self, name: &str, unchanged: Precondition) -> Result<Vec<Write>, ApiError> {
        let parts = self.keys(&keys::parts_of(name)).await?;
        let parts = parts.into_iter().map(|key| Write::delete(key, Precondition::Any));
        Ok(std::iter::once(Write::delete(keys::function(name), unchanged)).chain(parts).collect())
    }
}
