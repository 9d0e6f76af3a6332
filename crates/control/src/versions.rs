//! Published versions: PublishVersion, ListVersionsByFunction.

use std::sync::Arc;

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_store::{Precondition, Write};
use hearth_types::function::{FunctionRecord, State, UpdateStatus, VersionId, VersionRecord};
use hearth_types::keys::{self, Part};
use hearth_types::limits::LIST_VERSIONS_PAGE;

use crate::records::{TRIES, contended, put};
use crate::view::{self, Shown};
use crate::{Control, invalid, new_revision, refused};

impl Control {
    /// PublishVersion. What has not changed since it was published last is not published again: the answer shows the
    /// version that there is (observed).
    ///
    /// # Errors
    /// As the real service.
    pub async fn publish_version(
        self: &Arc<Self>,
        input: api::PublishVersionRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        if input.publish_to.is_some() {
            return Err(refused("PublishTo", "there are no capacity providers"));
        }
        let target = self.resolve_whole(&input.function_name)?;
        for _ in 0..TRIES {
            let loaded = self.updatable(&target, input.revision_id.as_deref()).await?;
            code_is(&loaded.record.latest, input.code_sha256.as_deref())?;
            let unchanged = loaded.unchanged();
            let mut function = loaded.record;
            let publication = self.publish_once(&mut function, input.description.clone()).await?;
            if !publication.is_new {
                return Ok(self.shown_publication(&target.name, &publication));
            }
            self.reserve_code(publication.version.code.size()).await?;
            if self.commit(writes(&function, unchanged, Some(&publication))?).await? {
                return Ok(self.shown_publication(&target.name, &publication));
            }
        }
        Err(contended())
    }

    /// ListVersionsByFunction: `$LATEST`, then the published ones by number.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_versions_by_function(
        &self,
        input: api::ListVersionsByFunctionRequest,
    ) -> Result<api::ListVersionsByFunctionResponse, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let page = Page::new("versions", input.marker.as_deref(), input.max_items, LIST_VERSIONS_PAGE)?;
        let function = self.function(&target).await?.record;
        let mut found = Vec::new();
        if page.after.is_none() {
            found.push(Listed::latest(&function));
        }
        // `$LATEST` comes before all numbers.
        let after = page.after.as_deref().and_then(|key| key.split_once('/')?.1.parse().ok()).unwrap_or(0);
        found.extend(self.versions_behind(&function, after, page.read() - found.len()).await?);
        let next_marker = page.cut(&mut found, |listed| &listed.key);
        let versions = found.iter().map(|listed| self.listed(listed)).collect();
        Ok(api::ListVersionsByFunctionResponse { versions: Some(versions), next_marker })
    }

    /// Up to `limit` published versions of a function with greater numbers than `after`.
    pub(crate) async fn versions_behind(
        &self,
        function: &FunctionRecord,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Listed>, ApiError> {
        // Most functions have none: the record says so without a look.
        if function.last_published <= after {
            return Ok(Vec::new());
        }
        let name = function.name.as_str();
        let after = keys::version(name, after);
        let found = self.read_page(&Part::Version.prefix(name), Some(&after), limit).await?;
        let listed = found.into_iter().filter_map(|(number, version)| {
            let id = VersionId::Number(number.parse().ok()?);
            Some(Listed::new(name, id, version.record))
        });
        Ok(listed.collect())
    }

    /// A version in a list: without its states, its ARN always qualified.
    pub(crate) fn listed(&self, listed: &Listed) -> api::FunctionConfiguration {
        let (place, name) = (&self.parts.place, &listed.function);
        let arn = format!("{}:{}", place.arn(name), listed.id);
        view::configuration(place, name, arn, listed.id, &listed.version, Shown::Listed)
    }

    /// A published version as the operation that made it shows it.
    pub(crate) fn shown_publication(&self, name: &str, publication: &Publication) -> api::FunctionConfiguration {
        let place = &self.parts.place;
        let arn = format!("{}:{}", place.arn(name), publication.number);
        view::configuration(
            place,
            name,
            arn,
            publication.id(),
            &publication.version,
            Shown::Whole(&self.parts.runtimes),
        )
    }

    /// Publishes $LATEST, unless it is what was published last and that is still there.
    pub(crate) async fn publish_once(
        &self,
        function: &mut FunctionRecord,
        description: Option<String>,
    ) -> Result<Publication, ApiError> {
        let last = self.published_version(function.name.as_str(), function.last_published).await?;
        match last.map(|version| version.record).filter(|version| is_as_published(function, version)) {
            Some(version) => Ok(Publication { number: function.last_published, version, is_new: false }),
            None => Ok(publish(function, description, self.now_ms())),
        }
    }
}

/// A version that was published now, or that was there already.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    number: u64,
    version: VersionRecord,
    is_new: bool,
}

impl Publication {
    pub(crate) fn id(&self) -> VersionId {
        VersionId::Number(self.number)
    }
}

/// One entry of a list of versions.
pub(crate) struct Listed {
    pub(crate) function: String,
    pub(crate) id: VersionId,
    pub(crate) version: VersionRecord,
    /// What a marker names it by: `FUNCTION/VERSION`.
    pub(crate) key: String,
}

impl Listed {
    fn new(function: &str, id: VersionId, version: VersionRecord) -> Self {
        Self { function: function.to_owned(), id, version, key: format!("{function}/{id}") }
    }

    pub(crate) fn latest(function: &FunctionRecord) -> Self {
        Self::new(function.name.as_str(), VersionId::Latest, function.latest.clone())
    }
}

/// The client's idea of the code.
fn code_is(latest: &VersionRecord, given: Option<&str>) -> Result<(), ApiError> {
    let actual = latest.code.sha256();
    match given.filter(|given| *given != actual) {
        None => Ok(()),
        Some(given) => Err(invalid(format!(
            "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({actual}). \
             Please try again with the CodeSHA256 in $LATEST."
        ))),
    }
}

/// Whether $LATEST is what was published. A version may have got a description of its own, which is no change.
fn is_as_published(function: &FunctionRecord, version: &VersionRecord) -> bool {
    let mut config = function.latest.config.clone();
    if config.description != function.published_description || function.latest.code != version.code {
        return false;
    }
    config.description.clone_from(&version.config.description);
    config == version.config
}

/// Makes the next version out of $LATEST. Its number is never given again, and $LATEST gets a new revision (observed).
/// It is Pending where $LATEST is not settled, and settles with it; and where it waits for a snapshot.
pub(crate) fn publish(function: &mut FunctionRecord, description: Option<String>, now_ms: i64) -> Publication {
    let latest = &mut function.latest;
    let is_settled = latest.state != State::Pending && latest.last_update != Some(UpdateStatus::InProgress);
    let has_snapshot = latest.config.takes_snapshots();
    let mut version = VersionRecord {
        serving: None,
        state: if is_settled && !has_snapshot { latest.state.clone() } else { State::Pending },
        last_update: (is_settled && !has_snapshot).then_some(UpdateStatus::Successful),
        revision: new_revision(),
        last_modified_ms: now_ms,
        ..latest.clone()
    };
    function.published_description.clone_from(&latest.config.description);
    version.config.description = description.unwrap_or(version.config.description);
    latest.revision = new_revision();
    function.last_published += 1;
    Publication { number: function.last_published, version, is_new: true }
}

/// The function, and the version where it is a new one.
pub(crate) fn writes(
    function: &FunctionRecord,
    precondition: Precondition,
    publication: Option<&Publication>,
) -> Result<Vec<Write>, ApiError> {
    let name = function.name.as_str();
    let mut writes = vec![put(keys::function(name), function, precondition)?];
    if let Some(Publication { number, version, .. }) = publication.filter(|publication| publication.is_new) {
        writes.push(put(keys::version(name, *number), version, Precondition::Absent)?);
    }
    Ok(writes)
}
