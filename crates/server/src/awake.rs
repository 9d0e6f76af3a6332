//! `--awake requests`: idle processors look for work instead of halting, for as long as clients' requests are under way.
//! Why one may want that, and why it is not the default: docs/adr/0026-processors-kept-awake.md.
//!
//! The kernel's means is `/dev/cpu_dma_latency`: while somebody has it open with 0 written, no processor may take longer
//! than that to wake, so an idle one polls. Whatever becomes of this process, its wish ends with its descriptor.

mod decide;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hearth_types::limits::AWAKE_LOOK;
use tokio::sync::Notify;
use tracing::warn;

use crate::cli::AwakeArg;
use crate::pace;
use crate::prepare::Refused;
use decide::{Counts, Hold, Verdict};

const DEVICE: &str = "/dev/cpu_dma_latency";
/// Microseconds that a processor may take to wake: none, and what the kernel takes for no wish at all.
const AT_ONCE_US: i32 = 0;
const AS_IT_LIKES_US: i32 = 2_000_000_000;

/// What keeps processors awake, where that is asked for. Only root may open it: this comes before root is given up.
///
/// # Errors
/// Where it would have no effect, or is not to be had.
pub(crate) fn device(asked: AwakeArg) -> Result<Option<File>, Refused> {
    if asked == AwakeArg::Never {
        return Ok(None);
    }
    if !pace::idle_can_poll() {
        return Err(Refused(
            "--awake requests would have no effect: this kernel has no way to be idle that is called POLL \
             (/sys/devices/system/cpu/cpu0/cpuidle); start without it"
                .to_owned(),
        ));
    }
    let opened = OpenOptions::new().write(true).open(DEVICE).and_then(|device| {
        wish(&device, AS_IT_LIKES_US)?;
        Ok(device)
    });
    opened.map(Some).map_err(|cause| {
        Refused(format!("--awake requests: cannot open {DEVICE}: {cause}; it takes root, and a machine that shows it"))
    })
}

fn wish(mut device: &File, wake_within_us: i32) -> io::Result<()> {
    device.write_all(&wake_within_us.to_ne_bytes())
}

/// Keeps the processors awake, where there is a device to do it with.
pub(crate) struct Awake {
    device: Option<File>,
    begun: AtomicU64,
    ended: AtomicU64,
    held: AtomicBool,
    begins: Notify,
    held_for_us: AtomicU64,
}

/// A request that is under way, until it is dropped.
pub(crate) struct UnderWay<'a>(&'a Awake);

impl Awake {
    pub(crate) fn new(device: Option<File>) -> Arc<Self> {
        let awake = Arc::new(Self {
            device,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            held: AtomicBool::new(false),
            begins: Notify::new(),
            held_for_us: AtomicU64::new(0),
        });
        if awake.device.is_some() {
            tokio::spawn(Arc::clone(&awake).let_go_in_time());
        }
        awake
    }

    /// A request begins. It costs two counters where the processors are awake already, and one system call where they
    /// are not: it wakes the others, which the request is about to do anyway.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        if let Some(device) = &self.device {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.hold(device);
        }
        UnderWay(self)
    }

    /// For how long processors were kept awake so far.
    pub(crate) fn held_for(&self) -> Duration {
        Duration::from_micros(self.held_for_us.load(Ordering::Relaxed))
    }

    fn hold(&self, device: &File) {
        if self.held.load(Ordering::SeqCst) || self.held.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Err(error) = wish(device, AT_ONCE_US) {
            warn!("processors are not kept awake: {DEVICE}: {error}");
        }
        self.begins.notify_one();
    }

    async fn let_go_in_time(self: Arc<Self>) {
        let Some(device) = &self.device else { return };
        let mut hold = Hold::default();
        loop {
            self.begins.notified().await;
            let mut since = Instant::now();
            loop {
                tokio::time::sleep(AWAKE_LOOK).await;
                let verdict = hold.look(self.counts());
                let looked = Instant::now();
                let passed = u64::try_from((looked - since).as_micros()).unwrap_or(u64::MAX);
                self.held_for_us.fetch_add(passed, Ordering::Relaxed);
                since = looked;
                if verdict == Verdict::LetGo {
                    break;
                }
            }
            if let Err(error) = wish(device, AS_IT_LIKES_US) {
                warn!("processors are kept awake: {DEVICE}: {error}");
            }
            self.held.store(false, Ordering::SeqCst);
            // Who began meanwhile saw them held, and left it at that.
            if hold.is_behind(self.counts()) {
                self.hold(device);
            }
        }
    }

    fn counts(&self) -> Counts {
        Counts { begun: self.begun.load(Ordering::SeqCst), ended: self.ended.load(Ordering::SeqCst) }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.device.is_some() {
            self.0.ended.fetch_add(1, Ordering::SeqCst);
        }
    }
}
