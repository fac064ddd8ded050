//! Whether the credentials of a request are the right ones. It knows no routes.
//!
//! Credentials are compared by keyed digests under a key of this process: in constant time, and
//! with nothing kept that could be sent again. A bcrypt hash takes a quarter of a second of a
//! core, so what it has admitted or refused is remembered as such a digest, one hash is worked on at
//! a time, and a wrong password is followed by a rest: guessing costs half a core at the most.
//! Peers have turns alike, so that guesses from elsewhere hold no scraper back. Of one peer, what
//! comes back is ahead of what is new, and what came earlier of what came later: a right password
//! waits for those before it, and never for the next guesses.

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
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::turns::{Rank, Turn, Turns};
use crate::config::Secret;
use crate::threads::Lane;

/// One, and one of an earlier configuration.
static HASHES: Lane = Lane::new("hash", 2);

/// Longest wait for the turn of a hash; shorter than the time that a request may take.
const TURN_TIME: Duration = Duration::from_secs(5);

/// Credentials of which it is remembered that they came, or were wrong.
const REMEMBERED: usize = 16 << 10;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What became of a request's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Granted,
    /// They are missing or wrong.
    Refused,
    /// Too many others are being looked at.
    Busy,
}

/// The credentials that are asked for. There is no Debug: nothing of them may be printed.
pub(super) struct Access {
    key: Key,
    expected: Expected,
}

enum Expected {
    /// The digest of `user:password`.
    Known(Tag),
    Hashed(Arc<Hashed>),
}

struct Hashed {
    /// The digest of the user's name.
    username: Tag,
    hash: Secret,
    /// The digest of the `user:password` that was right last.
    right: Mutex<Option<Tag>>,
    wrong: Mutex<Recent>,
    seen: Mutex<Recent>,
    turns: Turns,
}

/// Digests of the last credentials of one kind. The oldest are forgotten.
#[derive(Default)]
struct Recent {
    /// Each with how many came before it.
    all: HashMap<Short, u64>,
    order: VecDeque<Short>,
    count: u64,
}

/// As much of a digest as tells credentials apart.
type Short = [u8; 16];

impl Recent {
    /// Whether it was new, and how many came before it.
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

impl Access {
    /// Asks for this password.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(super) fn known(username: &str, password: &str) -> Result<Self, String> {
        let key = fresh_key()?;
        let both = format!("{username}:{password}");
        let expected = Expected::Known(hmac::sign(&key, both.as_bytes()));
        Ok(Self { key, expected })
    }

    /// Asks for the password of this bcrypt hash.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(super) fn hashed(username: &str, hash: &Secret) -> Result<Self, String> {
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

    /// Looks at the credentials of a request of this peer.
    pub(super) async fn admit(&self, peer: IpAddr, headers: &HeaderMap) -> Admission {
        let Some(sent) = credentials(headers) else {
            return Admission::Refused;
        };
        match &self.expected {
            Expected::Known(tag) => granted(self.is(&sent, tag)),
            Expected::Hashed(hashed) => self.admit_hashed(hashed, peer, &sent).await,
        }
    }

    async fn admit_hashed(&self, hashed: &Arc<Hashed>, peer: IpAddr, sent: &[u8]) -> Admission {
        if self.was_right(hashed, sent) {
            return Admission::Granted;
        }
        let digest = self.short(sent);
        if locked(&hashed.wrong).all.contains_key(&digest) {
            return Admission::Refused;
        }
        let rank = locked(&hashed.seen).insert(digest);
        let turn = timeout(TURN_TIME, hashed.turns.wait(peer, rank)).await;
        let Ok(Some(turn)) = turn else {
            return Admission::Busy;
        };
        // Many scrapes come at once after a start, and the first of them has said it for all.
        if self.was_right(hashed, sent) {
            return Admission::Granted;
        }
        let (name, password) = split(sent);
        let is_name = self.is(name, &hashed.username);
        // The hash is worked on for a wrong name too: an answer's time tells no names.
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

    /// In constant time.
    fn is(&self, text: &[u8], tag: &Tag) -> bool {
        hmac::verify(&self.key, text, tag.as_ref()).is_ok()
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fresh_key() -> Result<Key, String> {
    Key::generate(HMAC_SHA256, &SystemRandom::new())
        .map_err(|_| "the system has no random numbers".to_owned())
}

fn granted(is_right: bool) -> Admission {
    if is_right {
        Admission::Granted
    } else {
        Admission::Refused
    }
}

/// The turn goes with the work, which goes on when the client hangs up and is remembered even then,
/// and rests as long again where the password was wrong. `right` is remembered if it is the right
/// one; there is none where the name is wrong. None if the work was lost.
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
        // Nobody may be waiting any more.
        let _ = sender.send(is_right);
        if !is_right {
            sleep(took).await;
        }
        drop(turn);
    });
    receiver.await.ok()
}

/// The `user:password` that a request brings.
fn credentials(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let end = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, encoded) = value.split_at_checked(end)?;
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    BASE64.decode(encoded.trim_ascii()).ok()
}

/// The name of the user and the password, which may hold colons.
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

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

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
            // The second time round a digest answers for the hash.
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
                    assert_eq!(access.admit(PEER, &request("Basic", sent)).await, expected);
                }
            }
            let lower = request("bAsIc", b"user:pass:word");
            assert_eq!(access.admit(PEER, &lower).await, Admission::Granted);
            let other = request("Bearer", b"user:pass:word");
            assert_eq!(access.admit(PEER, &other).await, Admission::Refused);
            assert_eq!(
                access.admit(PEER, &HeaderMap::new()).await,
                Admission::Refused
            );
        }
    }

    /// As crypt(3) of libxcrypt makes them.
    #[tokio::test]
    async fn hashes_of_other_programs_are_understood() {
        for hash in [
            "$2a$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
            "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
            "$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm",
        ] {
            let access = Access::hashed("user", &Secret::new(hash)).unwrap();
            let right = request("Basic", b"user:hunter2");
            assert_eq!(
                access.admit(PEER, &right).await,
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
        assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
        let first = first.elapsed();
        let later = Instant::now();
        for _ in 0..10 {
            assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
        }
        assert!(later.elapsed() < first / 2, "{:?}", later.elapsed());
    }

    #[tokio::test]
    async fn who_was_right_once_does_not_wait_for_those_who_guess() {
        let access = Arc::new(hashed("right", 8));
        let right = request("Basic", b"user:right");
        assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
        let guesses: Vec<_> = (0..20)
            .map(|at| {
                let access = Arc::clone(&access);
                let wrong = request("Basic", format!("user:{at}").as_bytes());
                tokio::spawn(async move { access.admit(PEER, &wrong).await })
            })
            .collect();
        sleep(Duration::from_millis(1)).await;
        let begin = Instant::now();
        assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
        assert!(begin.elapsed() < Duration::from_millis(500));
        guesses.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn one_guess_is_worked_on_at_a_time_and_a_rest_follows() {
        let guess = |guess: &str| request("Basic", format!("user:{guess}").as_bytes());
        // A busy machine makes one check longer than it is; none is shorter than the work takes.
        let mut one = Duration::MAX;
        for _ in 0..5 {
            let access = hashed("right", 7);
            let begin = Instant::now();
            assert_eq!(access.admit(PEER, &guess("a")).await, Admission::Refused);
            one = one.min(begin.elapsed());
        }
        let access = hashed("right", 7);
        assert_eq!(access.admit(PEER, &guess("a")).await, Admission::Refused);
        let begin = Instant::now();
        let (b, c, d) = (guess("b"), guess("c"), guess("d"));
        let more = tokio::join!(
            access.admit(PEER, &b),
            access.admit(PEER, &c),
            access.admit(PEER, &d)
        );
        assert_eq!(
            more,
            (Admission::Refused, Admission::Refused, Admission::Refused)
        );
        // Three times the work, and a rest before each.
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
        assert_eq!(access.admit(PEER, &wrong).await, Admission::Refused);
        let first = begin.elapsed();
        let begin = Instant::now();
        for _ in 0..10 {
            assert_eq!(access.admit(PEER, &wrong).await, Admission::Refused);
        }
        assert!(begin.elapsed() < first / 2, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn the_right_password_gets_in_at_its_second_request_however_many_guess() {
        let access = Arc::new(hashed("right", 8));
        let guesses: Vec<_> = (0..200)
            .map(|at| {
                let access = Arc::clone(&access);
                let wrong = request("Basic", format!("user:{at}").as_bytes());
                tokio::spawn(async move { access.admit(PEER, &wrong).await })
            })
            .collect();
        sleep(Duration::from_millis(1)).await;
        let right = request("Basic", b"user:right");
        // It stands behind all guesses, and the scraper gives up.
        let first = timeout(Duration::from_millis(50), access.admit(PEER, &right)).await;
        assert!(first.is_err(), "{first:?}");
        assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
        assert!(guesses.iter().any(|guess| !guess.is_finished()));
        assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
        guesses.iter().for_each(tokio::task::JoinHandle::abort);
    }

    /// Tasks of one peer that try one guess after the other. Each repeats one until it is looked at,
    /// with less patience than a turn takes.
    fn guess_and_repeat(access: &Arc<Access>, peer: IpAddr, tasks: usize) -> JoinSet<()> {
        let mut guesses = JoinSet::new();
        for task in 0..tasks {
            let access = Arc::clone(access);
            guesses.spawn(async move {
                for at in 0.. {
                    let wrong = request("Basic", format!("user:{task} {at}").as_bytes());
                    let patience = Duration::from_millis(20);
                    while timeout(patience, access.admit(peer, &wrong)).await.is_err() {}
                }
            });
        }
        guesses
    }

    #[tokio::test]
    async fn guesses_that_are_repeated_elsewhere_hold_no_peer_back() {
        let access = Arc::new(hashed("right", 10));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        let _guesses = guess_and_repeat(&access, elsewhere, 200);
        sleep(Duration::from_millis(100)).await;
        let right = request("Basic", b"user:right");
        assert_eq!(access.admit(PEER, &right).await, Admission::Granted);
    }

    #[tokio::test]
    async fn guesses_of_the_same_peer_that_come_later_hold_nobody_back() {
        let access = Arc::new(hashed("right", 6));
        let _guesses = guess_and_repeat(&access, PEER, 40);
        sleep(Duration::from_millis(50)).await;
        let right = request("Basic", b"user:right");
        let patience = Duration::from_millis(20);
        let granted = async {
            while timeout(patience, access.admit(PEER, &right)).await != Ok(Admission::Granted) {}
        };
        assert!(timeout(Duration::from_mins(1), granted).await.is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
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
        fn what_was_encoded_is_what_is_read(sent: Vec<u8>) {
            prop_assert_eq!(credentials(&request("Basic", &sent)), Some(sent));
        }
    }
}
