//! What guests' statements may do, asked by SQLite for everything that a statement names while it is
//! prepared.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

/// Pragmas that only tell, or that keep what they set in the database itself.
const PRAGMAS: &[&str] = &[
    "application_id",
    "collation_list",
    "data_version",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "incremental_vacuum",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "optimize",
    "page_count",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];
/// Pragmas whose setting lasts as long as the session has its connection.
const SETTINGS: &[&str] = &[
    "case_sensitive_like",
    "defer_foreign_keys",
    "foreign_keys",
    "recursive_triggers",
];
/// Pragmas that may be asked for and not set.
const READABLE: &[&str] = &[
    "auto_vacuum",
    "busy_timeout",
    "cache_size",
    "journal_mode",
    "max_page_count",
    "page_size",
    "schema_version",
    "synchronous",
    "temp_store",
];
/// Modules of virtual tables that keep to the database they are in.
const MODULES: &[&str] = &["fts5", "fts5vocab"];
/// Functions that load code, hand out pointers, or take a time that grows with the square of a value.
const FUNCTIONS: &[&str] = &[
    "fts3_tokenizer",
    "json_patch",
    "jsonb_patch",
    "load_extension",
];
/// Functions that read all of a value, take no memory for it and cannot be ended; and how many a statement may name:
/// nothing looks at the clock between them.
const COUNTED: &[(&[&str], u16)] = &[
    (&["like", "glob"], 50),
    (&["length", "substr", "substring"], 1000),
];
/// Functions whose result is of the statements that the connection did.
const OF_THE_CONNECTION: &[&str] = &["changes", "total_changes"];

/// What was seen of a statement while it was prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// It opens a transaction.
    pub(super) begins: bool,
    /// It is a pragma.
    pub(super) pragma: bool,
    /// It asks for what was counted in its connection.
    pub(super) asks_for_changes: bool,
    /// It inserts, updates or deletes rows itself.
    pub(super) changes_rows: bool,
    /// It changes the schema, or what SQLite keeps about tables.
    pub(super) changes_schema: bool,
    /// How many it names of each kind of [`COUNTED`].
    counted: [u16; COUNTED.len()],
    /// It changes a setting of its connection.
    pub(super) sets: bool,
    /// Why it was refused.
    pub(super) refused: Option<String>,
}

impl Seen {
    /// Whether SQLite counts the rows that it changes. The schema's are not.
    pub(super) fn is_counted(&self) -> bool {
        self.changes_rows && !self.changes_schema
    }

    fn note(&mut self, action: AuthAction<'_>) {
        match action {
            AuthAction::Function { function_name } => {
                self.asks_for_changes |= is_in(OF_THE_CONNECTION, function_name);
            }
            AuthAction::Insert { .. } | AuthAction::Update { .. } | AuthAction::Delete { .. } => {
                self.changes_rows = true;
            }
            AuthAction::CreateIndex { .. }
            | AuthAction::CreateTable { .. }
            | AuthAction::CreateTrigger { .. }
            | AuthAction::CreateView { .. }
            | AuthAction::CreateVtable { .. }
            | AuthAction::DropIndex { .. }
            | AuthAction::DropTable { .. }
            | AuthAction::DropTrigger { .. }
            | AuthAction::DropView { .. }
            | AuthAction::DropVtable { .. }
            | AuthAction::AlterTable { .. }
            | AuthAction::Analyze { .. }
            | AuthAction::Reindex { .. } => self.changes_schema = true,
            _ => {}
        }
    }
}

/// Whose statements are prepared now.
#[derive(Debug)]
enum Whose {
    Ours,
    AGuests(Seen),
}

/// The policy of one connection; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Policy(Arc<Mutex<Whose>>);

impl Policy {
    /// At first everything is allowed.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Whose::Ours)))
    }

    /// From now on a guest's statement is prepared.
    pub(super) fn guests(&self) {
        *self.0.lock() = Whose::AGuests(Seen::default());
    }

    /// From now on everything is allowed; gives what was seen of the guest's statement.
    pub(super) fn ours(&self) -> Seen {
        match std::mem::replace(&mut *self.0.lock(), Whose::Ours) {
            Whose::Ours => Seen::default(),
            Whose::AGuests(seen) => seen,
        }
    }

    /// What was seen of the guest's statement so far.
    pub(super) fn seen(&self) -> Seen {
        match &*self.0.lock() {
            Whose::Ours => Seen::default(),
            Whose::AGuests(seen) => seen.clone(),
        }
    }

    /// Allows everything while `work` runs.
    pub(super) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        let guests = std::mem::replace(&mut *self.0.lock(), Whose::Ours);
        let result = work();
        *self.0.lock() = guests;
        result
    }

    /// SQLite's question.
    pub(super) fn asked(&self, context: AuthContext<'_>) -> Authorization {
        let mut whose = self.0.lock();
        let Whose::AGuests(seen) = &mut *whose else {
            return Authorization::Allow;
        };
        // In a trigger it is of the statement that set it off.
        if context.accessor.is_none() {
            seen.note(context.action);
        }
        let judged = match context.database_name {
            Some("temp") if changes(context.action) && !is_renaming(context.action) => {
                Err(TEMPORARY.to_owned())
            }
            _ => judge(context.action, seen).and_then(|()| count(context.action, seen)),
        };
        match judged {
            Ok(()) => Authorization::Allow,
            Err(why) => {
                seen.refused.get_or_insert(why);
                Authorization::Deny
            }
        }
    }
}

/// They would be in memory, where no database's bound holds.
const TEMPORARY: &str = "temporary objects are not offered";
/// Names of the table that would list them.
const TEMPORARY_SCHEMA: &[&str] = &["sqlite_temp_master", "sqlite_temp_schema"];

fn count(action: AuthAction<'_>, seen: &mut Seen) -> Result<(), String> {
    let AuthAction::Function { function_name } = action else {
        return Ok(());
    };
    for ((functions, most), count) in COUNTED.iter().zip(&mut seen.counted) {
        if is_in(functions, function_name) {
            *count = count.saturating_add(1);
            if *count > *most {
                let names = functions.join(", ");
                return Err(format!(
                    "the statement has more of {names} than the limit of {most}"
                ));
            }
        }
    }
    Ok(())
}

fn changes(action: AuthAction<'_>) -> bool {
    !matches!(
        action,
        AuthAction::Read { .. }
            | AuthAction::Select
            | AuthAction::Pragma { .. }
            | AuthAction::Function { .. }
    )
}

/// What has been renamed is looked for in the schema of temporary objects too, which is empty. Statements of guests
/// cannot write to it: `writable_schema` is not offered.
fn is_renaming(action: AuthAction<'_>) -> bool {
    matches!(action, AuthAction::Update { table_name, .. } if is_in(TEMPORARY_SCHEMA, table_name))
}

fn judge(action: AuthAction<'_>, seen: &mut Seen) -> Result<(), String> {
    match action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            // VACUUM attaches as well.
            Err(
                "other databases cannot be reached from this one: no ATTACH, DETACH or VACUUM"
                    .into(),
            )
        }
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => Err(TEMPORARY.to_owned()),
        AuthAction::CreateVtable { module_name, .. } => {
            if is_in(MODULES, module_name) {
                return Ok(());
            }
            Err(format!(
                "virtual tables of the module `{}` are not offered",
                cut(module_name)
            ))
        }
        AuthAction::Function { function_name } => {
            if is_in(FUNCTIONS, function_name) {
                return Err(format!("the function `{function_name}` is not offered"));
            }
            Ok(())
        }
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => {
            seen.pragma = true;
            let settable = is_in(SETTINGS, pragma_name);
            seen.sets |= settable && pragma_value.is_some();
            if settable
                || is_in(PRAGMAS, pragma_name)
                || pragma_value.is_none() && is_in(READABLE, pragma_name)
                || is_wal(pragma_name, pragma_value)
            {
                return Ok(());
            }
            let what = if is_in(READABLE, pragma_name) {
                "can be read and not set"
            } else {
                "is not offered"
            };
            Err(format!("PRAGMA `{}` {what}", cut(pragma_name)))
        }
        AuthAction::Transaction { operation } | AuthAction::Savepoint { operation, .. } => {
            seen.begins |= operation == TransactionOperation::Begin;
            Ok(())
        }
        AuthAction::Unknown { code, .. } => Err(format!("it does what is not known here ({code})")),
        // What is in the database is the guest's own.
        _ => Ok(()),
    }
}

/// Programs that ask for the journal that they get anyway are to start.
fn is_wal(pragma: &str, value: Option<&str>) -> bool {
    pragma.eq_ignore_ascii_case("journal_mode")
        && value.is_some_and(|value| value.eq_ignore_ascii_case("wal"))
}

fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(name))
}

fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pragma(name: &str, value: Option<&str>) -> Result<(), String> {
        let action = AuthAction::Pragma {
            pragma_name: name,
            pragma_value: value,
        };
        judge(action, &mut Seen::default())
    }

    #[test]
    fn pragmas_are_refused_unless_they_are_known_to_do_no_harm() {
        assert!(pragma("table_info", Some("t")).is_ok());
        assert!(pragma("JOURNAL_MODE", Some("Wal")).is_ok());
        assert!(pragma("foreign_keys", Some("off")).is_ok());
        for (name, value) in [
            ("journal_mode", Some("off")),
            ("writable_schema", Some("1")),
            ("writable_schema", None),
            ("temp_store_directory", Some("/")),
            ("max_page_count", Some("1000000")),
            ("hard_heap_limit", Some("1")),
            ("wal_checkpoint", None),
            ("trusted_schema", Some("1")),
            ("database_list", None),
        ] {
            let error = pragma(name, value).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn our_own_statements_are_not_judged() {
        let policy = Policy::new();
        let attach = AuthContext {
            action: AuthAction::Attach { filename: "x" },
            database_name: None,
            accessor: None,
        };
        assert_eq!(policy.asked(attach), Authorization::Allow);
        policy.guests();
        assert_eq!(policy.asked(attach), Authorization::Deny);
        assert!(policy.ours().refused.is_some());
        assert_eq!(policy.asked(attach), Authorization::Allow);
    }
}
