//! One connection to one database, with everything that a guest must not do turned off.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection as Sqlite, OpenFlags, config::DbConfig, limits::Limit};

use super::{
    disk::Disk,
    functions, memory,
    policy::Policy,
    room::Rooms,
    watch::{STEPS, Watch},
};
use crate::{
    StoreLimits,
    embedded::Durability,
    sql::{MAX_STATEMENT_BYTES, SessionId},
};

/// Memory that one statement may take.
pub(super) const STATEMENT_MEMORY: u32 = 16 << 20;
/// A connection that keeps more than this (a large schema, its pages) is closed after each use.
const KEPT_MEMORY: i64 = 2 << 20;
/// Bytes of a page, which is what a database's size is counted in.
const PAGE: u64 = 4096;
/// What a disk that is not full takes.
const PROBE_BYTES: usize = 64 << 10;
/// A value may not be so large that nothing fits around it in an answer, nor so small that a schema's
/// own rows do not fit.
const VALUE_BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(4 << 20);
/// Bounds on what a statement may be made of; SQLite's own are made for the owner of the machine.
const LIMITS: [(Limit, i32); 11] = [
    (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_STATEMENT_BYTES as i32),
    (Limit::SQLITE_LIMIT_COLUMN, 256),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (Limit::SQLITE_LIMIT_VDBE_OP, 500_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    // What a search takes grows with it, and nothing can end one: about a second in a value of 1 MiB.
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 32),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    (Limit::SQLITE_LIMIT_SCHEMA, 2000),
];

/// See the module.
pub(super) struct Connection {
    pub(super) sqlite: Sqlite,
    pub(super) policy: Policy,
    pub(super) watch: Watch,
    pub(super) rooms: Rooms,
    pub(super) disk: Arc<Disk>,
    /// Whose settings, last row and count of changes it holds.
    pub(super) session: Option<SessionId>,
    file: PathBuf,
    limits: Option<StoreLimits>,
    /// Settings that are not those of a new connection.
    pub(super) is_set: bool,
    kept: i64,
}

impl Connection {
    /// Opens the database in `file`, making it if there is none.
    pub(super) fn open(
        file: &Path,
        durability: Durability,
        rooms: &Rooms,
        disk: &Arc<Disk>,
    ) -> rusqlite::Result<Self> {
        let none = Watch::default();
        let (opened, kept) = memory::within(STATEMENT_MEMORY, &none, || open(file, durability));
        let (sqlite, policy, watch) = opened?;
        Ok(Self {
            sqlite,
            policy,
            watch,
            rooms: rooms.clone(),
            disk: Arc::clone(disk),
            session: None,
            file: file.to_owned(),
            limits: None,
            is_set: false,
            kept,
        })
    }

    /// Makes it `session`'s; what another left behind is undone.
    pub(super) fn belong_to(&mut self, session: SessionId) -> rusqlite::Result<()> {
        if self.session == Some(session) {
            return Ok(());
        }
        self.session = None;
        if std::mem::take(&mut self.is_set) {
            self.sqlite.execute_batch(SETTINGS)?;
        }
        self.session = Some(session);
        Ok(())
    }

    /// What `last_insert_rowid()` is, until the next `INSERT`.
    #[expect(unsafe_code, reason = "rusqlite has no function for it")]
    pub(super) fn remember(&self, last_insert_rowid: i64) {
        // SAFETY: the connection is open, and stays so for as long as `self` is there.
        unsafe {
            rusqlite::ffi::sqlite3_set_last_insert_rowid(self.sqlite.handle(), last_insert_rowid);
        }
    }

    /// Bounds values, rows and the database.
    pub(super) fn limit(&mut self, limits: StoreLimits) -> rusqlite::Result<()> {
        if self.limits == Some(limits) {
            return Ok(());
        }
        let length = i32::try_from(value_bytes(limits)).unwrap_or(i32::MAX);
        self.sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, length)?;
        let pages = limits.bytes.map_or(u64::from(u32::MAX) - 1, |bytes| {
            (bytes / PAGE).clamp(1, u64::from(u32::MAX) - 1)
        });
        let set = format!("PRAGMA max_page_count = {pages}");
        self.sqlite.query_row(&set, [], |_| Ok(()))?;
        self.limits = Some(limits);
        Ok(())
    }

    /// The bound that keeps the database from growing, where it is not the disk: SQLite has one error
    /// for both.
    pub(super) fn limit_reached(&self) -> Option<u64> {
        let bytes = self.limits?.bytes?;
        let probe = self.file.with_extension("probe");
        let takes = fs::write(&probe, vec![0; PROBE_BYTES]).is_ok();
        // What is left behind is overwritten by the next.
        let _ = fs::remove_file(&probe);
        takes.then_some(bytes)
    }

    /// Does a statement of ours in the midst of a guest's.
    pub(super) fn ours<T>(&self, work: impl FnOnce(&Sqlite) -> T) -> T {
        self.policy.aside(|| work(&self.sqlite))
    }

    /// Does `work` within the memory of one statement.
    pub(super) fn within_memory<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let watch = self.watch.clone();
        let (result, kept) = memory::within(STATEMENT_MEMORY, &watch, || work(&mut *self));
        self.kept = self.kept.saturating_add(kept);
        result
    }

    /// Whether it holds so much that it is better closed.
    pub(super) fn is_heavy(&self) -> bool {
        self.kept > KEPT_MEMORY
    }
}

/// Bytes of the largest value and row.
pub(super) fn value_bytes(limits: StoreLimits) -> u64 {
    limits
        .value_bytes
        .clamp(*VALUE_BYTES.start(), *VALUE_BYTES.end())
}

/// What a session finds in a connection.
const SETTINGS: &str = "PRAGMA foreign_keys = ON;
     PRAGMA recursive_triggers = OFF;
     PRAGMA defer_foreign_keys = OFF;
     PRAGMA case_sensitive_like = OFF;";

fn open(file: &Path, durability: Durability) -> rusqlite::Result<(Sqlite, Policy, Watch)> {
    // Without SQLITE_OPEN_URI: a folder's name is no URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut sqlite = Sqlite::open_with_flags(file, flags)?;
    // Another process may have the file (`shoal up` twice in one folder); within this one it is never busy.
    sqlite.busy_timeout(std::time::Duration::from_secs(1))?;
    sqlite.set_prepared_statement_cache_capacity(0);
    if sqlite.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
        // Before the first page is written: it cannot be changed later.
        sqlite.pragma_update(None, "page_size", PAGE as i64)?;
        sqlite.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    sqlite.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    sqlite.pragma_update(None, "synchronous", synchronous)?;
    sqlite.pragma_update(None, "journal_size_limit", 1 << 20)?;
    sqlite.pragma_update(None, "cache_size", -512)?;
    // In memory, where what a statement takes is bounded.
    sqlite.pragma_update(None, "temp_store", "MEMORY")?;
    sqlite.pragma_update(None, "trusted_schema", false)?;
    sqlite.pragma_update(None, "cell_size_check", true)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false)?;
    for (limit, value) in LIMITS {
        sqlite.set_limit(limit, value)?;
    }
    sqlite.execute_batch(SETTINGS)?;
    let (policy, watch) = (Policy::new(), Watch::default());
    functions::install(&sqlite, &watch)?;
    let asked = policy.clone();
    sqlite.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
        asked.asked(context)
    }))?;
    let over = watch.clone();
    sqlite.progress_handler(STEPS, Some(move || over.is_over()))?;
    Ok((sqlite, policy, watch))
}
