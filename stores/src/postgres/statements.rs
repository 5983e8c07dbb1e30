//! The SQL over the tables of one prefix.
//!
//! The prefix is part of the tables' names, not of their keys: two clusters in one database then have
//! tables of their own, which an administrator can grant, measure, copy and drop apart, and no
//! statement of one has a word that could reach the other's. Names end in `_kv` and `_meta`, so that
//! different prefixes cannot give one name. Tables are found by the role's `search_path`.

/// Keys of one step of a purge.
const PURGED_AT_ONCE: u32 = 1000;

/// See the module.
pub(crate) struct Statements {
    pub(crate) prefix: String,
    pub(crate) get_one: String,
    pub(crate) get_many: String,
    pub(crate) exists: String,
    pub(crate) list: String,
    pub(crate) usage: String,
    pub(crate) set_one: String,
    pub(crate) set_many: String,
    pub(crate) delete_one: String,
    pub(crate) lock_many: String,
    pub(crate) delete_many: String,
    pub(crate) purge: String,
    pub(crate) add: String,
    pub(crate) swap_absent: String,
    pub(crate) swap_present: String,
    pub(crate) version: String,
    pub(crate) set_version: String,
    pub(crate) meta_table: String,
    /// What makes each version from the one before it; the first is version 1.
    pub(crate) migrations: Vec<String>,
}

impl Statements {
    /// `prefix` must be a plain name.
    pub(crate) fn new(prefix: &str) -> Self {
        let (kv, meta) = (format!("{prefix}_kv"), format!("{prefix}_meta"));
        let this = "store = $1 AND key = $2";
        // A sum beyond an i64 is left alone, as is what is no integer: Rust then says what it is.
        // `CASE` keeps the cast from text that is none.
        let text = "encode(held.value, 'escape')";
        let range = "BETWEEN -9223372036854775808 AND 9223372036854775807";
        Self {
            prefix: prefix.to_owned(),
            get_one: format!("SELECT value FROM {kv} WHERE {this}"),
            // Values leave the server only if they are few enough bytes in all.
            get_many: format!(
                "SELECT key, CASE WHEN sum(octet_length(value)) OVER () <= $3 THEN value END,
                        sum(octet_length(value)) OVER ()
                 FROM {kv} WHERE store = $1 AND key = ANY($2)"
            ),
            exists: format!("SELECT EXISTS (SELECT FROM {kv} WHERE {this})"),
            list: format!(
                "SELECT key FROM {kv} WHERE store = $1 AND key > $2 ORDER BY key LIMIT $3"
            ),
            usage: format!(
                "SELECT count(*),
                        coalesce(sum(octet_length(key) + octet_length(value)), 0)::bigint
                 FROM {kv} WHERE store = $1"
            ),
            set_one: format!(
                "INSERT INTO {kv} (store, key, value) VALUES ($1, $2, $3)
                 ON CONFLICT (store, key) DO UPDATE SET value = excluded.value"
            ),
            // Rows are locked in the order of the arrays: sorted by key, as all who lock many do.
            set_many: format!(
                "INSERT INTO {kv} (store, key, value)
                 SELECT $1, new.key, new.value FROM unnest($2, $3) AS new(key, value)
                 ON CONFLICT (store, key) DO UPDATE SET value = excluded.value"
            ),
            delete_one: format!("DELETE FROM {kv} WHERE {this}"),
            lock_many: format!(
                "SELECT FROM {kv} WHERE store = $1 AND key = ANY($2) ORDER BY key FOR UPDATE"
            ),
            delete_many: format!("DELETE FROM {kv} WHERE store = $1 AND key = ANY($2)"),
            purge: format!(
                "WITH picked AS (
                     SELECT key FROM {kv} WHERE store = $1 AND key > $2
                     ORDER BY key LIMIT {PURGED_AT_ONCE} FOR UPDATE
                 )
                 DELETE FROM {kv} USING picked WHERE store = $1 AND {kv}.key = picked.key
                 RETURNING {kv}.key"
            ),
            add: format!(
                "INSERT INTO {kv} AS held (store, key, value)
                 VALUES ($1, $2, decode($3::bigint::text, 'escape'))
                 ON CONFLICT (store, key) DO UPDATE
                 SET value = decode(({text}::numeric + $3)::text, 'escape')
                 WHERE CASE
                     WHEN octet_length(held.value) <= 100 AND {text} ~ '^[+-]?0*[0-9]{{1,19}}$'
                     THEN {text}::numeric {range} AND {text}::numeric + $3 {range}
                     ELSE false
                 END
                 RETURNING encode(value, 'escape')::bigint"
            ),
            swap_absent: format!(
                "INSERT INTO {kv} (store, key, value) VALUES ($1, $2, $3)
                 ON CONFLICT (store, key) DO NOTHING"
            ),
            swap_present: format!("UPDATE {kv} SET value = $3 WHERE {this} AND value = $4"),
            version: format!("SELECT value FROM {meta} WHERE name = 'version'"),
            set_version: format!(
                "INSERT INTO {meta} (name, value) VALUES ('version', $1)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            ),
            meta_table: format!(
                "CREATE TABLE IF NOT EXISTS {meta} (name text PRIMARY KEY, value bigint NOT NULL)"
            ),
            migrations: vec![format!(
                // Keys are bytes: ordered as such under every collation, and NUL is one of them.
                // Room in each page lets a value be replaced without touching the index.
                "CREATE TABLE {kv} (
                     store uuid NOT NULL, key bytea NOT NULL, value bytea NOT NULL,
                     PRIMARY KEY (store, key)
                 ) WITH (fillfactor = 85)"
            )],
        }
    }
}
