//! Queues: messages are received, cut into batches, given to the function, and deleted once it has taken them. What it
//! has not is left to its queue, which shows it again, and in the end moves it to a dead-letter queue.

mod decide;
mod queue;
mod record;
mod upstream;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hearth_sqs::Pick;
use hearth_types::limits::{SOURCE_BYTES, SOURCE_UNREACHED, SOURCE_WAIT, SYNC_PAYLOAD_BYTES};
use hearth_types::mapping::Source;
use tokio::task::JoinSet;

use crate::Parts;
use crate::filter::Filters;
use crate::job::Job;
use crate::sqs::decide::{Scale, batches, size, visibility_s};
use crate::sqs::queue::{Queue, Unreached};
use crate::sqs::record::{Item, filtered, item};
use crate::sqs::work::{Ended, Work, delete};

/// Longer than any look lasts.
const UNBOUNDED: Duration = Duration::from_secs(365 * 86_400);

pub(crate) async fn poll(job: Arc<Job>) {
    let Source::Sqs { arn } = &job.mapping.source else { return };
    match Filters::new(&job.mapping.settings.filters) {
        Ok(filters) => Poller::new(Arc::clone(&job), arn.as_str().into(), filters).run().await,
        Err(cause) => {
            job.problem(&format!("Invalid filter pattern definition: {cause}"));
            job.stopped().await;
        }
    }
}

/// Whether a function with this role may poll a queue.
///
/// # Errors
/// With what Lambda says to who makes a mapping.
pub(crate) async fn check(parts: &Parts, arn: &str, function: &str, role: &str, timeout_s: u32) -> Result<(), String> {
    let caller = parts.roles.caller(function, role).await?;
    let queue = Queue::of(parts, caller, arn.into());
    queue.check(timeout_s).await.map_err(|Unreached(why)| why)
}

/// One receives for all batches: who is with the function is another task.
struct Poller {
    job: Arc<Job>,
    arn: Arc<str>,
    filters: Filters,
    scale: Scale,
    working: JoinSet<Ended>,
    /// Received, and not yet with the function.
    waiting: VecDeque<Work>,
}

impl Poller {
    fn new(job: Arc<Job>, arn: Arc<str>, filters: Filters) -> Self {
        let scale = Scale::new(job.mapping.settings.concurrency);
        Self { job, arn, filters, scale, working: JoinSet::new(), waiting: VecDeque::new() }
    }

    async fn run(mut self) {
        let mut failures = 0;
        while self.has_room().await {
            if let Some(work) = self.waiting.pop_front() {
                self.begin(work).await;
                continue;
            }
            match self.receive().await {
                Ok(()) => failures = 0,
                Err(Unreached(why)) => {
                    self.job.problem(&why);
                    let (first, most) = SOURCE_UNREACHED;
                    self.job.pause(most.min(first * 2_u32.saturating_pow(failures))).await;
                    failures += 1;
                }
            }
        }
        while self.working.join_next().await.is_some() {}
    }

    /// Waits until one more batch may go to the function. False where it is to stop.
    async fn has_room(&mut self) -> bool {
        loop {
            while let Some(ended) = self.working.try_join_next() {
                self.ended(ended.ok());
            }
            if self.job.is_stopping() {
                return false;
            }
            let now_ms = self.job.now_ms();
            if self.working.len() < self.scale.limit(now_ms, self.working.len()) {
                return true;
            }
            let grows_ms = self.scale.grows_ms().unwrap_or(i64::MAX);
            let clock = self.job.parts.clock.clone();
            tokio::select! {
                Some(ended) = self.working.join_next() => self.ended(ended.ok()),
                _ = clock.sleep_until_ms(grows_ms), if grows_ms < i64::MAX => {}
                () = self.job.stopped() => return false,
            }
        }
    }

    /// One that broke off has left its messages to the queue.
    fn ended(&mut self, ended: Option<Ended>) {
        if ended == Some(Ended::NoRoom) {
            self.scale.throttled(self.job.now_ms(), self.working.len());
        }
    }

    async fn begin(&mut self, work: Work) {
        let bytes: usize = work.batches.iter().map(|batch| size(batch)).sum();
        let kib = u32::try_from(bytes.min(SOURCE_BYTES).div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.job.room).acquire_many_owned(kib);
        tokio::select! {
            Ok(held) = room => {
                let job = Arc::clone(&self.job);
                let busy = job.parts.clock.busy();
                self.working.spawn(async move {
                    let ended = work.run(job).await;
                    drop((held, busy));
                    ended
                });
            }
            () = self.job.stopped() => {}
        }
    }

    /// Receives what makes a batch, or nothing.
    async fn receive(&mut self) -> Result<(), Unreached> {
        let Some((queue, timeout_s)) = self.queue().await? else {
            return Err(Unreached("Function not found".to_owned()));
        };
        let of_queue_s = queue.visibility_s().await?;
        let settings = &self.job.mapping.settings;
        let hidden_s = visibility_s(settings.window_s.into(), timeout_s, of_queue_s);
        let begun_ms = self.job.now_ms();
        let items = self.gather(&queue, hidden_s).await?;
        self.job.tell(None);
        if items.is_empty() {
            if self.working.is_empty() {
                self.scale.idle(self.job.now_ms());
            }
            return Ok(());
        }
        let first_ms = items.first().map_or(begun_ms, |(received_ms, _)| *received_ms);
        let visible_ms = first_ms + hidden_s.unwrap_or(of_queue_s) * 1000;
        let batch_size = usize::try_from(settings.batch_size).unwrap_or(1);
        let batches = batches(items.into_iter().map(|(_, item)| item).collect(), batch_size);
        let work = |batches| Work { queue: queue.clone(), batches, visible_ms, timeout_ms: timeout_s * 1000 };
        if self.job.mapping.source.is_fifo() {
            self.waiting.push_back(work(batches.into()));
        } else {
            self.waiting.extend(batches.into_iter().map(|batch| work(VecDeque::from([batch]))));
        }
        Ok(())
    }

    /// The queue as the function sees it now, and the seconds that the function may take; none where it is gone.
    async fn queue(&self) -> Result<Option<(Queue, i64)>, Unreached> {
        let Some(config) = self.job.configuration().await.map_err(Unreached)? else { return Ok(None) };
        let caller = self.job.caller(&config).await.map_err(Unreached)?;
        let queue = Queue::of(&self.job.parts, caller, Arc::clone(&self.arn));
        Ok(Some((queue, config.timeout_s.into())))
    }

    /// Messages that pass the filters, each with when it was received: what there is, or what comes within the window.
    /// What is held back is deleted.
    async fn gather(&self, queue: &Queue, hidden_s: Option<i64>) -> Result<Vec<(i64, Item)>, Unreached> {
        let settings = &self.job.mapping.settings;
        let most = usize::try_from(settings.batch_size).unwrap_or(1);
        let (mut items, mut bytes, mut until_ms) = (Vec::new(), 0, None);
        loop {
            let left_ms = until_ms.map(|until_ms: i64| until_ms - self.job.now_ms());
            let is_over = left_ms.is_some_and(|left_ms| left_ms <= 0) || bytes >= SYNC_PAYLOAD_BYTES;
            if is_over || items.len() >= most || self.job.is_stopping() {
                return Ok(items);
            }
            // A look that nothing is due for ends by the machine's time: a clock that is moved by hand has no stops for it.
            let wait = left_ms.map_or(UNBOUNDED, |ms| Duration::from_millis(ms.unsigned_abs()).min(SOURCE_WAIT));
            let end = async {
                let _ = tokio::time::timeout(SOURCE_WAIT, self.job.stopped()).await;
            };
            let pick =
                Pick { limit: most - items.len(), bytes: SYNC_PAYLOAD_BYTES - bytes, wait, visibility_s: hidden_s };
            let messages = match queue.receive(pick, end).await {
                Ok(messages) => messages,
                // What has been received is not to wait for what is wrong now.
                Err(why) if items.is_empty() => return Err(why),
                Err(_) => return Ok(items),
            };
            let received_ms = self.job.now_ms();
            self.job.count(|of| &of.polled, messages.len());
            let (through, held): (Vec<_>, Vec<_>) =
                messages.into_iter().partition(|message| self.filters.let_through(|| filtered(message)));
            if !held.is_empty() {
                self.job.count(|of| &of.filtered_out, held.len());
                let handles = held.into_iter().map(|message| message.handle).collect();
                delete(&self.job, queue, handles).await;
            }
            for message in through {
                let item = item(message, &self.arn, self.filters.are_any());
                bytes += item.json.len() + 1;
                items.push((received_ms, item));
            }
            if items.is_empty() && until_ms.is_none() {
                return Ok(items);
            }
            let window_ms = i64::from(settings.window_s) * 1000;
            until_ms.get_or_insert_with(|| self.job.now_ms() + window_ms);
        }
    }
}
