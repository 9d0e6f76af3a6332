//! Keeps the book: reads the counters, writes what they came to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_clock::Clock;
use hearth_metrics::{Amounts, Metrics};
use hearth_store::typed::{self, Fault};
use hearth_store::{CommitError, MetadataStore, Precondition, StoreError, Write};
use hearth_types::keys;
use hearth_types::limits::{METER_WRITE, METERED_MONTHS, STORE_COMMIT_WRITES};
use tracing::warn;

use crate::book::Book;
use crate::month::Month;
use crate::prices::{Cost, Prices, gb_seconds};

/// How functions that are not counted each by itself are called where names are keys.
const OTHERS: &str = "*";
/// Records read at a time.
const PAGE: usize = 1000;

/// Meters all functions.
pub struct Meter {
    metrics: Arc<Metrics>,
    store: Arc<dyn MetadataStore>,
    clock: Clock,
    prices: Prices,
    book: Mutex<Book>,
}

/// What functions used in a month, and what that costs.
#[derive(Clone, PartialEq, Debug)]
pub struct MonthOfUse {
    /// Which month.
    pub month: Month,
    /// By name; of those that are not counted each by itself under none.
    pub functions: Vec<(Arc<str>, Amounts, Cost)>,
}

/// What is kept cannot be read, or not written.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// A record, or the store.
    #[error(transparent)]
    Read(#[from] Fault),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not take it.
    #[error(transparent)]
    Write(#[from] CommitError),
}

impl MonthOfUse {
    /// Of all functions.
    #[must_use]
    pub fn total(&self) -> Amounts {
        self.functions.iter().fold(Amounts::default(), |sum, (_, amounts, _)| sum.and(*amounts))
    }
}

impl Meter {
    /// Goes on with what was written of the present month.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn open(
        metrics: Arc<Metrics>,
        store: Arc<dyn MetadataStore>,
        clock: Clock,
        prices: Prices,
    ) -> Result<Arc<Self>, MeterError> {
        let month = Month::of(clock.now_ms());
        let book = Mutex::new(Book::new(month, kept(&*store, month).await?));
        Ok(Arc::new(Self { metrics, store, clock, prices, book }))
    }

    /// Writes again and again, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut month = None;
        loop {
            // Of the machine's time: it bounds what a crash loses, wherever the platform's clock stands.
            tokio::time::sleep(METER_WRITE).await;
            if let Err(cause) = self.write().await {
                warn!("what was metered is not written, and will be tried again: {cause}");
            }
            let now = self.book().month();
            if month.replace(now) != Some(now)
                && let Err(cause) = self.tidy(now).await
            {
                warn!("old months are not removed: {cause}");
            }
        }
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    /// When the store does not take it; it is kept for the next time.
    pub async fn write(&self) -> Result<(), MeterError> {
        loop {
            let some = self.current().to_write(STORE_COMMIT_WRITES);
            if some.is_empty() {
                return Ok(());
            }
            let writes = some.iter().map(|(month, name, amounts)| {
                let name = if name.is_empty() { OTHERS } else { name };
                typed::put(keys::usage(&month.to_string(), name), amounts, Precondition::Any)
            });
            self.store.commit(writes.collect::<Result<_, _>>()?).await?;
            self.book().written(&some);
        }
    }

    /// What functions used in the present month so far, or in one that is kept.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn month(&self, wanted: Option<Month>) -> Result<MonthOfUse, MeterError> {
        let present = {
            let book = self.current();
            let month = book.month();
            wanted.is_none_or(|wanted| wanted == month).then(|| (month, book.totals().clone()))
        };
        let (month, totals) = match (present, wanted) {
            (Some(present), _) => present,
            (None, Some(month)) => (month, kept(&*self.store, month).await?),
            (None, None) => (Month::of(self.clock.now_ms()), BTreeMap::new()),
        };
        let priced = totals.into_iter().map(|(name, amounts)| (name, amounts, self.prices.cost(&amounts)));
        Ok(MonthOfUse { month, functions: priced.collect() })
    }

    /// Records that are not written yet: what a crash would take.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.current().unwritten()
    }

    /// At which all is priced.
    #[must_use]
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Memory over time in GB x s.
    #[must_use]
    pub fn gb_seconds(mb_ms: u64) -> f64 {
        gb_seconds(mb_ms)
    }

    /// The book, with all that was used until now.
    fn current(&self) -> MutexGuard<'_, Book> {
        let mut book = self.book();
        book.read(Month::of(self.clock.now_ms()), self.metrics.used());
        let gone = self.metrics.let_go(|name| book.seen(name).or(Some(Amounts::default())));
        book.forget(&gone);
        book
    }

    async fn tidy(&self, month: Month) -> Result<(), MeterError> {
        let oldest = keys::usage(&month.earlier(METERED_MONTHS - 1).to_string(), "");
        loop {
            let found = self.store.list(keys::USAGE, None, PAGE.min(STORE_COMMIT_WRITES)).await?;
            let old = found.into_iter().map(|(key, _)| key).take_while(|key| *key < oldest);
            let writes: Vec<_> = old.map(|key| Write::delete(key, Precondition::Any)).collect();
            if writes.is_empty() {
                return Ok(());
            }
            self.store.commit(writes).await?;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn kept(store: &dyn MetadataStore, month: Month) -> Result<BTreeMap<Arc<str>, Amounts>, MeterError> {
    let prefix = keys::usage(&month.to_string(), "");
    let mut all: BTreeMap<Arc<str>, Amounts> = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = typed::read_page::<Amounts>(store, &prefix, after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        after = Some(format!("{prefix}{last}"));
        let named = page.into_iter().map(|(name, found)| (name, found.record));
        all.extend(named.map(|(name, amounts)| (if name == OTHERS { "".into() } else { name.into() }, amounts)));
    }
}
