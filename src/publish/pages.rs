//! The pages of one snapshot, in every form. A page is encoded before it is read if a read is
//! expected, otherwise at its first read.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

use super::Slot;
use super::reads::Reads;
use crate::encode::{Form, Format, Page};

/// Encodes a page in one form.
type Write = Box<dyn Fn(Form) -> Page + Send + Sync>;

/// The targets on a page, each with the end of its poll.
pub type ShownPolls = Vec<(Arc<Slot>, SystemTime)>;

/// One value for each form of a page.
#[derive(Debug, Default)]
struct ByForm<T> {
    text: T,
    text_compressed: T,
    openmetrics: T,
    openmetrics_compressed: T,
}

const FORMS: [Form; 4] = [
    form(Format::Text, false),
    form(Format::Text, true),
    form(Format::OpenMetrics, false),
    form(Format::OpenMetrics, true),
];

pub(super) const fn form(format: Format, is_compressed: bool) -> Form {
    Form {
        format,
        is_compressed,
    }
}

impl<T> ByForm<T> {
    const fn of(&self, form: Form) -> &T {
        match (form.format, form.is_compressed) {
            (Format::Text, false) => &self.text,
            (Format::Text, true) => &self.text_compressed,
            (Format::OpenMetrics, false) => &self.openmetrics,
            (Format::OpenMetrics, true) => &self.openmetrics_compressed,
        }
    }
}

/// The same samples in every form. Each form is encoded before or at its first read.
pub struct Pages {
    write: Write,
    written: ByForm<OnceLock<Page>>,
    /// Determined at the first read, because most pages are never read.
    pub(super) shown: LazyLock<ShownPolls, Box<dyn FnOnce() -> ShownPolls + Send>>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pages")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl Pages {
    /// Returns pages that `write` encodes, of the targets that `shown` returns.
    pub(super) fn new(
        write: impl Fn(Form) -> Page + Send + Sync + 'static,
        shown: impl FnOnce() -> ShownPolls + Send + 'static,
    ) -> Self {
        Self {
            write: Box::new(write),
            written: ByForm::default(),
            shown: LazyLock::new(Box::new(shown)),
        }
    }

    fn written(&self, form: Form) -> Option<&Page> {
        self.written.of(form).get()
    }
}

/// A page for a reader.
#[derive(Debug)]
pub enum Served {
    /// A page that is already encoded.
    Written(Page),
    /// A page in a form whose read was not expected now.
    Unwritten(Unwritten),
}

/// A page that is not encoded yet.
#[derive(Debug)]
pub struct Unwritten {
    pages: Arc<Pages>,
    form: Form,
}

impl Unwritten {
    /// Encodes the page unless another reader does. Blocks, for long with many targets.
    #[must_use]
    pub fn write(self) -> Page {
        let pages = &self.pages;
        let written = pages.written.of(self.form);
        written.get_or_init(|| (pages.write)(self.form)).clone()
    }
}

/// Readers of a page, by form. A page is encoded in advance only for expected reads.
#[derive(Debug, Default)]
pub(super) struct PageReaders(ByForm<Mutex<Reads>>);

impl PageReaders {
    fn reads(&self, form: Form) -> MutexGuard<'_, Reads> {
        let reads = self.0.of(form).lock();
        reads.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the page in a form, and records the read of this client.
    pub(super) fn page(&self, pages: Arc<Pages>, form: Form, client: u64) -> Served {
        self.reads(form).record(client, Instant::now().into_std());
        match pages.written(form) {
            Some(page) => Served::Written(page.clone()),
            None => Served::Unwritten(Unwritten { pages, form }),
        }
    }

    /// Returns the forms that are not encoded, with the time at which each must be ready.
    pub(super) fn unwritten(&self, pages: &Pages, now: Instant) -> Vec<(Form, Instant)> {
        let forms = FORMS.into_iter();
        let forms = forms.filter(|form| pages.written(*form).is_none());
        forms
            .filter_map(|form| {
                let from = self.reads(form).wanted_from(now.into_std())?;
                Some((form, from.into()))
            })
            .collect()
    }

    /// Returns the pages that will be read soon and are not encoded.
    pub(super) fn due(&self, pages: &Arc<Pages>, now: Instant) -> Vec<Unwritten> {
        let unwritten = self.unwritten(pages, now).into_iter();
        let due = unwritten.filter(|(_, from)| *from <= now);
        due.map(|(form, _)| Unwritten {
            pages: Arc::clone(pages),
            form,
        })
        .collect()
    }
}
