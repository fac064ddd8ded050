//! Runs blocking work that may never return, such as resolving a name or reading a file on a mount
//! that hangs.
//!
//! Each kind of work has its own bounded set of threads, so that no kind waits for another. The
//! runtime's pool would be shared by all of them and unbounded.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout};

/// Maximum wait for a free thread. After it the last good result is used, if there is one.
const QUEUED_MAX: Duration = Duration::from_millis(200);

/// Time for which a first request may use its thread. Then it continues as slow work.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// Time for which a result that arrived too late is kept for the next request.
const KEPT: Duration = Duration::from_secs(60);

/// Time after which an unused result is dropped.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// A bounded set of threads for one kind of work.
#[derive(Debug)]
pub struct Lane {
    name: &'static str,
    free: Semaphore,
}

/// Why work produced no result.
pub enum Lost {
    /// The system could not start a thread.
    NoThread,
    /// The work panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

impl Lane {
    /// Creates a lane with at most this many threads. Threads exist only while there is work.
    #[must_use]
    pub const fn new(name: &'static str, threads: usize) -> Self {
        Self {
            name,
            free: Semaphore::const_new(threads),
        }
    }

    /// Runs the work on a thread as soon as one is free. The thread continues even if nobody waits
    /// for the result anymore.
    ///
    /// # Errors
    ///
    /// There was no thread, or the work panicked.
    pub async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        // The semaphore is never closed.
        let Ok(permit) = self.free.acquire().await else {
            return Err(Lost::NoThread);
        };
        ended(self.start(permit, work)?.await)
    }

    /// Runs the work like `run`, but moves slow work to the lane for it as soon as that has room.
    /// This frees its place here.
    async fn run_until_slow<T: Send + 'static>(
        &'static self,
        slow: &'static Self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let Ok(permit) = self.free.acquire().await else {
            return Err(Lost::NoThread);
        };
        let permit = Arc::new(Mutex::new(permit));
        let mut result = self.start(Arc::clone(&permit), work)?;
        if let Ok(result) = timeout(SLOW_AFTER, &mut result).await {
            return ended(result);
        }
        tokio::select! {
            result = &mut result => return ended(result),
            Ok(room) = slow.free.acquire() => {
                *permit.lock().unwrap_or_else(PoisonError::into_inner) = room;
            }
        }
        // From here on, only the thread holds its place.
        drop(permit);
        ended(result.await)
    }

    /// Starts the work, which keeps `place` until it ends.
    fn start<T: Send + 'static>(
        &self,
        place: impl Send + 'static,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Outcome<T>, Lost> {
        let (sender, receiver) = oneshot::channel();
        let thread = thread::Builder::new().name(self.name.to_owned());
        let started = thread.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            drop(place);
            // Nobody may be waiting anymore.
            let _ = sender.send(result);
        });
        started.map(|_| receiver).map_err(|_| Lost::NoThread)
    }
}

type Outcome<T> = oneshot::Receiver<thread::Result<T>>;

fn ended<T>(result: Result<thread::Result<T>, oneshot::error::RecvError>) -> Result<T, Lost> {
    match result {
        Ok(result) => result.map_err(Lost::Panicked),
        Err(_) => Err(Lost::NoThread),
    }
}

/// Maximum number of threads for each kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// For requests whose last result was good.
    pub proven: usize,
    /// For requests whose last result was bad.
    pub failed: usize,
    /// For first requests, until they turn out to be slow.
    pub new: usize,
    /// For first requests that turned out to be slow.
    pub slow: usize,
}

/// Runs requests. Those with the same key share one thread and its result.
///
/// Requests that have succeeded before have their own threads, so that requests that hang from the
/// start cannot use them up. First requests have their own threads too, so that requests that hang
/// repeatedly cannot use those up.
#[derive(Debug)]
pub struct SharedWork<V: 'static> {
    proven: Lane,
    failed: Lane,
    new: Lane,
    slow: Lane,
    fresh: Duration,
    requests: Mutex<BTreeMap<String, Request<V>>>,
}

#[derive(Debug)]
struct Request<V> {
    state: watch::Receiver<TaskState<V>>,
    /// The last good result before the current one.
    known: Option<V>,
    /// Whether anyone received the result.
    is_taken: bool,
    is_proven: bool,
    since: Instant,
}

#[derive(Clone, Debug)]
enum TaskState<V> {
    /// No thread is free.
    Queued,
    Running,
    Done(V, Instant),
}

impl<V> TaskState<V> {
    const fn result(&self) -> Option<(&V, Instant)> {
        match self {
            Self::Done(value, at) => Some((value, *at)),
            Self::Queued | Self::Running => None,
        }
    }
}

impl<V: Clone + Send + Sync> SharedWork<V> {
    /// Creates a set of requests whose results are shared for the duration `fresh`.
    #[must_use]
    pub const fn new(name: &'static str, threads: Threads, fresh: Duration) -> Self {
        Self {
            fresh,
            proven: Lane::new(name, threads.proven),
            failed: Lane::new(name, threads.failed),
            new: Lane::new(name, threads.new),
            slow: Lane::new(name, threads.slow),
            requests: Mutex::new(BTreeMap::new()),
        }
    }

    /// Returns the result for a key.
    ///
    /// `work` computes it unless a thread is already doing so. If a caller stops waiting, the next
    /// one gets the result. If no thread is free, returns the last good result. Returns `None` if
    /// the work was lost.
    pub async fn get(
        &'static self,
        key: &str,
        is_good: fn(&V) -> bool,
        work: impl FnOnce() -> V + Send + 'static,
    ) -> Option<V> {
        let (mut state, known) = self.receiver(key, is_good, work);
        if known.is_some() {
            let begun = state.wait_for(|state| !matches!(state, TaskState::Queued));
            if timeout(QUEUED_MAX, begun).await.is_err() {
                return known;
            }
        }
        let found = state.wait_for(|state| state.result().is_some());
        let found = found.await.ok()?.result()?.0.clone();
        if let Some(requests) = self.requests().get_mut(key) {
            requests.is_taken = true;
        }
        Some(found)
    }

    fn receiver(
        &'static self,
        key: &str,
        is_good: fn(&V) -> bool,
        work: impl FnOnce() -> V + Send + 'static,
    ) -> (watch::Receiver<TaskState<V>>, Option<V>) {
        let now = Instant::now();
        let mut all = self.requests();
        all.retain(|_, requests| requests.is_running() || now - requests.since < FORGET_AFTER);
        let before = all.get(key);
        if let Some(requests) =
            before.filter(|requests| requests.is_running() || requests.is_usable(now, self.fresh))
        {
            return (requests.state.clone(), requests.known.clone());
        }
        let known = before.and_then(|requests| requests.last_good(is_good));
        let is_proven = before.is_some_and(|requests| requests.is_good(is_good));
        let is_new = before.is_none();
        let (sender, state) = watch::channel(TaskState::Queued);
        let begun = sender.clone();
        tokio::spawn(async move {
            let work = move || {
                begun.send_replace(TaskState::Running);
                work()
            };
            let result = if is_new {
                self.new.run_until_slow(&self.slow, work).await
            } else if is_proven {
                self.proven.run(work).await
            } else {
                self.failed.run(work).await
            };
            if let Ok(value) = result {
                sender.send_replace(TaskState::Done(value, Instant::now()));
            }
        });
        let requests = Request {
            state: state.clone(),
            known: known.clone(),
            is_taken: false,
            is_proven,
            since: now,
        };
        all.insert(key.to_owned(), requests);
        (state, known)
    }

    fn requests(&self) -> MutexGuard<'_, BTreeMap<String, Request<V>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> Request<V> {
    /// Returns whether the work is running, or waiting for a thread.
    fn is_running(&self) -> bool {
        self.state.has_changed().is_ok() && self.state.borrow().result().is_none()
    }

    /// Returns whether one more caller may get the result.
    fn is_usable(&self, now: Instant, fresh: Duration) -> bool {
        let kept = if self.is_taken { fresh } else { KEPT };
        let state = self.state.borrow();
        state.result().is_some_and(|(_, at)| now - at < kept)
    }

    fn is_good(&self, is_good: fn(&V) -> bool) -> bool {
        let state = self.state.borrow();
        state
            .result()
            .map_or(self.is_proven, |(value, _)| is_good(value))
    }

    fn last_good(&self, is_good: fn(&V) -> bool) -> Option<V> {
        let state = self.state.borrow();
        let result = state.result().map(|(value, _)| value);
        let good = result.filter(|value| is_good(value)).cloned();
        good.or_else(|| self.known.clone())
    }
}

impl std::fmt::Debug for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::NoThread => "no thread could be started",
            Self::Panicked(_) => "it panicked",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const FRESH: Duration = Duration::from_millis(200);
    const SHORT: Duration = Duration::from_millis(100);

    const fn threads(proven: usize, others: usize) -> Threads {
        Threads {
            proven,
            failed: others,
            new: others,
            slow: others,
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "any result is passed like this"
    )]
    fn good(_: &u32) -> bool {
        true
    }

    #[tokio::test]
    async fn hanging_work_is_limited_to_its_lane() {
        static LANE: Lane = Lane::new("test", 2);
        static OTHER: Lane = Lane::new("test", 1);
        let running = Arc::new(AtomicUsize::new(0));
        let mut ends = Vec::new();
        for _ in 0..10 {
            let (end, wait) = mpsc::channel::<()>();
            let running = Arc::clone(&running);
            tokio::spawn(LANE.run(move || {
                running.fetch_add(1, Ordering::Relaxed);
                let _ = wait.recv();
            }));
            ends.push(end);
        }
        assert_eq!(timeout(SOON, OTHER.run(|| 5)).await.unwrap().unwrap(), 5);
        let two = async {
            while running.load(Ordering::Relaxed) < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, two).await.unwrap();
        assert!(timeout(SHORT, LANE.run(|| 5)).await.is_err());
        assert_eq!(running.load(Ordering::Relaxed), 2);
        ends.clear();
        assert_eq!(timeout(SOON, LANE.run(|| 5)).await.unwrap().unwrap(), 5);
    }

    #[tokio::test]
    async fn panic_only_ends_its_work() {
        static LANE: Lane = Lane::new("test", 1);
        let lost = LANE.run(|| panic!("a defect")).await;
        assert!(matches!(lost, Err(Lost::Panicked(_))));
        assert_eq!(LANE.run(|| 5).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn requests_of_a_key_share_one_result() {
        static SHARED: SharedWork<u32> = SharedWork::new("test", threads(1, 4), FRESH);
        let (end, wait) = mpsc::channel::<()>();
        let first = SHARED.get("a", good, move || {
            let _ = wait.recv();
            1
        });
        assert!(timeout(SHORT, first).await.is_err());
        let second = SHARED.get("a", good, || 2);
        assert!(timeout(SHORT, second).await.is_err());
        assert_eq!(SHARED.get("b", good, || 3).await, Some(3));
        drop(end);
        tokio::time::sleep(FRESH + SHORT).await;
        assert_eq!(SHARED.get("a", good, || 4).await, Some(1));
    }

    #[tokio::test]
    async fn last_good_result_is_used_without_a_free_thread() {
        static SHARED: SharedWork<u32> = SharedWork::new("test", threads(1, 1), Duration::ZERO);
        let mut ends = Vec::new();
        for key in ["a", "b", "c"] {
            assert_eq!(SHARED.get(key, good, || 1).await, Some(1));
        }
        for key in ["a", "b"] {
            let (end, wait) = mpsc::channel::<()>();
            let hang = move || {
                let _ = wait.recv();
                0
            };
            tokio::spawn(SHARED.get(key, good, hang));
            ends.push(end);
        }
        tokio::time::sleep(SHORT).await;
        let known = SHARED.get("c", good, || 2);
        assert_eq!(timeout(SOON, known).await.unwrap(), Some(1));
        ends.clear();
    }

    #[tokio::test]
    async fn new_hanging_requests_leave_threads_to_proven_ones() {
        static SHARED: SharedWork<u32> = SharedWork::new("test", threads(1, 2), FRESH);
        assert_eq!(SHARED.get("good", good, || 1).await, Some(1));
        let mut ends = Vec::new();
        for at in 0..20 {
            let (end, wait) = mpsc::channel::<()>();
            let key = format!("hangs{at}");
            tokio::spawn(async move {
                let hang = move || {
                    let _ = wait.recv();
                    0
                };
                SHARED.get(&key, good, hang).await
            });
            ends.push(end);
        }
        tokio::time::sleep(FRESH + SHORT).await;
        let again = SHARED.get("good", good, || 2);
        assert_eq!(timeout(SOON, again).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn hanging_requests_leave_threads_to_new_ones() {
        const HANGING: usize = 6;
        static SHARED: SharedWork<u32> = SharedWork::new(
            "test",
            Threads {
                proven: 1,
                failed: 1,
                new: 1,
                slow: HANGING,
            },
            Duration::ZERO,
        );
        let mut ends = Vec::new();
        let mut hang = |key: String| {
            let (end, wait) = mpsc::channel::<()>();
            ends.push(end);
            tokio::spawn(async move {
                let hang = move || {
                    let _ = wait.recv();
                    0
                };
                SHARED.get(&key, |result| *result > 0, hang).await
            });
        };
        // As at startup, with the healthy request last.
        for at in 0..HANGING {
            hang(format!("hangs{at}"));
        }
        tokio::task::yield_now().await;
        let healthy = SHARED.get("healthy", |result| *result > 0, || 1);
        assert_eq!(timeout(SOON, healthy).await.unwrap(), Some(1));
        // As after a reload: requests that failed before hang again.
        for at in 0..HANGING {
            let key = format!("fails{at}");
            let failed = SHARED.get(&key, |result| *result > 0, || 0);
            assert_eq!(timeout(SOON, failed).await.unwrap(), Some(0));
            hang(key);
        }
        tokio::task::yield_now().await;
        let added = SHARED.get("added", |result| *result > 0, || 1);
        assert_eq!(timeout(SOON, added).await.unwrap(), Some(1));
        ends.clear();
    }
}
