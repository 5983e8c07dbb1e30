//! The SQL over the tables of one prefix.
//!
//! The prefix is part of the tables' names, not of their keys: two clusters in one database then have
//! tables of their own, which an administrator can grant, measure, copy and drop apart, and no
//! statement of one has a word that could reach the other's. Names end in `_kv`, `_usage` and `_meta`,
//! so that different prefixes cannot give one name. Tables and functions are found by the role's
//! `search_path`.

use tokio_postgres::types::Type;

use super::functions::Functions;

/// A statement that is asked again and again.
pub(crate) struct Query {
    pub(crate) text: String,
    /// Of its parameters. Told with it, so that the database need not be asked for them.
    pub(crate) types: Vec<Type>,
    /// Where a session of our own remembers it; nowhere, where how it is done best depends on what is
    /// asked, and it is to be planned each time.
    pub(crate) place: Option<Remembered>,
}

/// What a session may remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    Get,
    Exists,
    Put,
    Set,
    Add,
    Swap,
    Delete,
    Purge,
}

impl Remembered {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;
}

/// See the module.
pub(crate) struct Statements {
    pub(crate) prefix: String,
    /// For sessions that remember it; others call a function.
    pub(crate) get: Query,
    pub(crate) get_many: Query,
    pub(crate) exists: Query,
    pub(crate) list: Query,
    pub(crate) usage: Query,
    pub(crate) functions: Functions,
    /// Whether all functions of these names are there.
    pub(crate) have_functions: &'static str,
    pub(crate) version: String,
    pub(crate) set_version: String,
    /// The id of the place that the tables are in.
    pub(crate) place: String,
    /// Gives it one, if it has none.
    pub(crate) make_place: String,
    pub(crate) meta_table: String,
    /// What makes each version from the one before it; the first is version 1.
    pub(crate) migrations: Vec<String>,
}

impl Statements {
    /// `prefix` must be a plain name.
    pub(crate) fn new(prefix: &str) -> Self {
        let (kv, usage, meta) = (
            format!("{prefix}_kv"),
            format!("{prefix}_usage"),
            format!("{prefix}_meta"),
        );
        let this = "store = $1 AND key = $2";
        // The Store comes first in each.
        let query = |place, types: &[Type], text| {
            let mut all = vec![Type::UUID];
            all.extend_from_slice(types);
            Query {
                text,
                types: all,
                place,
            }
        };
        let (get, exists) = (Some(Remembered::Get), Some(Remembered::Exists));
        Self {
            prefix: prefix.to_owned(),
            get: query(
                get,
                &[Type::BYTEA],
                format!("SELECT value FROM {kv} WHERE {this}"),
            ),
            // Values leave the server only if they are few enough bytes in all.
            get_many: query(
                None,
                &[Type::BYTEA_ARRAY, Type::INT8],
                format!(
                    "SELECT key, CASE WHEN sum(octet_length(value)) OVER () <= $3 THEN value END,
                        sum(octet_length(value)) OVER ()
                 FROM {kv} WHERE store = $1 AND key = ANY($2)"
                ),
            ),
            exists: query(
                exists,
                &[Type::BYTEA],
                format!("SELECT EXISTS (SELECT FROM {kv} WHERE {this})"),
            ),
            list: query(
                None,
                &[Type::BYTEA, Type::INT8],
                format!("SELECT key FROM {kv} WHERE store = $1 AND key > $2 ORDER BY key LIMIT $3"),
            ),
            usage: query(
                None,
                &[],
                format!(
                    "SELECT coalesce(sum(keys), 0)::bigint, coalesce(sum(bytes), 0)::bigint
                 FROM {usage} WHERE store = $1"
                ),
            ),
            functions: Functions::new(prefix, &kv, &usage),
            have_functions: "SELECT bool_and(to_regproc(name) IS NOT NULL) FROM unnest($1) AS name",
            version: format!("SELECT value FROM {meta} WHERE name = 'version'"),
            set_version: format!(
                "INSERT INTO {meta} (name, value) VALUES ('version', $1)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            ),
            place: format!("SELECT value FROM {meta} WHERE name = 'place'"),
            make_place: format!(
                "INSERT INTO {meta} (name, value) VALUES ('place', $1) ON CONFLICT DO NOTHING"
            ),
            meta_table: format!(
                "CREATE TABLE IF NOT EXISTS {meta} (name text PRIMARY KEY, value bigint NOT NULL)"
            ),
            migrations: vec![first_version(&kv, &usage)],
        }
    }
}

fn first_version(kv: &str, usage: &str) -> String {
    // Keys are bytes: ordered as such under every collation, and NUL is one of them. Room in each page
    // lets a value be replaced without touching the index.
    format!(
        "CREATE TABLE {kv} (
             store uuid NOT NULL, key bytea NOT NULL, value bytea NOT NULL,
             PRIMARY KEY (store, key)
         ) WITH (fillfactor = 85);
         CREATE TABLE {usage} (
             store uuid NOT NULL, slot smallint NOT NULL,
             keys bigint NOT NULL DEFAULT 0, bytes bigint NOT NULL DEFAULT 0,
             PRIMARY KEY (store, slot)
         ) WITH (fillfactor = 50)"
    )
}
