//! Following the metadata store: what the control plane commits, the front end serves.

use std::sync::Arc;

use hearth_frontend::{Dispatcher, FunctionChange};
use hearth_store::{Watch, WatchEvent};
use hearth_types::function::FunctionRecord;
use hearth_types::keys;
use tokio::sync::watch;
use tracing::{error, info};

/// Brings the dispatcher up to date for as long as the store lives; `applied` says how far it is.
pub(crate) async fn follow(mut changes: Watch, dispatcher: Arc<Dispatcher>, applied: watch::Sender<u64>) {
    while let Some(event) = changes.next().await {
        let version = match event {
            WatchEvent::Snapshot { version, entries } => {
                let records: Vec<_> = entries.iter().filter_map(|(key, found)| parse(key, &found.value)).collect();
                dispatcher.replace(&records);
                version
            }
            WatchEvent::Commit { version, changes } => {
                for change in changes {
                    apply(&dispatcher, &change.key, change.value.as_deref());
                }
                version
            }
        };
        applied.send_replace(version);
    }
    info!("the metadata store is closed");
}

fn apply(dispatcher: &Dispatcher, key: &str, value: Option<&[u8]>) {
    match value {
        None => dispatcher.apply(&[FunctionChange::Delete(key.strip_prefix(keys::FUNCTIONS).unwrap_or(key))]),
        Some(value) => {
            // What does not parse leaves what is served as it was.
            if let Some(record) = parse(key, value) {
                dispatcher.apply(&[FunctionChange::Put(&record)]);
            }
        }
    }
}

fn parse(key: &str, value: &[u8]) -> Option<FunctionRecord> {
    serde_json::from_slice(value).map_err(|cause| error!("the record {key} does not parse: {cause}")).ok()
}
