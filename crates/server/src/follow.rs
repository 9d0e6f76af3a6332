//! Following the metadata store: what the control plane commits, the front end serves.

use std::collections::HashSet;
use std::sync::Arc;

use hearth_frontend::Dispatcher;
use hearth_store::{Versioned, Watch, WatchEvent};
use hearth_types::FunctionName;
use hearth_types::function::FunctionRecord;
use tokio::sync::watch;
use tracing::{error, info};

/// Where function records are.
pub(crate) const PREFIX: &str = "function/";

/// Brings the dispatcher up to date for as long as the store lives; `applied` says how far it is.
pub(crate) async fn follow(mut changes: Watch, dispatcher: Arc<Dispatcher>, applied: watch::Sender<u64>) {
    while let Some(event) = changes.next().await {
        let version = match event {
            WatchEvent::Snapshot { version, entries } => {
                replace_all(&dispatcher, &entries);
                version
            }
            WatchEvent::Commit { version, changes } => {
                for change in changes {
                    match change.value {
                        Some(value) => apply(&dispatcher, &change.key, &value),
                        None => remove(&dispatcher, &change.key),
                    }
                }
                version
            }
        };
        applied.send_replace(version);
    }
    info!("the metadata store is closed");
}

fn replace_all(dispatcher: &Dispatcher, entries: &[(String, Versioned)]) {
    let there: HashSet<&str> = entries.iter().filter_map(|(key, _)| key.strip_prefix(PREFIX)).collect();
    for name in dispatcher.functions().names() {
        if !there.contains(name.as_str()) {
            dispatcher.remove_function(&name);
        }
    }
    for (key, found) in entries {
        apply(dispatcher, key, &found.value);
    }
}

fn apply(dispatcher: &Dispatcher, key: &str, value: &[u8]) {
    match serde_json::from_slice::<FunctionRecord>(value) {
        Ok(record) => dispatcher.apply_function(&record),
        // What is served stays as it was.
        Err(cause) => error!("the record {key} does not parse: {cause}"),
    }
}

fn remove(dispatcher: &Dispatcher, key: &str) {
    let name = key.strip_prefix(PREFIX).unwrap_or(key);
    if let Ok(name) = FunctionName::try_from(name.to_owned()) {
        dispatcher.remove_function(&name);
    }
}
