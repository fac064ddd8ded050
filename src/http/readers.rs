//! Limits the memory of pages that slow clients are still reading.
//!
//! An old version of a page is only kept in memory for such clients.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::unpack::{Unpacking, text_len};

/// Maximum bytes of pages that are sent whole. They are not copied, and cannot be revoked.
const WHOLE_MAX: usize = 8 << 20;

/// Maximum bytes of other pages that are kept for clients, if pages are small.
const HELD_MAX: usize = 24 << 20;

/// Maximum number of versions of a large page that are kept for clients.
const VERSIONS_MAX: usize = 3;

/// Bytes that are copied at a time for a client whose page is not sent whole.
const CHUNK: usize = 32 << 10;

/// The pages that clients are reading. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readers(Arc<Mutex<Vec<Weak<Lease>>>>);

/// A page in use by one client, until the client has read it or the page is revoked.
#[derive(Debug)]
struct Lease {
    version: usize,
    len: usize,
    hold: Mutex<PageHold>,
}

/// How a page is kept in memory for a client.
#[derive(Debug)]
enum PageHold {
    /// The page is sent whole. The response keeps it.
    Whole,
    /// The client reads this page in chunks.
    Chunks(Bytes),
    /// The page is no longer kept, so the response is aborted.
    Revoked,
}

/// A page that is sent whole. It is in use until it is dropped, which is after the last byte was
/// sent.
struct WholePage {
    page: Bytes,
    _lease: Arc<Lease>,
}

impl AsRef<[u8]> for WholePage {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}

impl Readers {
    /// Returns a response body with this page. If too many bytes would be kept, responses with the
    /// oldest versions are aborted.
    pub(super) fn body(&self, page: Bytes) -> PageBody {
        let lease = self.lease(&page, true);
        if lease.is_whole() {
            let whole = WholePage {
                page,
                _lease: lease,
            };
            return PageBody::own(Bytes::from_owner(whole));
        }
        PageBody {
            len: lease.len,
            source: BodySource::Page(lease),
            sent: 0,
        }
    }

    /// Returns a response body with the text of this compressed page. The text is decompressed as the
    /// client reads it.
    pub(super) fn unpacked(&self, page: &Bytes) -> PageBody {
        let len = text_len(page);
        PageBody {
            len,
            source: BodySource::Packed(self.lease(page, false), Box::new(Unpacking::new())),
            sent: 0,
        }
    }

    /// Records that a client reads a page, which is sent whole if that is possible.
    fn lease(&self, page: &Bytes, may_be_whole: bool) -> Arc<Lease> {
        let mut leases = self.leases();
        leases.retain(|held| held.strong_count() > 0);
        let others: Vec<_> = leases.iter().filter_map(Weak::upgrade).collect();
        let (version, len) = (page.as_ptr().addr(), page.len());
        let hold = if may_be_whole && fits_whole(&others, version, len) {
            PageHold::Whole
        } else {
            make_room(&others, version, len);
            PageHold::Chunks(page.clone())
        };
        let lease = Arc::new(Lease {
            version,
            len,
            hold: Mutex::new(hold),
        });
        leases.push(Arc::downgrade(&lease));
        lease
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Weak<Lease>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a page can be sent whole beside the others that are.
fn fits_whole(leases: &[Arc<Lease>], version: usize, len: usize) -> bool {
    let whole = leases.iter().filter(|lease| lease.is_whole());
    bytes_with(whole, version, len) <= WHOLE_MAX
}

/// Revokes the oldest versions until there is room for a new one.
fn make_room(leases: &[Arc<Lease>], version: usize, len: usize) {
    let limit = HELD_MAX.max(len.saturating_mul(VERSIONS_MAX));
    loop {
        let held = leases.iter().filter(|lease| lease.is_held());
        if bytes_with(held.clone(), version, len) <= limit {
            return;
        }
        let mut old = held.filter(|lease| lease.version != version);
        let Some(oldest) = old.next().map(|lease| lease.version) else {
            return;
        };
        let same = leases.iter().filter(|lease| lease.version == oldest);
        same.for_each(|lease| lease.revoke());
    }
}

/// Returns the size of the distinct versions of these pages and of one more.
fn bytes_with<'a>(
    leases: impl Iterator<Item = &'a Arc<Lease>>,
    version: usize,
    len: usize,
) -> usize {
    let all = leases.map(|lease| (lease.version, lease.len));
    let versions: BTreeMap<_, _> = all.chain([(version, len)]).collect();
    versions.into_values().fold(0, usize::saturating_add)
}

impl Lease {
    fn hold(&self) -> MutexGuard<'_, PageHold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_whole(&self) -> bool {
        matches!(*self.hold(), PageHold::Whole)
    }

    fn is_held(&self) -> bool {
        matches!(*self.hold(), PageHold::Chunks(_))
    }

    /// Aborts the response, unless the page is sent whole.
    fn revoke(&self) {
        let mut hold = self.hold();
        if matches!(*hold, PageHold::Chunks(_)) {
            *hold = PageHold::Revoked;
        }
    }

    /// Passes the page on, if it was not revoked.
    fn read<T>(&self, read: impl FnOnce(&Bytes) -> io::Result<T>) -> io::Result<T> {
        match &*self.hold() {
            PageHold::Chunks(page) => read(page),
            PageHold::Whole | PageHold::Revoked => Err(revoked()),
        }
    }
}

/// A response body.
#[derive(Debug)]
pub(super) struct PageBody {
    source: BodySource,
    len: usize,
    sent: usize,
}

#[derive(Debug)]
enum BodySource {
    Own(Bytes),
    Page(Arc<Lease>),
    Packed(Arc<Lease>, Box<Unpacking>),
}

impl PageBody {
    /// Creates a body that no other response shares.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self {
            len: bytes.len(),
            source: BodySource::Own(bytes),
            sent: 0,
        }
    }

    /// Returns the next chunk.
    ///
    /// # Errors
    ///
    /// The page was revoked.
    fn next(&mut self) -> io::Result<Bytes> {
        let end = self.sent.saturating_add(CHUNK).min(self.len);
        match &mut self.source {
            BodySource::Own(bytes) => Ok(bytes.slice(self.sent..)),
            BodySource::Page(lease) => {
                let sent = self.sent;
                // A chunk that shares its bytes would keep the whole page in memory.
                lease.read(|page| {
                    let piece = page.get(sent..end);
                    Ok(Bytes::copy_from_slice(piece.ok_or_else(revoked)?))
                })
            }
            BodySource::Packed(lease, unpacking) => {
                let piece = lease.read(|page| unpacking.next(page, CHUNK))?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(piece.into())
            }
        }
    }
}

fn revoked() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client reads an old page too slowly",
    )
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.is_end_stream() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(this.next().map(|piece| {
            this.sent = this.sent.saturating_add(piece.len());
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.len
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len.saturating_sub(self.sent) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt as _;

    use super::*;

    /// Bytes that are counted while they are in memory.
    struct Counted(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn page(size: usize, alive: &Arc<AtomicUsize>) -> Bytes {
        alive.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Counted(vec![b'x'; size], Arc::clone(alive)))
    }

    #[tokio::test]
    async fn old_pages_are_limited_and_the_newest_is_read_fully() {
        let (readers, alive) = (Readers::default(), Arc::new(AtomicUsize::new(0)));
        let size = WHOLE_MAX + (1 << 20);
        let mut slow = Vec::new();
        for _ in 0..20 {
            let mut body = readers.body(page(size, &alive));
            // Each client reads one chunk and then stops.
            body.frame().await.unwrap().unwrap();
            slow.push(body);
        }
        let most = VERSIONS_MAX.max(HELD_MAX / size);
        assert_eq!(alive.load(Ordering::Relaxed), most);
        let oldest = slow.remove(0).collect().await;
        assert!(oldest.is_err());
        let newest = slow.pop().unwrap().collect().await.unwrap();
        assert_eq!(newest.to_bytes().len(), size - CHUNK);
        drop(slow);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn small_page_is_sent_whole_and_without_a_copy() {
        let (readers, alive) = (Readers::default(), Arc::new(AtomicUsize::new(0)));
        let page = page(300 << 10, &alive);
        let mut body = readers.body(page.clone());
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.as_ptr(), page.as_ptr());
        assert_eq!(piece.len(), page.len());
        // The page is in use until its bytes are dropped, not only until the body is.
        drop((body, page));
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        assert_eq!(readers.leases().iter().filter_map(Weak::upgrade).count(), 1);
        drop(piece);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert_eq!(readers.leases().iter().filter_map(Weak::upgrade).count(), 0);
    }

    #[tokio::test]
    async fn slow_readers_of_many_small_versions_are_limited() {
        let (readers, alive) = (Readers::default(), Arc::new(AtomicUsize::new(0)));
        let size = 512 << 10;
        let mut slow = Vec::new();
        for _ in 0..200 {
            let mut body = readers.body(page(size, &alive));
            let piece = body.frame().await.unwrap().unwrap();
            slow.push((body, piece));
        }
        assert_eq!(alive.load(Ordering::Relaxed), (WHOLE_MAX + HELD_MAX) / size);
        drop(slow);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert!(readers.body(page(size, &alive)).next().is_ok());
    }

    #[tokio::test]
    async fn many_readers_of_one_version_are_all_served() {
        let (readers, alive) = (Readers::default(), Arc::new(AtomicUsize::new(0)));
        let page = page(20 << 20, &alive);
        let all: Vec<_> = (0..100).map(|_| readers.body(page.clone())).collect();
        for body in all {
            assert_eq!(body.collect().await.unwrap().to_bytes().len(), page.len());
        }
    }
}
