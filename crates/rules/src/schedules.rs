//! Schedules: made, shown, changed, deleted.

use hearth_api::scheduler::types as api;
use hearth_api::scheduler::{Operation, errors};
use hearth_api::{ApiError, Timestamp};
use hearth_identity::Caller;
use hearth_identity::policy::{Document, Kind};
use hearth_store::typed::Loaded;
use hearth_store::{Precondition, Write};
use hearth_types::identity::RoleRecord;
use hearth_types::keys;

use crate::bus::DEFAULT;
use crate::errors::{invalid, unsupported};
use crate::schedule::{ScheduleRecord, ScheduleTarget, When};
use crate::{Rules, allow, page};
use hearth_records::put;

/// The name of the Scheduler as a principal.
const PRINCIPAL: &str = "scheduler.amazonaws.com";

/// What makes a schedule, and what changes one.
struct Wanted {
    name: String,
    group: String,
    when: When,
    target: ScheduleTarget,
    enabled: bool,
    description: Option<String>,
    ends_deleted: bool,
    token: Option<String>,
}

/// Creating and updating say the same.
macro_rules! wanted {
    ($rules:ident, $input:ident) => {{
        if $input.kms_key_arn.is_some() {
            return Err(unsupported("keys of KMS for schedules (KmsKeyArn)"));
        }
        let dates = ($input.start_date, $input.end_date);
        let (expression, zone) = ($input.schedule_expression, $input.schedule_expression_timezone);
        let when = When::of(expression, zone, dates, &$input.flexible_time_window, $rules.now_ms())?;
        Wanted {
            name: $input.name,
            group: $input.group_name.unwrap_or_else(|| DEFAULT.to_owned()),
            when,
            target: ScheduleTarget::of($input.target)?,
            enabled: $input.state.is_none_or(|state| state == api::ScheduleState::Enabled),
            description: $input.description,
            ends_deleted: $input.action_after_completion == Some(api::ActionAfterCompletion::Delete),
            token: $input.client_token,
        }
    }};
}

impl Wanted {
    fn record(self, start_ms: i64, created_ms: i64, modified_ms: i64) -> ScheduleRecord {
        ScheduleRecord {
            group: self.group,
            name: self.name,
            when: self.when,
            target: self.target,
            enabled: self.enabled,
            description: self.description,
            ends_deleted: self.ends_deleted,
            token: self.token,
            start_ms,
            created_ms,
            modified_ms,
        }
    }
}

impl Rules {
    /// CreateSchedule. The same request twice makes one.
    ///
    /// # Errors
    /// ConflictException, ResourceNotFoundException, ValidationException.
    pub async fn create_schedule(
        &self,
        caller: &Caller,
        input: api::CreateScheduleInput,
    ) -> Result<api::CreateScheduleOutput, ApiError> {
        let wanted = wanted!(self, input);
        let (group, name) = (wanted.group.clone(), wanted.name.clone());
        let arn = self.schedule_arn(&group, &name);
        allow(caller, Operation::CreateSchedule, &arn, None)?;
        self.assumable(&wanted.target.role).await?;
        let now_ms = self.now_ms();
        let schedule = wanted.record(now_ms, now_ms, now_ms);
        let (schedule, key) = (&schedule, keys::schedule(&group, &name));
        let key = key.as_str();
        self.records
            .until_written(|| async move {
                if let Some(found) = self.records.read::<ScheduleRecord>(key).await? {
                    let same = found.record.token.is_some() && found.record.token == schedule.token;
                    let text = format!("Schedule {} already exists.", schedule.name);
                    return if same { Ok(Some(())) } else { Err(ApiError::new(&errors::CONFLICT, text)) };
                }
                let mut writes = vec![put(key.to_owned(), schedule, Precondition::Absent)?];
                // A group that is deleted meanwhile is noticed.
                writes.extend(self.group_is_there(&schedule.group).await?);
                Ok(self.records.commit(writes).await?.then_some(()))
            })
            .await?;
        self.schedule_changed(&group, &name);
        Ok(api::CreateScheduleOutput { schedule_arn: arn })
    }

    /// UpdateSchedule: what is not given has its default again.
    ///
    /// # Errors
    /// ResourceNotFoundException, ValidationException.
    pub async fn update_schedule(
        &self,
        caller: &Caller,
        input: api::UpdateScheduleInput,
    ) -> Result<api::UpdateScheduleOutput, ApiError> {
        let wanted = wanted!(self, input);
        let (group, name) = (wanted.group.clone(), wanted.name.clone());
        let arn = self.schedule_arn(&group, &name);
        allow(caller, Operation::UpdateSchedule, &arn, None)?;
        self.assumable(&wanted.target.role).await?;
        let now_ms = self.now_ms();
        let schedule = wanted.record(now_ms, now_ms, now_ms);
        let (schedule, group_name, schedule_name) = (&schedule, group.as_str(), name.as_str());
        self.records
            .until_written(|| async move {
                let before = self.schedule(group_name, schedule_name).await?;
                let goes_on = before.record.when == schedule.when && before.record.enabled && schedule.enabled;
                let schedule = ScheduleRecord {
                    start_ms: if goes_on { before.record.start_ms } else { now_ms },
                    created_ms: before.record.created_ms,
                    token: before.record.token.clone(),
                    ..schedule.clone()
                };
                let write = put(keys::schedule(group_name, schedule_name), &schedule, before.unchanged())?;
                Ok(self.records.commit(vec![write]).await?.then_some(()))
            })
            .await?;
        self.schedule_changed(&group, &name);
        Ok(api::UpdateScheduleOutput { schedule_arn: arn })
    }

    /// GetSchedule.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn get_schedule(
        &self,
        caller: &Caller,
        input: api::GetScheduleInput,
    ) -> Result<api::GetScheduleOutput, ApiError> {
        let group = input.group_name.as_deref().unwrap_or(DEFAULT);
        let arn = self.schedule_arn(group, &input.name);
        allow(caller, Operation::GetSchedule, &arn, None)?;
        let schedule = self.schedule(group, &input.name).await?.record;
        let mode = match schedule.when.window_minutes {
            Some(_) => api::FlexibleTimeWindowMode::Flexible,
            None => api::FlexibleTimeWindowMode::Off,
        };
        let action = match schedule.ends_deleted {
            true => api::ActionAfterCompletion::Delete,
            false => api::ActionAfterCompletion::None,
        };
        Ok(api::GetScheduleOutput {
            arn: Some(arn),
            target: Some(schedule.target.shown()),
            state: Some(state(&schedule)),
            group_name: Some(schedule.group),
            name: Some(schedule.name),
            schedule_expression: Some(schedule.when.expression),
            start_date: schedule.when.from_ms.map(Timestamp),
            end_date: schedule.when.until_ms.map(Timestamp),
            description: schedule.description,
            schedule_expression_timezone: Some(schedule.when.zone.unwrap_or_else(|| "UTC".to_owned())),
            creation_date: Some(Timestamp(schedule.created_ms)),
            last_modification_date: Some(Timestamp(schedule.modified_ms)),
            kms_key_arn: None,
            flexible_time_window: Some(api::FlexibleTimeWindow {
                mode,
                maximum_window_in_minutes: schedule.when.window_minutes,
            }),
            action_after_completion: Some(action),
        })
    }

    /// ListSchedules, of a group or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_schedules(
        &self,
        caller: &Caller,
        input: api::ListSchedulesInput,
    ) -> Result<api::ListSchedulesOutput, ApiError> {
        allow(caller, Operation::ListSchedules, &self.schedule_arn("*", "*"), None)?;
        let page = page("schedules", input.next_token.as_deref(), input.max_results)?;
        let after = page.after.as_ref().map(|rest| format!("{}{rest}", keys::SCHEDULES));
        let prefix = input.group_name.as_deref().map_or_else(|| keys::SCHEDULES.to_owned(), keys::schedules_of);
        let start = input.name_prefix.unwrap_or_default();
        let kept = |schedule: &ScheduleRecord| {
            schedule.name.starts_with(&start) && input.state.is_none_or(|wanted| wanted == state(schedule))
        };
        let found = self.records.read_matching::<ScheduleRecord>(&prefix, after.as_deref(), page.read(), kept).await?;
        let mut found: Vec<(String, ScheduleRecord)> = found
            .into_iter()
            .map(|(_, found)| (format!("{}/{}", found.record.group, found.record.name), found.record))
            .collect();
        let next_token = page.cut(&mut found, |(rest, _)| rest);
        let shown = |(_, schedule): (String, ScheduleRecord)| api::ScheduleSummary {
            arn: Some(self.schedule_arn(&schedule.group, &schedule.name)),
            state: Some(state(&schedule)),
            name: Some(schedule.name),
            group_name: Some(schedule.group),
            creation_date: Some(Timestamp(schedule.created_ms)),
            last_modification_date: Some(Timestamp(schedule.modified_ms)),
            target: Some(api::TargetSummary { arn: schedule.target.arn }),
        };
        Ok(api::ListSchedulesOutput { next_token, schedules: found.into_iter().map(shown).collect() })
    }

    /// DeleteSchedule.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn delete_schedule(
        &self,
        caller: &Caller,
        input: api::DeleteScheduleInput,
    ) -> Result<api::DeleteScheduleOutput, ApiError> {
        let group = input.group_name.as_deref().unwrap_or(DEFAULT);
        allow(caller, Operation::DeleteSchedule, &self.schedule_arn(group, &input.name), None)?;
        let name = input.name.as_str();
        self.records
            .until_written(|| async move {
                let found = self.schedule(group, name).await?;
                Ok(self.records.commit(without_schedule(group, name, found.unchanged())).await?.then_some(()))
            })
            .await?;
        self.schedule_changed(group, name);
        Ok(api::DeleteScheduleOutput {})
    }

    pub(crate) fn schedule_arn(&self, group: &str, name: &str) -> String {
        self.scheduler_arn(&format!("schedule/{group}/{name}"))
    }

    async fn schedule(&self, group: &str, name: &str) -> Result<Loaded<ScheduleRecord>, ApiError> {
        let found = self.records.read(&keys::schedule(group, name)).await?;
        found.ok_or_else(|| ApiError::new(&errors::RESOURCE_NOT_FOUND, format!("Schedule {name} does not exist.")))
    }

    /// That the Scheduler may take a role on. One that nobody made lets it do nothing where signatures are asked for.
    async fn assumable(&self, role: &str) -> Result<(), ApiError> {
        let name = role.rsplit('/').next().unwrap_or_default();
        let found = self.records.read::<RoleRecord>(&keys::role(name)).await?.map(|found| found.record);
        let account = &self.parts.place.account;
        let found =
            found.filter(|RoleRecord { path, name, .. }| role == format!("arn:aws:iam::{account}:role{path}{name}"));
        let trusts = |role: &RoleRecord| {
            Document::parse(&role.trust, Kind::Trust).is_ok_and(|document| document.trusts_service(PRINCIPAL))
        };
        match found {
            Some(found) if !trusts(&found) => {
                Err(invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role."))
            }
            _ => Ok(()),
        }
    }
}

/// What removes a schedule.
pub(crate) fn without_schedule(group: &str, name: &str, precondition: Precondition) -> Vec<Write> {
    vec![
        Write::delete(keys::schedule(group, name), precondition),
        Write::delete(keys::schedule_time(group, name), Precondition::Any),
    ]
}

fn state(schedule: &ScheduleRecord) -> api::ScheduleState {
    if schedule.enabled { api::ScheduleState::Enabled } else { api::ScheduleState::Disabled }
}
