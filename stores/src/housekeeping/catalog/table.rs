//! The table of the catalog.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::{StoreId, housekeeping::Duty};

/// A copy of the file may be in the making.
const BUSY: Duration = Duration::from_secs(2);

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS stores (
        id BLOB PRIMARY KEY CHECK (length(id) = 16),
        class TEXT NOT NULL,
        namespace TEXT NOT NULL,
        app TEXT NOT NULL,
        label TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        orphan_since INTEGER,
        interface TEXT NOT NULL DEFAULT 'KeyValue'
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS orphans ON stores (orphan_since) WHERE orphan_since IS NOT NULL;
    CREATE TEMP TABLE named (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;";

/// For a file of the time when there was no other interface.
const INTERFACE: &str = "ALTER TABLE stores ADD COLUMN interface TEXT NOT NULL DEFAULT 'KeyValue'";

const COLUMNS: &str =
    "id, class, namespace, app, label, interface, first_seen, last_seen, orphan_since";

/// A Store whose data was seen. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub store: StoreId,
    /// Name of its StoreClass.
    pub class: String,
    /// Namespace of the Store.
    pub namespace: String,
    /// The App that it was made for.
    pub app: String,
    /// The label that guests opened.
    pub label: String,
    /// What they reached it through: `KeyValue`.
    pub interface: String,
    /// When it was first seen.
    pub first_seen: i64,
    /// When it was last seen, to the hour.
    pub last_seen: i64,
    /// Since when no Store object names it; `None`: one does.
    pub orphan_since: Option<i64>,
}

pub(super) struct Table {
    connection: Connection,
}

impl Table {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        // It has to come before SQLite's first use in the process.
        crate::sql::embedded::memory::install();
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLE)?;
        if !connection.column_exists(None::<&str>, "stores", "interface")? {
            connection.execute_batch(INTERFACE)?;
        }
        Ok(Self { connection })
    }

    /// These are all that there are: others are orphans.
    pub(super) fn all(&mut self, all: &[Duty], now: i64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM named", [])?;
        {
            let mut name = transaction.prepare("INSERT OR IGNORE INTO named VALUES (?)")?;
            for duty in all {
                name.execute(params![duty.store.as_bytes()])?;
            }
        }
        set(&transaction, all, now)?;
        transaction.execute(
            "UPDATE stores SET orphan_since = ? \
             WHERE orphan_since IS NULL AND id NOT IN (SELECT id FROM named)",
            params![now],
        )?;
        transaction.execute("DELETE FROM named", [])?;
        transaction.commit()?;
        self.seen(now)
    }

    /// These are there; those are not any more.
    pub(super) fn change(
        &mut self,
        duties: &[Duty],
        removed: &[StoreId],
        now: i64,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        set(&transaction, duties, now)?;
        for store in removed {
            transaction.execute(
                "UPDATE stores SET orphan_since = ?1, last_seen = ?1 \
                 WHERE id = ?2 AND orphan_since IS NULL",
                params![now, store.as_bytes()],
            )?;
        }
        transaction.commit()
    }

    /// No data of it is left.
    pub(super) fn forget(&mut self, store: StoreId) -> rusqlite::Result<()> {
        self.connection
            .execute("DELETE FROM stores WHERE id = ?", params![store.as_bytes()])?;
        Ok(())
    }

    /// Those that are no orphans are still there.
    pub(super) fn seen(&mut self, now: i64) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE stores SET last_seen = ? WHERE orphan_since IS NULL",
            params![now],
        )?;
        Ok(())
    }

    pub(super) fn orphans(&self) -> rusqlite::Result<u64> {
        let count = "SELECT count(*) FROM stores WHERE orphan_since IS NOT NULL";
        let orphans: i64 = self.connection.query_row(count, [], |row| row.get(0))?;
        Ok(u64::try_from(orphans).unwrap_or(0))
    }

    pub(super) fn entries(&mut self) -> rusqlite::Result<Vec<Entry>> {
        let all = format!("SELECT {COLUMNS} FROM stores ORDER BY id");
        self.connection
            .prepare(&all)?
            .query_map([], entry)?
            .collect()
    }

    /// Orphans after this id, in the order of their ids, at most `most`.
    pub(super) fn orphans_after(&self, after: StoreId, most: u32) -> rusqlite::Result<Vec<Entry>> {
        let page = format!(
            "SELECT {COLUMNS} FROM stores WHERE orphan_since IS NOT NULL AND id > ? \
             ORDER BY id LIMIT ?"
        );
        self.connection
            .prepare(&page)?
            .query_map(params![after.as_bytes(), most], entry)?
            .collect()
    }

    /// What is known of one Store.
    pub(super) fn entry(&self, store: StoreId) -> rusqlite::Result<Option<Entry>> {
        let one = format!("SELECT {COLUMNS} FROM stores WHERE id = ?");
        self.connection
            .query_row(&one, params![store.as_bytes()], entry)
            .optional()
    }
}

fn set(transaction: &Transaction<'_>, duties: &[Duty], now: i64) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare(
        "INSERT INTO stores (id, class, namespace, app, label, interface, first_seen, last_seen) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) \
         ON CONFLICT (id) DO UPDATE SET class = ?2, namespace = ?3, app = ?4, label = ?5, \
         interface = ?6, last_seen = ?7, orphan_since = NULL \
         WHERE orphan_since IS NOT NULL OR (class, namespace, app, label, interface) \
         IS NOT (?2, ?3, ?4, ?5, ?6)",
    )?;
    for duty in duties {
        let Duty {
            store,
            class,
            namespace,
            app,
            label,
            interface,
        } = duty;
        let id = store.as_bytes();
        upsert.execute(params![id, class, namespace, app, label, interface, now])?;
    }
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        store: StoreId::from_bytes(row.get(0)?),
        class: row.get(1)?,
        namespace: row.get(2)?,
        app: row.get(3)?,
        label: row.get(4)?,
        interface: row.get(5)?,
        first_seen: row.get(6)?,
        last_seen: row.get(7)?,
        orphan_since: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duty(namespace: &str) -> Duty {
        Duty {
            store: StoreId::random(),
            class: "embedded".to_owned(),
            namespace: namespace.to_owned(),
            app: "hello".to_owned(),
            label: "default".to_owned(),
            interface: "KeyValue".to_owned(),
        }
    }

    fn of(table: &mut Table, duty: &Duty) -> Option<Entry> {
        let entries = table.entries().unwrap();
        entries.into_iter().find(|entry| entry.store == duty.store)
    }

    #[test]
    fn what_is_not_named_any_more_is_an_orphan_until_it_is_named_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let (one, two) = (duty("shop"), duty("bank"));
        let mut table = Table::open(&path).unwrap();
        table.all(&[one.clone(), two.clone()], 10).unwrap();
        table.all(std::slice::from_ref(&two), 20).unwrap();
        drop(table);

        let mut table = Table::open(&path).unwrap();
        let orphan = of(&mut table, &one).unwrap();
        assert_eq!(
            (orphan.first_seen, orphan.last_seen, orphan.orphan_since),
            (10, 10, Some(20))
        );
        assert_eq!(orphan.namespace, "shop");
        assert_eq!(of(&mut table, &two).unwrap().last_seen, 20);
        table.all(std::slice::from_ref(&two), 30).unwrap();
        assert_eq!(of(&mut table, &one).unwrap().orphan_since, Some(20));

        table
            .change(std::slice::from_ref(&one), &[two.store], 40)
            .unwrap();
        let back = of(&mut table, &one).unwrap();
        assert_eq!(
            (back.first_seen, back.last_seen, back.orphan_since),
            (10, 40, None)
        );
        assert_eq!(of(&mut table, &two).unwrap().orphan_since, Some(40));
        assert_eq!(table.orphans().unwrap(), 1);
    }

    #[test]
    fn a_file_of_the_time_before_interfaces_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let (old, new) = (duty("shop"), duty("bank"));
        crate::sql::embedded::memory::install();
        let before = Connection::open(&path).unwrap();
        let table = "CREATE TABLE stores (id BLOB PRIMARY KEY, class TEXT NOT NULL, namespace TEXT NOT NULL, \
             app TEXT NOT NULL, label TEXT NOT NULL, first_seen INTEGER NOT NULL, \
             last_seen INTEGER NOT NULL, orphan_since INTEGER) STRICT, WITHOUT ROWID";
        before.execute_batch(table).unwrap();
        let id = old.store.as_bytes();
        let row = "INSERT INTO stores VALUES (?, 'embedded', 'shop', 'hello', 'default', 5, 6, 7)";
        before.execute(row, params![id]).unwrap();
        drop(before);
        for _ in 0..2 {
            let mut table = Table::open(&path).unwrap();
            table.change(std::slice::from_ref(&new), &[], 10).unwrap();
            let kept = of(&mut table, &old).unwrap();
            assert_eq!(kept.interface, "KeyValue");
            assert_eq!((kept.first_seen, kept.orphan_since), (5, Some(7)));
            assert!(of(&mut table, &new).is_some());
        }
    }

    #[test]
    fn what_was_removed_is_no_orphan() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Table::open(&folder.path().join("catalog.db")).unwrap();
        let one = duty("shop");
        table.all(std::slice::from_ref(&one), 10).unwrap();
        table.forget(one.store).unwrap();
        table.change(&[], &[one.store], 20).unwrap();
        assert_eq!(table.entries().unwrap(), []);
        assert_eq!(table.orphans().unwrap(), 0);
    }
}
