//! From a qualifier to what it names: `$LATEST`, a published version, or an alias of one of them.

use hearth_api::ApiError;
use hearth_types::function::{AliasRecord, VersionId, VersionRecord};
use hearth_types::keys::{self, Part};
use hearth_types::{Qualifier, Target};

use crate::records::Loaded;
use crate::{Control, aliases};

/// What a qualifier names.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    /// `$LATEST`, or no qualifier at all.
    Latest,
    /// A published version.
    Version(u64, Box<Loaded<VersionRecord>>),
    /// An alias.
    Alias(Loaded<AliasRecord>),
}

impl Named {
    /// The published versions that it leads to.
    pub(crate) fn versions(&self) -> impl Iterator<Item = u64> {
        let (own, alias) = match self {
            Self::Latest => (None, None),
            Self::Version(number, _) => (Some(*number), None),
            Self::Alias(alias) => (None, Some(aliases::versions(&alias.record))),
        };
        own.into_iter().chain(alias.into_iter().flatten())
    }
}

/// A function and the version of it that a client asked for.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The whole function.
    pub(crate) function: Loaded,
    /// The version; where an alias was asked for, the one that it stands for.
    pub(crate) id: VersionId,
    published: Option<VersionRecord>,
}

impl Found {
    /// The version that was asked for.
    pub(crate) fn version(&self) -> &VersionRecord {
        self.published.as_ref().unwrap_or(&self.function.record.latest)
    }
}

impl Control {
    /// The function that is meant, whatever the qualifier names.
    ///
    /// # Errors
    /// `Function not found: ARN`, with the qualifier that was asked for.
    pub(crate) async fn function(&self, target: &Target) -> Result<Loaded, ApiError> {
        self.load(&target.name).await?.ok_or_else(|| self.function_not_found(target))
    }

    /// What a qualifier of a function names; none where it names nothing. Which error that is, is the operation's
    /// matter: [`Control::function_not_found`] or [`Control::alias_not_found`] mostly.
    pub(crate) async fn named(&self, function: &str, qualifier: Option<&str>) -> Result<Option<Named>, ApiError> {
        Ok(match qualifier.map(Qualifier::from) {
            None | Some(Qualifier::Latest) => Some(Named::Latest),
            Some(Qualifier::Version(number)) => {
                let is_canonical = qualifier == Some(number.to_string().as_str());
                let found = if is_canonical { self.published_version(function, number).await? } else { None };
                found.map(|version| Named::Version(number, Box::new(version)))
            }
            Some(Qualifier::Alias(name)) => self.alias(function, &name).await?.map(Named::Alias),
        })
    }

    /// The function and the version that are asked for.
    ///
    /// # Errors
    /// `Function not found: ARN:QUALIFIER`, whichever of them there is not.
    pub(crate) async fn found(&self, target: &Target) -> Result<Found, ApiError> {
        let function = self.function(target).await?;
        let missing = || self.function_not_found(target);
        let named = self.named(&target.name, target.qualifier.as_deref()).await?.ok_or_else(missing)?;
        let (id, published) = match named {
            Named::Latest => (VersionId::Latest, None),
            Named::Version(number, version) => (VersionId::Number(number), Some(version.record)),
            Named::Alias(alias) => match alias.record.version {
                VersionId::Latest => (VersionId::Latest, None),
                VersionId::Number(number) => {
                    let version = self.published_version(&target.name, number).await?.ok_or_else(missing)?;
                    (VersionId::Number(number), Some(version.record))
                }
            },
        };
        Ok(Found { function, id, published })
    }

    /// A published version.
    pub(crate) async fn published_version(
        &self,
        function: &str,
        number: u64,
    ) -> Result<Option<Loaded<VersionRecord>>, ApiError> {
        self.read(&keys::version(function, number)).await
    }

    /// An alias.
    pub(crate) async fn alias(&self, function: &str, name: &str) -> Result<Option<Loaded<AliasRecord>>, ApiError> {
        self.read(&Part::Alias.key(function, name)).await
    }

    /// 404 for an alias, as most operations on one word it.
    pub(crate) fn alias_not_found(&self, function: &str, alias: &str) -> ApiError {
        ApiError::not_found(format!("Cannot find alias arn: {}:{alias}", self.parts.place.arn(function)))
    }
}
