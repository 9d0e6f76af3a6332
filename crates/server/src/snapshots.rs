//! Takes the snapshots of versions that are published with SnapStart.

use std::sync::Arc;
use std::time::Duration;

use hearth_control::Control;
use hearth_control::snapshots::Optimization;
use hearth_remote::Dispatcher;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::SNAPSHOTS_AT_A_TIME;
use hearth_worker::NoSnapshot;
use tokio::sync::Semaphore;
use tracing::{error, info};

/// Between tries while the store cannot be written.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes them until the server's end: some at a time, since each is a start that uses all the processors it gets.
pub(crate) async fn take(dispatcher: Arc<Dispatcher>, control: Arc<Control>) {
    let turns = Arc::new(Semaphore::new(SNAPSHOTS_AT_A_TIME));
    loop {
        let spec = dispatcher.next_to_optimize().await;
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let (dispatcher, control) = (Arc::clone(&dispatcher), Arc::clone(&control));
        tokio::spawn(async move {
            take_one(&dispatcher, &control, &spec).await;
            drop(turn);
        });
    }
}

async fn take_one(dispatcher: &Dispatcher, control: &Control, spec: &VersionSpec) {
    let name = &*spec.function;
    let outcome = match dispatcher.environments().snapshot(spec).await {
        Ok(()) => Optimization::On,
        Err(NoSnapshot::Init { failure, text }) => Optimization::Failed(failure.code().to_owned(), text),
        Err(NoSnapshot::Unsupported(text)) => {
            info!("{name}:{} starts as usual: {text}", spec.version);
            Optimization::Off
        }
        Err(NoSnapshot::Platform(text)) => {
            error!("{name}:{} starts as usual: its snapshot failed: {text}", spec.version);
            Optimization::Off
        }
    };
    // $LATEST never waits for one.
    let Ok(number) = spec.version.parse() else { return };
    while let Err(cause) = control.optimized(name, number, &outcome).await {
        error!("{name}:{number} stays Pending for now: {cause}");
        tokio::time::sleep(AGAIN).await;
    }
}
