//! Whose data was seen, and of which nobody knows any more: in a file on the store pod's volume, so that
//! data is found again when its namespace and all objects in it are gone.

mod table;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::sleep;

pub use self::table::Entry;
use self::table::Table;
use super::Duty;
use crate::StoreId;

/// How often it is written down that Stores are still there.
const SEEN_EVERY: Duration = Duration::from_secs(3600);

/// See the module. A file that cannot be used is no reason not to look after Stores: it is said once, and
/// tried again with the next change.
pub struct Catalog {
    path: PathBuf,
    table: Mutex<Option<Table>>,
    orphans: AtomicU64,
}

/// The file cannot be used; what SQLite says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the catalog of stores {} cannot be used: {error}", path.display())]
pub struct CatalogError {
    path: PathBuf,
    error: String,
}

impl Catalog {
    /// The catalog in the file at `path`, which is made when there is something to write.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            table: Mutex::new(None),
            orphans: AtomicU64::new(0),
        }
    }

    /// All Stores that were ever seen and whose data was not removed, in the order of their ids.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn entries(self: Arc<Self>) -> Result<Vec<Entry>, CatalogError> {
        self.with(Table::entries).await
    }

    /// Stores whose data is kept although no object names them, after this id, in the order of their ids.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) async fn orphans_after(
        self: Arc<Self>,
        after: StoreId,
        most: u32,
    ) -> Result<Vec<Entry>, CatalogError> {
        self.with(move |table| table.orphans_after(after, most))
            .await
    }

    /// What is known of one Store, if its data was seen and not removed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) async fn entry(
        self: Arc<Self>,
        store: StoreId,
    ) -> Result<Option<Entry>, CatalogError> {
        self.with(move |table| table.entry(store)).await
    }

    /// How many Stores' data is kept although nobody knows them any more.
    pub(super) fn orphans(&self) -> u64 {
        self.orphans.load(Ordering::Relaxed)
    }

    /// These are all Stores that there are.
    pub(super) async fn all(self: Arc<Self>, all: Vec<Duty>) {
        self.note(move |table, now| table.all(&all, now)).await;
    }

    /// These Stores are there, or differ from before; those are not there any more.
    pub(super) async fn change(self: Arc<Self>, set: Vec<Duty>, removed: Vec<StoreId>) {
        self.note(move |table, now| table.change(&set, &removed, now))
            .await;
    }

    /// No data of this Store is left.
    pub(super) async fn forget(self: Arc<Self>, store: StoreId) {
        self.note(move |table, _| table.forget(store)).await;
    }

    /// Writes down now and then that Stores are still there.
    pub(super) async fn keep_seen(self: Arc<Self>) {
        loop {
            sleep(SEEN_EVERY).await;
            self.clone().note(Table::seen).await;
        }
    }

    /// Changes the table. What fails is told in the log: the next complete list mends it.
    async fn note(
        self: Arc<Self>,
        change: impl FnOnce(&mut Table, i64) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let this = self.clone();
        let changed = self.with(move |table| {
            change(table, now())?;
            this.orphans.store(table.orphans()?, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = changed.await {
            tracing::warn!(%error, "whose data is where is not written down");
        }
    }

    async fn with<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&mut Table) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut open = this.table.lock();
            let mut table = match open.take() {
                Some(table) => table,
                None => Table::open(&this.path)?,
            };
            let result = work(&mut table)?;
            // One that failed is opened anew.
            *open = Some(table);
            Ok::<_, rusqlite::Error>(result)
        });
        let failed = |error: String| CatalogError {
            path: self.path.clone(),
            error,
        };
        match done.await {
            Ok(result) => result.map_err(|error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
