//! Checks the credentials of requests.
//!
//! Credentials are compared by keyed digests in constant time. The key belongs to this process, and
//! nothing is kept that could be sent again.
//!
//! A bcrypt hash takes a quarter of a second of a core. Therefore:
//! - The result of each hash is remembered as a digest.
//! - One hash is computed at a time.
//! - A pause follows a wrong password, so guessing costs at most half a core.
//! - Clients take equal turns, so guesses from elsewhere do not delay a scraper.
//! - For one client, repeated credentials come before new ones, and earlier ones before later ones.
//!   A right password waits for those before it, never for later guesses.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use ring::rand::SystemRandom;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::turns::{Rank, Turn, Turns};
use crate::config::Secret;
use crate::threads::Lane;

/// One thread for the current configuration, one for the previous one.
static HASHES: Lane = Lane::new("hash", 2);

/// Longest wait for the turn of a hash. It is shorter than the time limit of a request.
const TURN_TIME: Duration = Duration::from_secs(5);

/// Number of remembered credentials of each kind (seen, wrong).
const REMEMBERED: usize = 16 << 10;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The decision about the credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Granted,
    /// The credentials are missing or wrong.
    Refused,
    /// Too many other credentials are waiting for a check.
    Busy,
}

/// The expected credentials. `Debug` is missing on purpose: they must never be printed.
pub(super) struct Access {
    key: Key,
    expected: Expected,
}

enum Expected {
    /// Digest of `user:password`.
    Known(Tag),
    Hashed(Arc<Hashed>),
}

struct Hashed {
    /// Digest of the user name.
    username: Tag,
    hash: Secret,
    /// Digest of the `user:password` that was accepted last.
    right: Mutex<Option<Tag>>,
    wrong: Mutex<RecentDigests>,
    seen: Mutex<RecentDigests>,
    turns: Turns,
}

/// Digests of the most recent credentials of one kind. The oldest are dropped.
#[derive(Default)]
struct RecentDigests {
    /// Each digest with the number of digests that came before it.
    all: HashMap<Short, u64>,
    order: VecDeque<Short>,
    count: u64,
}

/// The part of a digest that is enough to distinguish credentials.
type Short = [u8; 16];

impl RecentDigests {
    /// Returns whether the digest is new, and how many came before it.
    fn insert(&mut self, digest: Short) -> Rank {
        if let Some(before) = self.all.get(&digest) {
            return (false, *before);
        }
        let before = self.count;
        self.count += 1;
        self.all.insert(digest, before);
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        (true, before)
    }
}

/// The system has no random numbers for the key of digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the system has no random numbers")]
pub struct NoRandomNumbers;

impl Access {
    /// Expects this password.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(super) fn known(username: &str, password: &str) -> Result<Self, NoRandomNumbers> {
        let key = fresh_key()?;
        let both = format!("{username}:{password}");
        let expected = Expected::Known(hmac::sign(&key, both.as_bytes()));
        Ok(Self { key, expected })
    }

    /// Expects the password of this bcrypt hash.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(super) fn hashed(username: &str, hash: &Secret) -> Result<Self, NoRandomNumbers> {
        let key = fresh_key()?;
        let expected = Expected::Hashed(Arc::new(Hashed {
            username: hmac::sign(&key, username.as_bytes()),
            hash: hash.clone(),
            right: Mutex::new(None),
            wrong: Mutex::default(),
            seen: Mutex::default(),
            turns: Turns::default(),
        }));
        Ok(Self { key, expected })
    }

    /// Checks the credentials of a request.
    pub(super) async fn admit(&self, client: IpAddr, headers: &HeaderMap) -> Admission {
        let Some(sent) = credentials(headers) else {
            return Admission::Refused;
        };
        match &self.expected {
            Expected::Known(tag) => granted(self.is(&sent, tag)),
            Expected::Hashed(hashed) => self.admit_hashed(hashed, client, &sent).await,
        }
    }

    async fn admit_hashed(&self, hashed: &Arc<Hashed>, client: IpAddr, sent: &[u8]) -> Admission {
        if self.was_right(hashed, sent) {
            return Admission::Granted;
        }
        let digest = self.short(sent);
        if locked(&hashed.wrong).all.contains_key(&digest) {
            return Admission::Refused;
        }
        let rank = locked(&hashed.seen).insert(digest);
        let turn = timeout(TURN_TIME, hashed.turns.wait(client, rank)).await;
        let Ok(Some(turn)) = turn else {
            return Admission::Busy;
        };
        // Many scrapes arrive at once after a start. The first one has settled it for all.
        if self.was_right(hashed, sent) {
            return Admission::Granted;
        }
        let (name, password) = split(sent);
        let is_name = self.is(name, &hashed.username);
        // The hash is computed for a wrong name too, so that the response time does not reveal
        // names.
        let right = is_name.then(|| hmac::sign(&self.key, sent));
        let hashed = Arc::clone(hashed);
        match verify(password.to_vec(), hashed, right, digest, turn).await {
            Some(is_right) => granted(is_right),
            None => Admission::Busy,
        }
    }

    fn was_right(&self, hashed: &Hashed, sent: &[u8]) -> bool {
        let right = *locked(&hashed.right);
        right.is_some_and(|tag| self.is(sent, &tag))
    }

    fn short(&self, sent: &[u8]) -> Short {
        let mut short = Short::default();
        let tag = hmac::sign(&self.key, sent);
        for (to, from) in short.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        short
    }

    /// Compares in constant time.
    fn is(&self, text: &[u8], tag: &Tag) -> bool {
        hmac::verify(&self.key, text, tag.as_ref()).is_ok()
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fresh_key() -> Result<Key, NoRandomNumbers> {
    Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| NoRandomNumbers)
}

fn granted(is_right: bool) -> Admission {
    if is_right {
        Admission::Granted
    } else {
        Admission::Refused
    }
}

/// Verifies a password against the hash. Returns `None` if the work was lost.
///
/// The work continues and its result is remembered even if the client disconnects. It keeps the
/// turn, and after a wrong password pauses for as long as the hash took. `right` is the digest to
/// remember if the password is right, `None` if the user name is wrong.
async fn verify(
    password: Vec<u8>,
    hashed: Arc<Hashed>,
    right: Option<Tag>,
    digest: Short,
    turn: Turn,
) -> Option<bool> {
    let (sender, receiver) = oneshot::channel();
    let work = HASHES.run(move || {
        let begin = Instant::now();
        let is_password = bcrypt::verify(password, hashed.hash.expose()).unwrap_or(false);
        let right = right.filter(|_| is_password);
        match right {
            Some(_) => *locked(&hashed.right) = right,
            None => {
                locked(&hashed.wrong).insert(digest);
            }
        }
        (right.is_some(), begin.elapsed())
    });
    tokio::spawn(async move {
        let Ok((is_right, took)) = work.await else {
            return;
        };
        // The client may have disconnected.
        let _ = sender.send(is_right);
        if !is_right {
            sleep(took).await;
        }
        drop(turn);
    });
    receiver.await.ok()
}

/// Returns the `user:password` of a request.
pub(crate) fn credentials(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let end = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, encoded) = value.split_at_checked(end)?;
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    BASE64.decode(encoded.trim_ascii()).ok()
}

/// Splits at the first colon: a password may contain colons.
fn split(sent: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = sent.splitn(2, |byte| *byte == b':');
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use tokio::task::JoinSet;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn request(scheme: &str, sent: &[u8]) -> HeaderMap {
        let value = format!("{scheme} {}", BASE64.encode(sent));
        let value = HeaderValue::from_str(&value).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    fn hashed(password: &str, cost: u32) -> Access {
        let hash = bcrypt::hash(password, cost).unwrap();
        Access::hashed("user", &Secret::new(hash)).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_name_with_the_right_password_is_granted() {
        for access in [
            Access::known("user", "pass:word").unwrap(),
            hashed("pass:word", 4),
        ] {
            // The second time, the remembered digest is used.
            for _ in 0..2 {
                for (sent, expected) in [
                    (&b"user:pass:word"[..], Admission::Granted),
                    (b"user:pass:wor", Admission::Refused),
                    (b"user:pass", Admission::Refused),
                    (b"User:pass:word", Admission::Refused),
                    (b":pass:word", Admission::Refused),
                    (b"user:", Admission::Refused),
                    (b"user", Admission::Refused),
                    (b"", Admission::Refused),
                    (b"\xff\x00:\xff", Admission::Refused),
                ] {
                    assert_eq!(
                        access.admit(CLIENT, &request("Basic", sent)).await,
                        expected
                    );
                }
            }
            let lower = request("bAsIc", b"user:pass:word");
            assert_eq!(access.admit(CLIENT, &lower).await, Admission::Granted);
            let other = request("Bearer", b"user:pass:word");
            assert_eq!(access.admit(CLIENT, &other).await, Admission::Refused);
            assert_eq!(
                access.admit(CLIENT, &HeaderMap::new()).await,
                Admission::Refused
            );
        }
    }

    /// Hashes as crypt(3) of libxcrypt writes them.
    #[tokio::test]
    async fn hashes_of_other_programs_are_accepted() {
        for hash in [
            "$2a$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
            "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
            "$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
        ] {
            let access = Access::hashed("user", &Secret::new(hash)).unwrap();
            let right = request("Basic", b"user:hunter2");
            assert_eq!(
                access.admit(CLIENT, &right).await,
                Admission::Granted,
                "{hash}"
            );
        }
    }

    #[tokio::test]
    async fn a_right_password_is_hashed_once() {
        let access = hashed("right", 9);
        let right = request("Basic", b"user:right");
        let first = Instant::now();
        assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
        let first = first.elapsed();
        let later = Instant::now();
        for _ in 0..10 {
            assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
        }
        assert!(later.elapsed() < first / 2, "{:?}", later.elapsed());
    }

    #[tokio::test]
    async fn accepted_client_does_not_wait_for_guesses() {
        let access = Arc::new(hashed("right", 8));
        let right = request("Basic", b"user:right");
        assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
        let guesses: Vec<_> = (0..20)
            .map(|at| {
                let access = Arc::clone(&access);
                let wrong = request("Basic", format!("user:{at}").as_bytes());
                tokio::spawn(async move { access.admit(CLIENT, &wrong).await })
            })
            .collect();
        sleep(Duration::from_millis(1)).await;
        let begin = Instant::now();
        assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
        assert!(begin.elapsed() < Duration::from_millis(500));
        guesses.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn one_guess_is_checked_at_a_time_with_a_pause_after() {
        let guess = |guess: &str| request("Basic", format!("user:{guess}").as_bytes());
        // On a busy machine, one check may take longer than the hash, but never less.
        let mut one = Duration::MAX;
        for _ in 0..5 {
            let access = hashed("right", 7);
            let begin = Instant::now();
            assert_eq!(access.admit(CLIENT, &guess("a")).await, Admission::Refused);
            one = one.min(begin.elapsed());
        }
        let access = hashed("right", 7);
        assert_eq!(access.admit(CLIENT, &guess("a")).await, Admission::Refused);
        let begin = Instant::now();
        let (b, c, d) = (guess("b"), guess("c"), guess("d"));
        let more = tokio::join!(
            access.admit(CLIENT, &b),
            access.admit(CLIENT, &c),
            access.admit(CLIENT, &d)
        );
        assert_eq!(
            more,
            (Admission::Refused, Admission::Refused, Admission::Refused)
        );
        // Three times the work, with a pause before each.
        assert!(
            begin.elapsed() * 2 > one * 7,
            "{one:?} {:?}",
            begin.elapsed()
        );
    }

    #[tokio::test]
    async fn the_same_wrong_password_is_hashed_once() {
        let access = hashed("right", 9);
        let wrong = request("Basic", b"user:wrong");
        let begin = Instant::now();
        assert_eq!(access.admit(CLIENT, &wrong).await, Admission::Refused);
        let first = begin.elapsed();
        let begin = Instant::now();
        for _ in 0..10 {
            assert_eq!(access.admit(CLIENT, &wrong).await, Admission::Refused);
        }
        assert!(begin.elapsed() < first / 2, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn right_password_succeeds_on_its_second_request() {
        let access = Arc::new(hashed("right", 8));
        let guesses: Vec<_> = (0..200)
            .map(|at| {
                let access = Arc::clone(&access);
                let wrong = request("Basic", format!("user:{at}").as_bytes());
                tokio::spawn(async move { access.admit(CLIENT, &wrong).await })
            })
            .collect();
        sleep(Duration::from_millis(1)).await;
        let right = request("Basic", b"user:right");
        // It waits behind all guesses, and the scraper gives up.
        let first = timeout(Duration::from_millis(50), access.admit(CLIENT, &right)).await;
        assert!(first.is_err(), "{first:?}");
        assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
        assert!(guesses.iter().any(|guess| !guess.is_finished()));
        assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
        guesses.iter().for_each(tokio::task::JoinHandle::abort);
    }

    /// Starts tasks of one client that try one guess after the other. Each task repeats a guess
    /// until it is checked, with a timeout shorter than a turn.
    fn guess_and_repeat(access: &Arc<Access>, client: IpAddr, tasks: usize) -> JoinSet<()> {
        let mut guesses = JoinSet::new();
        for task in 0..tasks {
            let access = Arc::clone(access);
            guesses.spawn(async move {
                for at in 0.. {
                    let wrong = request("Basic", format!("user:{task} {at}").as_bytes());
                    let patience = Duration::from_millis(20);
                    while timeout(patience, access.admit(client, &wrong))
                        .await
                        .is_err()
                    {}
                }
            });
        }
        guesses
    }

    #[tokio::test]
    async fn guesses_elsewhere_do_not_delay_a_client() {
        let access = Arc::new(hashed("right", 10));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        let _guesses = guess_and_repeat(&access, elsewhere, 200);
        sleep(Duration::from_millis(100)).await;
        let right = request("Basic", b"user:right");
        assert_eq!(access.admit(CLIENT, &right).await, Admission::Granted);
    }

    #[tokio::test]
    async fn later_guesses_of_a_client_do_not_delay_it() {
        let access = Arc::new(hashed("right", 6));
        let _guesses = guess_and_repeat(&access, CLIENT, 40);
        sleep(Duration::from_millis(50)).await;
        let right = request("Basic", b"user:right");
        let patience = Duration::from_millis(20);
        let granted = async {
            while timeout(patience, access.admit(CLIENT, &right)).await != Ok(Admission::Granted) {}
        };
        assert!(timeout(Duration::from_secs(60), granted).await.is_ok());
    }

    #[test]
    fn remembered_digests_are_limited() {
        let mut recent = RecentDigests::default();
        for at in 0..(REMEMBERED as u64 + 10) {
            let mut digest = Short::default();
            digest[..8].copy_from_slice(&at.to_le_bytes());
            assert_eq!(recent.insert(digest), (true, at));
            assert_eq!(recent.insert(digest), (false, at));
        }
        assert_eq!(recent.all.len(), REMEMBERED);
        assert!(!recent.all.contains_key(&Short::default()));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(value in proptest::collection::vec(32_u8..=255, 0..60)) {
            let value = HeaderValue::from_bytes(&value);
            prop_assume!(value.is_ok());
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.unwrap())]);
            let _ = credentials(&headers);
        }

        #[test]
        fn encoded_credentials_can_be_decoded(sent: Vec<u8>) {
            prop_assert_eq!(credentials(&request("Basic", &sent)), Some(sent));
        }
    }
}
