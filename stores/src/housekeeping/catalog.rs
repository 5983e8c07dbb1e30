//! Whose data was seen, and of which nobody knows any more: in a file on the store pod's volume, so that
//! data is found again when its namespace and all objects in it are gone.

mod table;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

pub use self::table::Entry;
use self::table::Table;
use super::Duty;
use crate::StoreId;

/// How often it is written down that Stores are still there.
const SEEN_EVERY: Duration = Duration::from_secs(3600);
/// Longest wait for it to be written down that data is gone.
const FORGET: Duration = Duration::from_secs(2);

/// See the module. A file that cannot be used is no reason not to look after Stores: it is said once, and
/// tried again with the next change.
pub struct Catalog {
    path: PathBuf,
    table: Mutex<Option<Table>>,
    /// Stores without data whose rows are still there: the file could not be written.
    forgotten: Mutex<BTreeSet<StoreId>>,
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
            forgotten: Mutex::default(),
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
        self.remember(&all);
        self.note(move |table, now| table.all(&all, now)).await;
    }

    /// These Stores are there, or differ from before; those are not there any more.
    pub(super) async fn change(self: Arc<Self>, set: Vec<Duty>, removed: Vec<StoreId>) {
        self.remember(&set);
        self.note(move |table, now| table.change(&set, &removed, now))
            .await;
    }

    /// No data of this Store is left. What cannot be written down soon is written with a later change.
    pub(super) async fn forget(self: Arc<Self>, store: StoreId) {
        self.forgotten.lock().insert(store);
        // A disk that does not answer is no reason to keep those waiting who wait for the data to go.
        if timeout(FORGET, self.note(|_, _| Ok(()))).await.is_err() {
            tracing::warn!(%store, "it is not written down yet that the data of a store is gone");
        }
    }

    fn remember(&self, stores: &[Duty]) {
        let mut forgotten = self.forgotten.lock();
        for duty in stores {
            forgotten.remove(&duty.store);
        }
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
            this.write_forgotten(table)?;
            change(table, now())?;
            this.orphans.store(table.orphans()?, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = changed.await {
            tracing::warn!(%error, "whose data is where is not written down");
        }
    }

    fn write_forgotten(&self, table: &mut Table) -> rusqlite::Result<()> {
        let forgotten = self.forgotten.lock().clone();
        for store in forgotten {
            table.forget(store)?;
            self.forgotten.lock().remove(&store);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use shoal_protocol::v1;

    use super::*;

    #[tokio::test]
    async fn data_that_went_while_the_file_could_not_be_written_is_no_orphan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let catalog = Arc::new(Catalog::new(&path));
        let message = v1::Duty {
            store_id: StoreId::random().to_string(),
            ..v1::Duty::default()
        };
        let duty = Duty::read(message).unwrap();
        catalog.clone().all(vec![duty.clone()]).await;

        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        catalog.clone().forget(duty.store).await;
        assert_eq!(catalog.clone().entries().await.unwrap().len(), 1);
        other.execute_batch("COMMIT").unwrap();

        catalog.clone().all(Vec::new()).await;
        assert_eq!(catalog.clone().entries().await.unwrap(), []);
        assert_eq!(catalog.orphans(), 0);
        // One that is made again under its id is known again.
        catalog.clone().all(vec![duty]).await;
        assert_eq!(catalog.entries().await.unwrap().len(), 1);
    }
}
