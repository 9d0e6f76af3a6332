//! Following the metadata store: what the control plane commits, the front end serves.

use std::sync::Arc;

use hearth_frontend::FunctionChange;
use hearth_remote::Dispatcher;
use hearth_store::{Watch, WatchEvent};
use hearth_types::keys::{Followed, Part};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::{error, info};

/// Brings the dispatcher up to date for as long as the store lives; `applied` says how far it is.
pub(crate) async fn follow(mut changes: Watch, dispatcher: Arc<Dispatcher>, applied: watch::Sender<u64>) {
    while let Some(event) = changes.next().await {
        let version = match event {
            WatchEvent::Snapshot { version, entries } => {
                let listed = entries.iter().filter_map(|(key, found)| change(key, Some(&found.value)));
                dispatcher.replace(listed.collect());
                version
            }
            WatchEvent::Commit { version, changes } => {
                let changed = changes.iter().filter_map(|change| self::change(&change.key, change.value.as_deref()));
                dispatcher.apply(changed.collect());
                version
            }
        };
        applied.send_replace(version);
    }
    info!("the metadata store is closed");
}

/// What a key's new value, or its end, means to invokes; none where it means nothing to them. What does not parse leaves
/// what is served as it was.
fn change(key: &str, value: Option<&[u8]>) -> Option<FunctionChange> {
    match Followed::parse(key)? {
        Followed::Function(name) => Some(FunctionChange::Function(name.to_owned(), parse(key, value)?)),
        Followed::Version(name, number) => Some(FunctionChange::Version(name.to_owned(), number, parse(key, value)?)),
        Followed::Part(name, Part::Alias, alias) => {
            Some(FunctionChange::Alias(name.to_owned(), alias.to_owned(), parse(key, value)?))
        }
        Followed::Part(name, Part::Url, qualifier) => {
            Some(FunctionChange::Url(name.to_owned(), qualifier.to_owned(), parse(key, value)?))
        }
        Followed::Part(name, Part::Policy, qualifier) => {
            Some(FunctionChange::Policy(name.to_owned(), qualifier.to_owned(), parse(key, value)?))
        }
        Followed::Part(name, Part::ProvisionedConcurrency, of) => {
            Some(FunctionChange::Provisioned(name.to_owned(), of.to_owned(), parse(key, value)?))
        }
        Followed::Part(..) => None,
    }
}

/// The record, where there is one; none at all where it does not parse.
fn parse<T: DeserializeOwned>(key: &str, value: Option<&[u8]>) -> Option<Option<Box<T>>> {
    let Some(value) = value else { return Some(None) };
    serde_json::from_slice(value).map_err(|cause| error!("the record {key} does not parse: {cause}")).ok().map(Some)
}
