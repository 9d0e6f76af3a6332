//! Versions that wait for their snapshot before they can be invoked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hearth_types::invoke::VersionSpec;
use tokio::sync::Notify;

use crate::dispatcher::{Dispatcher, lock};

/// Those that nobody takes a snapshot of yet, no more than there are versions, and whose are taken.
#[derive(Debug, Default)]
pub(crate) struct Optimizations {
    queue: Mutex<Queue>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<VersionSpec>>,
    at_work: Vec<Arc<str>>,
}

impl Queue {
    /// The first of a function of which none is at work: one that takes long keeps waiting only its own.
    fn take(&mut self) -> Option<Arc<VersionSpec>> {
        let next = self.waiting.iter().position(|spec| !self.at_work.contains(&spec.function))?;
        let spec = self.waiting.remove(next)?;
        self.at_work.push(spec.function.clone());
        Some(spec)
    }

    fn ended(&mut self, function: &str) {
        self.at_work.retain(|at_work| **at_work != *function);
    }
}

impl Optimizations {
    pub(crate) fn add(&self, specs: impl IntoIterator<Item = Arc<VersionSpec>>) {
        let mut queue = lock(&self.queue);
        let before = queue.waiting.len();
        queue.waiting.extend(specs);
        if queue.waiting.len() > before {
            self.more.notify_one();
        }
    }

    async fn next(&self) -> Arc<VersionSpec> {
        loop {
            let more = self.more.notified();
            if let Some(spec) = lock(&self.queue).take() {
                return spec;
            }
            more.await;
        }
    }

    fn ended(&self, function: &str) {
        lock(&self.queue).ended(function);
        self.more.notify_one();
    }
}

impl<W> Dispatcher<W> {
    /// The next version that waits for its snapshot. It is invoked by this very generation once it is said to be active.
    /// No other one of its function comes until [`Self::optimization_ended`].
    pub async fn next_to_optimize(&self) -> Arc<VersionSpec> {
        self.optimizations.next().await
    }

    /// Nobody takes the snapshot of that function's version any more.
    pub fn optimization_ended(&self, function: &str) {
        self.optimizations.ended(function);
    }

    /// Who runs environments.
    pub fn environments(&self) -> &W {
        &self.worker
    }
}

#[cfg(test)]
mod tests {
    use hearth_types::CodeDigest;
    use hearth_types::function::LogFormat;
    use hearth_types::invoke::Initialization;

    use super::*;

    fn version(function: &str) -> VersionSpec {
        VersionSpec {
            generation: 1,
            function: function.into(),
            function_arn: "arn".into(),
            version: "1".into(),
            runtime: "python3.12".to_owned(),
            runtime_version: None,
            handler: "app.handler".to_owned(),
            memory_mb: 128,
            timeout_s: 3,
            ephemeral_mb: 512,
            role: "role".into(),
            variables: Vec::new(),
            code: CodeDigest([0; 32]),
            layers: Vec::new(),
            log_group: "log".into(),
            log_format: LogFormat::Text,
            region: "us-east-1".into(),
            initialization: Initialization::SnapStart,
            tenant: None,
        }
    }

    #[test]
    fn a_function_with_many_versions_keeps_no_other_waiting() {
        let mut queue = Queue::default();
        queue.waiting.extend(["a", "a", "b", "a"].map(|name| Arc::new(version(name))));
        let mut taken = || queue.take().map(|spec| spec.function.to_string());
        assert_eq!([taken(), taken(), taken()], [Some("a".into()), Some("b".into()), None]);
        queue.ended("a");
        assert_eq!(queue.take().map(|spec| spec.function.to_string()), Some("a".into()));
        assert!(queue.take().is_none());
    }
}
