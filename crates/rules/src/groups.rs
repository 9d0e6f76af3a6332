//! Groups of schedules, and their tags.

use std::collections::BTreeMap;

use hearth_api::scheduler::types as api;
use hearth_api::scheduler::{Operation, errors};
use hearth_api::{ApiError, Timestamp};
use hearth_identity::Caller;
use hearth_store::typed::{Loaded, as_found};
use hearth_store::{Precondition, Write};
use hearth_types::keys;
use hearth_types::limits::{RULES_PAGE, TAGS};
use serde::{Deserialize, Serialize};

use crate::bus::DEFAULT;
use crate::errors::invalid;
use crate::schedule::ScheduleRecord;
use crate::schedules::without_schedule;
use crate::{Rules, allow, page};
use hearth_records::put;

/// A group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    name: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    created_ms: i64,
    /// Milliseconds since 1970.
    modified_ms: i64,
}

impl Rules {
    /// CreateScheduleGroup.
    ///
    /// # Errors
    /// ConflictException.
    pub async fn create_schedule_group(
        &self,
        caller: &Caller,
        input: api::CreateScheduleGroupInput,
    ) -> Result<api::CreateScheduleGroupOutput, ApiError> {
        let arn = self.group_arn(&input.name);
        allow(caller, Operation::CreateScheduleGroup, &arn, None)?;
        let now_ms = self.now_ms();
        let tags = with_tags(BTreeMap::new(), input.tags.unwrap_or_default())?;
        let group = GroupRecord { name: input.name.clone(), tags, created_ms: now_ms, modified_ms: now_ms };
        let write = put(keys::schedule_group(&input.name), &group, Precondition::Absent)?;
        if input.name == DEFAULT || !self.records.commit(vec![write]).await? {
            let text = format!("Schedule group {} already exists.", input.name);
            return Err(ApiError::new(&errors::CONFLICT, text));
        }
        Ok(api::CreateScheduleGroupOutput { schedule_group_arn: arn })
    }

    /// GetScheduleGroup.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn get_schedule_group(
        &self,
        caller: &Caller,
        input: api::GetScheduleGroupInput,
    ) -> Result<api::GetScheduleGroupOutput, ApiError> {
        let arn = self.group_arn(&input.name);
        allow(caller, Operation::GetScheduleGroup, &arn, None)?;
        let (group, _) = self.group(&input.name).await?;
        Ok(api::GetScheduleGroupOutput {
            arn: Some(arn),
            name: Some(group.name),
            state: Some(api::ScheduleGroupState::Active),
            creation_date: Some(Timestamp(group.created_ms)),
            last_modification_date: Some(Timestamp(group.modified_ms)),
        })
    }

    /// ListScheduleGroups: the default one first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_schedule_groups(
        &self,
        caller: &Caller,
        input: api::ListScheduleGroupsInput,
    ) -> Result<api::ListScheduleGroupsOutput, ApiError> {
        allow(caller, Operation::ListScheduleGroups, &self.group_arn("*"), None)?;
        let page = page("schedule-groups", input.next_token.as_deref(), input.max_results)?;
        let start = input.name_prefix.unwrap_or_default();
        let after = page.after.as_deref().map(keys::schedule_group);
        let prefix = keys::schedule_group(&start);
        let found = self
            .records
            .read_matching::<GroupRecord>(&prefix, after.as_deref(), page.read(), |group| group.name != DEFAULT);
        let mut groups: Vec<GroupRecord> = found.await?.into_iter().map(|(_, found)| found.record).collect();
        if page.after.is_none() && DEFAULT.starts_with(&start) {
            groups.insert(0, self.group(DEFAULT).await?.0);
        }
        let next_token = page.cut(&mut groups, |group| &group.name);
        let shown = |group: GroupRecord| api::ScheduleGroupSummary {
            arn: Some(self.group_arn(&group.name)),
            name: Some(group.name),
            state: Some(api::ScheduleGroupState::Active),
            creation_date: Some(Timestamp(group.created_ms)),
            last_modification_date: Some(Timestamp(group.modified_ms)),
        };
        Ok(api::ListScheduleGroupsOutput { next_token, schedule_groups: groups.into_iter().map(shown).collect() })
    }

    /// DeleteScheduleGroup: its schedules go with it.
    ///
    /// # Errors
    /// ResourceNotFoundException; ValidationException for the default group.
    pub async fn delete_schedule_group(
        &self,
        caller: &Caller,
        input: api::DeleteScheduleGroupInput,
    ) -> Result<api::DeleteScheduleGroupOutput, ApiError> {
        let name = input.name.as_str();
        allow(caller, Operation::DeleteScheduleGroup, &self.group_arn(name), None)?;
        if name == DEFAULT {
            return Err(invalid("The default schedule group cannot be deleted."));
        }
        // First them, so that a crash leaves none without its group; then those that were made meanwhile.
        self.group(name).await?;
        self.delete_schedules(name).await?;
        self.records
            .until_written(|| async move {
                let (_, found) = self.group(name).await?;
                let gone = self
                    .records
                    .commit(vec![Write::delete(keys::schedule_group(name), as_found(found.as_ref()))])
                    .await?;
                Ok(gone.then_some(()))
            })
            .await?;
        self.delete_schedules(name).await?;
        Ok(api::DeleteScheduleGroupOutput {})
    }

    async fn delete_schedules(&self, group: &str) -> Result<(), ApiError> {
        loop {
            let prefix = keys::schedules_of(group);
            let some = self.records.read_matching::<ScheduleRecord>(&prefix, None, RULES_PAGE / 2, |_| true).await?;
            if some.is_empty() {
                return Ok(());
            }
            let writes = some.iter().flat_map(|(name, _)| without_schedule(group, name, Precondition::Any));
            self.records.commit(writes.collect()).await?;
            for (name, _) in some {
                self.schedule_changed(group, &name);
            }
        }
    }

    /// TagResource, of a group.
    ///
    /// # Errors
    /// ResourceNotFoundException, and where there would be too many.
    pub async fn tag_schedule_group(
        &self,
        caller: &Caller,
        input: api::TagResourceInput,
    ) -> Result<api::TagResourceOutput, ApiError> {
        allow(caller, Operation::TagResource, &input.resource_arn, None)?;
        self.change_group(&input.resource_arn, |tags| with_tags(tags, input.tags.clone())).await?;
        Ok(api::TagResourceOutput {})
    }

    /// UntagResource, of a group.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn untag_schedule_group(
        &self,
        caller: &Caller,
        input: api::UntagResourceInput,
    ) -> Result<api::UntagResourceOutput, ApiError> {
        allow(caller, Operation::UntagResource, &input.resource_arn, None)?;
        self.change_group(&input.resource_arn, |mut tags| {
            tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(tags)
        })
        .await?;
        Ok(api::UntagResourceOutput {})
    }

    /// ListTagsForResource, of a group.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn list_tags_of_schedule_group(
        &self,
        caller: &Caller,
        input: api::ListTagsForResourceInput,
    ) -> Result<api::ListTagsForResourceOutput, ApiError> {
        allow(caller, Operation::ListTagsForResource, &input.resource_arn, None)?;
        let (group, _) = self.group(self.group_of(&input.resource_arn)?).await?;
        let tags = group.tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect();
        Ok(api::ListTagsForResourceOutput { tags: Some(tags) })
    }

    async fn change_group(
        &self,
        arn: &str,
        change: impl Fn(BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError>,
    ) -> Result<(), ApiError> {
        let (name, change) = (self.group_of(arn)?, &change);
        self.records
            .until_written(|| async move {
                let (group, found) = self.group(name).await?;
                let group = GroupRecord { tags: change(group.tags)?, modified_ms: self.now_ms(), ..group };
                let write = put(keys::schedule_group(name), &group, as_found(found.as_ref()))?;
                Ok(self.records.commit(vec![write]).await?.then_some(()))
            })
            .await
    }

    fn group_of<'a>(&self, arn: &'a str) -> Result<&'a str, ApiError> {
        let unknown = || ApiError::new(&errors::RESOURCE_NOT_FOUND, format!("There is no schedule group {arn}."));
        arn.strip_prefix(&self.group_arn("")).ok_or_else(unknown)
    }

    /// The group, with the version of its record. The default group is there without a record.
    async fn group(&self, name: &str) -> Result<(GroupRecord, Option<Loaded<GroupRecord>>), ApiError> {
        match self.records.read::<GroupRecord>(&keys::schedule_group(name)).await? {
            Some(found) => Ok((found.record.clone(), Some(found))),
            None if name == DEFAULT => Ok((GroupRecord { name: name.to_owned(), ..GroupRecord::default() }, None)),
            None => {
                let text = format!("Schedule group {name} does not exist.");
                Err(ApiError::new(&errors::RESOURCE_NOT_FOUND, text))
            }
        }
    }

    /// What a commit that puts something into a group checks.
    pub(crate) async fn group_is_there(&self, name: &str) -> Result<Option<Write>, ApiError> {
        let (_, found) = self.group(name).await?;
        Ok(found.map(|found| Write::check(keys::schedule_group(name), found.unchanged())))
    }

    fn group_arn(&self, name: &str) -> String {
        self.scheduler_arn(&format!("schedule-group/{name}"))
    }
}

fn with_tags(mut tags: BTreeMap<String, String>, more: Vec<api::Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    tags.extend(more.into_iter().map(|tag| (tag.key, tag.value)));
    if tags.len() > TAGS { Err(invalid("Too many tags: a resource has at most 50.")) } else { Ok(tags) }
}
