//! What each Store holds: counted beside its keys, in the transaction that changes them.
//!
//! Within one transaction a Store's count is read once and written once, however many writes it has.

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::{Connection, OptionalExtension, params};

use crate::{StoreId, Usage, quota::Change};

/// The counts that one transaction touches. To be dropped with a transaction that failed.
#[derive(Default)]
pub(crate) struct Accounts(HashMap<StoreId, Account>);

struct Account {
    in_file: Usage,
    now: Usage,
}

impl Accounts {
    /// What `store` holds at this point of the transaction.
    pub(crate) fn of(&mut self, file: &Connection, store: StoreId) -> rusqlite::Result<Usage> {
        Ok(self.account(file, store)?.now)
    }

    /// Counts a change that was made.
    pub(crate) fn count(
        &mut self,
        file: &Connection,
        store: StoreId,
        change: Change,
    ) -> rusqlite::Result<()> {
        let account = self.account(file, store)?;
        account.now = account.now.after(change);
        Ok(())
    }

    fn account(&mut self, file: &Connection, store: StoreId) -> rusqlite::Result<&mut Account> {
        Ok(match self.0.entry(store) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let in_file = read(file, store)?;
                let now = in_file;
                unknown.insert(Account { in_file, now })
            }
        })
    }

    /// Writes what changed; to be done last.
    pub(crate) fn write(self, file: &Connection) -> rusqlite::Result<()> {
        for (store, Account { in_file, now }) in self.0 {
            if now == in_file {
                continue;
            }
            if now == Usage::default() {
                file.prepare_cached("DELETE FROM usage WHERE store = ?1")?
                    .execute(params![store.as_bytes()])?;
                continue;
            }
            file.prepare_cached(
                "INSERT INTO usage(store, keys, bytes) VALUES (?1, ?2, ?3)
                 ON CONFLICT(store) DO UPDATE SET keys = excluded.keys, bytes = excluded.bytes",
            )?
            .execute(params![
                store.as_bytes(),
                signed(now.keys),
                signed(now.bytes)
            ])?;
        }
        Ok(())
    }
}

/// What `file` says that `store` holds.
pub(crate) fn read(file: &Connection, store: StoreId) -> rusqlite::Result<Usage> {
    let unsigned = |count: i64| count.max(0).unsigned_abs();
    let usage = file
        .prepare_cached("SELECT keys, bytes FROM usage WHERE store = ?1")?
        .query_row(params![store.as_bytes()], |row| {
            Ok(Usage {
                keys: unsigned(row.get(0)?),
                bytes: unsigned(row.get(1)?),
            })
        })
        .optional()?;
    Ok(usage.unwrap_or_default())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
