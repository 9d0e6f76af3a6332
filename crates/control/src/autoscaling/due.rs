//! Actions whose time has come.

use std::sync::{Arc, PoisonError};

use hearth_api::ApiError;
use hearth_api::types as lambda;
use hearth_types::keys::{self, Part};
use hearth_types::limits::TIMER_PAUSE;
use hearth_types::settings::ProvisionedConcurrency;
use tracing::{error, info, warn};

use super::records::{ActionRecord, Bounds, TargetRecord};
use crate::Control;
use crate::records::put;

impl Control {
    /// Sees to scheduled actions at their times, for as long as the server runs. What was due while it did not is seen to
    /// at once.
    pub async fn run_scheduled_actions(self: Arc<Self>) {
        loop {
            // From here on until the next time is known; a clock that is moved by hand waits for it.
            let busy = self.parts.clock.busy();
            drop(self.scaling.unseen.lock().unwrap_or_else(PoisonError::into_inner).take());
            let changed = self.scaling.changed.notified();
            match self.see_to_actions().await {
                Ok(Some(at)) => {
                    tokio::select! {
                        _busy = self.parts.clock.rest_until_ms(busy, at) => {}
                        () = changed => {}
                    }
                }
                Ok(None) => {
                    drop(busy);
                    changed.await;
                }
                Err(cause) => {
                    error!("scheduled actions cannot be seen to: {cause}");
                    drop(busy);
                    tokio::time::sleep(TIMER_PAUSE).await;
                }
            }
        }
    }

    /// Carries out what is due now; when the next is.
    async fn see_to_actions(&self) -> Result<Option<i64>, ApiError> {
        let now_ms = self.now_ms();
        let mut due: Vec<(i64, ActionRecord)> = Vec::new();
        let mut next: Option<i64> = None;
        for action in self.all_actions().await? {
            let times = action.due(now_ms);
            next = [next, times.next].into_iter().flatten().min();
            due.extend(times.now.map(|time| (time, action)));
        }
        // In the order of their times, so that of several for one target the last one stands.
        due.sort_by(|(a, one), (b, other)| (a, &one.name).cmp(&(b, &other.name)));
        for (time_ms, action) in due {
            self.carry_out_action(&action).await?;
            self.seen_to(&action, time_ms).await?;
        }
        Ok(next)
    }

    /// Moves the target's bounds, and what is provisioned into them. What the rules refuse is said in the log and not tried
    /// again.
    async fn carry_out_action(&self, action: &ActionRecord) -> Result<(), ApiError> {
        let (resource, name) = (&action.resource, &action.name);
        let key = &keys::scalable_target(resource);
        let bounds = self
            .records
            .until_written(|| async move {
                let Some(target) = self.records.read::<TargetRecord>(key).await? else { return Ok(Some(None)) };
                if target.record.suspended.scheduled {
                    return Ok(Some(None));
                }
                let Some(bounds) = target.record.bounds.moved(action.min, action.max) else {
                    warn!("scheduled action {name}: the least capacity of {resource} would be above the largest");
                    return Ok(Some(None));
                };
                let write = put(key.clone(), &TargetRecord { bounds, ..target.record.clone() }, target.unchanged())?;
                Ok(self.records.commit(vec![write]).await?.then_some(Some(bounds)))
            })
            .await?;
        let Some(bounds) = bounds else { return Ok(()) };
        match self.bring_within(resource, bounds).await {
            Ok(Some(count)) => info!("scheduled action {name}: {resource} has a provisioned concurrency of {count}"),
            Ok(None) => {}
            Err(cause) => warn!("scheduled action {name}: {resource} stays as it is: {cause}"),
        }
        Ok(())
    }

    /// What is provisioned from now on, where that is another number.
    async fn bring_within(&self, resource: &str, Bounds { min, max }: Bounds) -> Result<Option<u32>, ApiError> {
        let target = self.scaled(resource)?;
        let qualifier = target.qualifier.clone().unwrap_or_default();
        let found = self.part::<ProvisionedConcurrency>(Part::ProvisionedConcurrency, &target).await?;
        let before = found.map_or(0, |found| found.record.requested);
        let count = before.clamp(min, max);
        if count == before {
            return Ok(None);
        }
        if count == 0 {
            let input = lambda::DeleteProvisionedConcurrencyConfigRequest { function_name: target.name, qualifier };
            self.delete_provisioned_concurrency_config(input).await?;
        } else {
            let input = lambda::PutProvisionedConcurrencyConfigRequest {
                function_name: target.name,
                qualifier,
                provisioned_concurrent_executions: super::targets::shown(count),
            };
            self.put_provisioned_concurrency_config(input).await?;
        }
        Ok(Some(count))
    }

    /// A crash before this repeats it, and nothing else. An action that was changed meanwhile is looked at again.
    async fn seen_to(&self, action: &ActionRecord, time_ms: i64) -> Result<(), ApiError> {
        let key = keys::scheduled_action(&action.resource, &action.name);
        let Some(found) = self.records.read::<ActionRecord>(&key).await?.filter(|found| found.record == *action) else {
            return Ok(());
        };
        let seen = ActionRecord { seen_ms: time_ms, ..action.clone() };
        self.records.commit(vec![put(key, &seen, found.unchanged())?]).await.map(drop)
    }
}
