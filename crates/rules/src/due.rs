//! Times that come: one loop for all that is due.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_types::limits::TIMER_PAUSE;
use tracing::error;

use crate::Rules;
use crate::agenda::Agenda;

impl Rules {
    /// Sees to what is due at its time, for as long as the server runs. What was due while it did not is seen to at once.
    pub async fn run(self: Arc<Self>) {
        let mut agenda = Agenda::default();
        let mut loaded = false;
        loop {
            // From here on until the next time is known; a clock that is moved by hand waits for it.
            let busy = self.parts.clock.busy();
            let changed = self.changed.notified();
            let next = match self.see_to(&mut agenda, &mut loaded).await {
                Ok(next) => next,
                Err(cause) => {
                    error!("what is due cannot be seen to: {cause}");
                    drop(busy);
                    tokio::time::sleep(TIMER_PAUSE).await;
                    continue;
                }
            };
            match next {
                Some(at) => {
                    tokio::select! {
                        _busy = self.parts.clock.rest_until_ms(busy, at) => {}
                        () = changed => {}
                    }
                }
                None => {
                    drop(busy);
                    changed.await;
                }
            }
        }
    }

    /// Sees to all that is due now; when something is due next.
    async fn see_to(&self, agenda: &mut Agenda, loaded: &mut bool) -> Result<Option<i64>, ApiError> {
        let now_ms = self.now_ms();
        if !*loaded {
            self.load_schedules(agenda, now_ms).await?;
            *loaded = true;
        }
        let of_schedules = self.schedules_at(agenda, now_ms).await;
        let of_rules = self.rules_at(now_ms).await?;
        Ok([of_schedules, of_rules].into_iter().flatten().min())
    }
}
