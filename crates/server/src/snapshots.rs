//! Takes the snapshots of versions that are published with SnapStart.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hearth_control::Control;
use hearth_control::snapshots::Optimization;
use hearth_remote::Dispatcher;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{SNAPSHOT_QUICK, SNAPSHOTS_AT_A_TIME, SNAPSHOTS_SLOW};
use hearth_worker::NoSnapshot;
use tokio::sync::Semaphore;
use tracing::{error, info};

/// Between tries while the store cannot be written.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes them until the server's end: some at a time, since each is a start that uses all the processors it gets. One that
/// takes long gives its turn up, as far as there is room beside: what keeps it waiting is the function's own.
pub(crate) async fn take(dispatcher: Arc<Dispatcher>, control: Arc<Control>) {
    let turns = Arc::new(Semaphore::new(SNAPSHOTS_AT_A_TIME));
    let slow = Arc::new(Semaphore::new(SNAPSHOTS_SLOW));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let work = AtWork { spec: dispatcher.next_to_optimize().await, dispatcher: Arc::clone(&dispatcher) };
        let (control, slow) = (Arc::clone(&control), Arc::clone(&slow));
        tokio::spawn(async move {
            let mut taking = pin!(take_one(&work.dispatcher, &control, &work.spec));
            if tokio::time::timeout(SNAPSHOT_QUICK, &mut taking).await.is_ok() {
                return;
            }
            tokio::select! {
                biased;
                () = &mut taking => {}
                _place = slow.acquire() => {
                    drop(turn);
                    taking.await;
                }
            }
        });
    }
}

/// A version whose snapshot is taken; its function's next may follow once this is gone.
struct AtWork {
    spec: Arc<VersionSpec>,
    dispatcher: Arc<Dispatcher>,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.dispatcher.optimization_ended(&self.spec.function);
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
