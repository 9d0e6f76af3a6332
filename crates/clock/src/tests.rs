use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// What sleepers have written: who, and when.
type Book = Arc<Mutex<Vec<(u32, i64)>>>;

fn sleeper(clock: &Clock, book: &Book, who: u32, until_ms: i64) -> tokio::task::JoinHandle<()> {
    let (clock, book) = (clock.clone(), Arc::clone(book));
    tokio::spawn(async move {
        let _busy = clock.sleep_until_ms(until_ms).await;
        book.lock().unwrap().push((who, clock.now_ms()));
    })
}

fn read(book: &Book) -> Vec<(u32, i64)> {
    book.lock().unwrap().clone()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_real_clock_follows_the_wall_clock_when_that_is_set() {
    let (wall, set) = (Instant::now(), Arc::new(AtomicI64::new(0)));
    let clock = {
        let set = Arc::clone(&set);
        Clock::following(move || ms(wall.elapsed()) + set.load(Ordering::SeqCst))
    };
    let woken = tokio::spawn({
        let clock = clock.clone();
        async move {
            drop(clock.sleep_until_ms(3_600_000).await);
            clock.now_ms()
        }
    });
    tokio::time::sleep(seconds(5)).await;
    set.store(3_600_000, Ordering::SeqCst);
    let now_ms = woken.await.unwrap();
    assert!((3_600_000..3_600_000 + ms(CLOCK_LOOK) + 5000).contains(&now_ms), "{now_ms}");

    // Set back, it waits for as much longer.
    let until_ms = clock.now_ms() + 60_000;
    set.store(0, Ordering::SeqCst);
    drop(clock.sleep_until_ms(until_ms).await);
    assert!(clock.now_ms() >= until_ms && wall.elapsed() > seconds(3600));
}

#[tokio::test(start_paused = true)]
async fn a_time_that_is_slept_for_is_not_the_wall_clocks() {
    let set = Arc::new(AtomicI64::new(0));
    let clock = Clock::following({
        let set = Arc::clone(&set);
        move || set.load(Ordering::SeqCst)
    });
    let begin = Instant::now();
    drop(clock.sleep(seconds(90)).await);
    assert_eq!((begin.elapsed(), clock.uptime()), (seconds(90), seconds(90)));
    assert_eq!(clock.timeout(seconds(1), std::future::pending::<()>()).await, Err(Elapsed));
    assert_eq!(clock.timeout(seconds(1), async { 7 }).await, Ok(7));
    assert_eq!(clock.advance(seconds(1), PATIENCE).await, Err(NotAdvanced::Real));
}

#[tokio::test]
async fn a_manual_clock_stands_still_and_wakes_in_the_order_of_the_times() {
    let (clock, book) = (Clock::manual(1000), Book::default());
    for (who, until_ms) in [(1, 4000), (2, 2000), (3, 9000), (4, 2000), (5, 1000)] {
        drop(sleeper(&clock, &book, who, until_ms));
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&book), [(5, 1000)]);
    assert_eq!(clock.advance(seconds(3), PATIENCE).await, Ok(4000));
    assert_eq!(read(&book), [(5, 1000), (2, 2000), (4, 2000), (1, 4000)]);
    assert_eq!(clock.advance(seconds(5), PATIENCE).await, Ok(9000));
    assert_eq!(read(&book).last(), Some(&(3, 9000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_woken_one_sets_within_the_advance_is_due_in_it_too() {
    let (clock, book) = (Clock::manual(0), Book::default());
    let (ticking, ticks, mut busy) = (clock.clone(), Arc::clone(&book), clock.busy());
    tokio::spawn(async move {
        for n in 1.. {
            busy = ticking.rest_until_ms(busy, ticking.now_ms() + 60_000).await;
            ticks.lock().unwrap().push((n, ticking.now_ms()));
        }
    });
    assert_eq!(clock.advance(seconds(6 * 3600), PATIENCE).await, Ok(6 * 3_600_000));
    let expected: Vec<(u32, i64)> = (1..=360).map(|n| (n, i64::from(n) * 60_000)).collect();
    assert_eq!(read(&book), expected);
}

#[tokio::test]
async fn time_stands_still_while_somebody_is_busy() {
    let (clock, book) = (Clock::manual(0), Book::default());
    drop(sleeper(&clock, &book, 1, 5000));
    let busy = clock.busy();
    let advance = tokio::spawn({
        let clock = clock.clone();
        async move { clock.advance(seconds(5), PATIENCE).await }
    });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((clock.now_ms(), read(&book)), (0, vec![]));
    drop(busy);
    assert_eq!(advance.await.unwrap(), Ok(5000));
    assert_eq!(read(&book), [(1, 5000)]);
}

#[tokio::test(start_paused = true)]
async fn an_advance_that_cannot_go_on_says_where_it_is() {
    let clock = Clock::manual(0);
    let woken = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep_until_ms(2000).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(clock.advance(seconds(5), seconds(1)).await, Err(NotAdvanced::Busy { now_ms: 2000 }));
    drop(woken.await.unwrap());
    assert_eq!(clock.advance(seconds(5), seconds(1)).await, Ok(7000));
}

#[tokio::test]
async fn who_sleeps_no_more_is_not_waited_for() {
    let (clock, book) = (Clock::manual(0), Book::default());
    let gone = sleeper(&clock, &book, 1, 1000);
    drop(sleeper(&clock, &book, 2, 2000));
    tokio::task::yield_now().await;
    gone.abort();
    let _ = gone.await;
    assert_eq!(clock.advance(seconds(3), PATIENCE).await, Ok(3000));
    assert_eq!(read(&book), [(2, 2000)]);
    assert_eq!(clock.timeout(seconds(1), async { 7 }).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn uptime_goes_on_by_itself_and_by_advances() {
    let clock = Clock::manual(50);
    tokio::time::sleep(seconds(3)).await;
    let long = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep_until_uptime(seconds(3600)).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(clock.advance(seconds(10), PATIENCE).await, Ok(10_050));
    assert_eq!((clock.uptime(), long.is_finished()), (seconds(13), false));
    let advance = tokio::spawn({
        let clock = clock.clone();
        async move { clock.advance(seconds(7200), PATIENCE).await }
    });
    drop(long.await.unwrap());
    assert_eq!(advance.await.unwrap(), Ok(7_210_050));
    // Real time is enough.
    let until = clock.uptime() + seconds(20);
    drop(clock.sleep_until_uptime(until).await);
    assert_eq!((clock.uptime(), clock.now_ms()), (until, 7_210_050));
}

/// What happens to a clock in the property below.
#[derive(Clone, Debug)]
enum Deed {
    /// Sleeps so long, then again so long, as often as there are numbers.
    Sleep(Vec<u16>),
    /// The sleeper that came as that one goes away.
    Abort(usize),
    Advance(u16),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => proptest::collection::vec(0..500_u16, 1..5).prop_map(Deed::Sleep),
        1 => (0..20_usize).prop_map(Deed::Abort),
        3 => (0..800_u16).prop_map(Deed::Advance),
    ]
}

/// The same, as simply as can be: time goes millisecond by millisecond.
#[derive(Default)]
struct Model {
    now_ms: i64,
    /// When each is woken next, and what it sleeps afterwards.
    sleepers: Vec<(i64, Vec<u16>)>,
    book: Vec<(u32, i64)>,
}

impl Model {
    fn wake(&mut self) {
        for (who, (until_ms, rest)) in self.sleepers.iter_mut().enumerate() {
            while *until_ms <= self.now_ms {
                self.book.push((who as u32, self.now_ms));
                *until_ms = match rest.is_empty() {
                    true => i64::MAX,
                    false => self.now_ms + i64::from(rest.remove(0)),
                };
            }
        }
    }

    fn happen(&mut self, deed: &Deed) {
        match deed {
            Deed::Sleep(times) => self.sleepers.push((self.now_ms + i64::from(times[0]), times[1..].to_vec())),
            Deed::Abort(who) => {
                if let Some(sleeper) = self.sleepers.get_mut(*who) {
                    *sleeper = (i64::MAX, Vec::new());
                }
            }
            Deed::Advance(by_ms) => {
                for _ in 0..*by_ms {
                    self.now_ms += 1;
                    self.wake();
                }
            }
        }
        self.wake();
    }
}

async fn happen(deeds: &[Deed]) -> Vec<(u32, i64)> {
    let (clock, book, mut tasks) = (Clock::manual(0), Book::default(), Vec::new());
    for deed in deeds {
        match deed.clone() {
            Deed::Sleep(times) => {
                let (clock, book, who) = (clock.clone(), Arc::clone(&book), tasks.len() as u32);
                tasks.push(tokio::spawn(async move {
                    for time_ms in times {
                        let _busy = clock.sleep(Duration::from_millis(time_ms.into())).await;
                        book.lock().unwrap().push((who, clock.now_ms()));
                    }
                }));
            }
            Deed::Abort(who) => {
                if let Some(task) = tasks.get(who) {
                    task.abort();
                }
            }
            Deed::Advance(by_ms) => drop(clock.advance(Duration::from_millis(by_ms.into()), PATIENCE).await.unwrap()),
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    read(&book)
}

proptest! {
    /// Each is woken exactly when it is to be, by whatever steps time moves, and nothing is woken out of order.
    #[test]
    fn wakes_as_a_naive_model_does(deeds in proptest::collection::vec(deed(), 1..30)) {
        let mut model = Model::default();
        deeds.iter().for_each(|deed| model.happen(deed));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut woken = runtime.block_on(happen(&deeds));
        prop_assert!(woken.is_sorted_by_key(|(_, at_ms)| *at_ms));
        // Those of one time run at once; their order is nobody's promise.
        woken.sort_by_key(|(who, at_ms)| (*at_ms, *who));
        model.book.sort_by_key(|(who, at_ms)| (*at_ms, *who));
        prop_assert_eq!(woken, model.book);
    }
}
