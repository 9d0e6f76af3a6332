//! Settings that belong to one qualifier of a function each: the unqualified function, a version or an alias.

use hearth_api::{ApiError, Page};
use hearth_store::{Precondition, Write};
use hearth_types::keys::Part;
use hearth_types::{Qualifier, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Control;
use crate::records::{Loaded, put, touch};

/// The key of what belongs to a qualifier. What belongs to no qualifier is kept under `$LATEST`.
pub(crate) fn key(part: Part, target: &Target) -> String {
    part.key(&target.name, &qualifier(target))
}

/// The qualifier, `$LATEST` where there is none.
pub(crate) fn qualifier(target: &Target) -> String {
    target.qualifier.clone().unwrap_or_else(|| Qualifier::Latest.to_string())
}

impl Control {
    /// The setting of a qualifier.
    pub(crate) async fn part<T: DeserializeOwned>(
        &self,
        part: Part,
        target: &Target,
    ) -> Result<Option<Loaded<T>>, ApiError> {
        self.read(&key(part, target)).await
    }

    /// The settings of a function's qualifiers that stand on a page, and one more: the qualifiers with their settings.
    pub(crate) async fn parts<T: DeserializeOwned>(
        &self,
        part: Part,
        function: &str,
        page: &Page,
    ) -> Result<Vec<(String, T)>, ApiError> {
        let after = page.after.as_deref().map(|qualifier| part.key(function, qualifier));
        let found = self.read_page(&part.prefix(function), after.as_deref(), page.read()).await?;
        Ok(found.into_iter().map(|(qualifier, loaded)| (qualifier, loaded.record)).collect())
    }

    /// Replaces the setting that was `before` by `after`, where nothing of the function changed since it was read.
    ///
    /// Says, as [`Self::commit`], whether it is written.
    pub(crate) async fn replace_part<T: Serialize>(
        &self,
        part: Part,
        target: &Target,
        function: &Loaded,
        before: Precondition,
        after: Option<&T>,
    ) -> Result<bool, ApiError> {
        let key = key(part, target);
        let write = match after {
            Some(record) => put(key, record, before)?,
            None => Write::delete(key, before),
        };
        self.commit(vec![touch(function)?, write]).await
    }
}
