//! The SQL over the tables of one prefix.
//!
//! The prefix is part of the tables' names, not of their keys: two clusters in one database then have
//! tables of their own, which an administrator can grant, measure, copy and drop apart, and no
//! statement of one has a word that could reach the other's. Names end in `_kv`, `_usage` and `_meta`,
//! so that different prefixes cannot give one name. Tables are found by the role's `search_path`.

use super::slots::Slots;
use crate::StoreId;

/// Most keys of one step of a purge.
const PURGED_KEYS: u32 = 500;
/// Bytes of values of one step of a purge; the key that reaches it still belongs to it.
const PURGED_BYTES: u32 = 4 * 1024 * 1024;

/// See the module.
pub(crate) struct Statements {
    pub(crate) prefix: String,
    pub(crate) get_one: String,
    pub(crate) get_many: String,
    pub(crate) exists: String,
    pub(crate) list: String,
    pub(crate) usage: String,
    pub(crate) set: String,
    pub(crate) add: String,
    pub(crate) swap_absent: String,
    pub(crate) swap_present: String,
    pub(crate) delete: String,
    pub(crate) purge: String,
    pub(crate) forget: String,
    pub(crate) version: String,
    pub(crate) set_version: String,
    pub(crate) meta_table: String,
    /// What makes each version from the one before it; the first is version 1.
    pub(crate) migrations: Vec<String>,
    usage_table: String,
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
        let one_old = format!("SELECT key, value FROM {kv} WHERE {this}");
        let put_of = |old: &str, new: &str, beside: &str| put(&kv, &usage, old, new, beside);
        let put = |old: &str, new: &str| put_of(old, new, "NULL::bigint");
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
                "SELECT coalesce(sum(keys), 0)::bigint, coalesce(sum(bytes), 0)::bigint
                 FROM {usage} WHERE store = $1"
            ),
            set: put(
                &format!("SELECT key, value FROM {kv} WHERE store = $1 AND key = ANY($2)"),
                "SELECT given.key, given.value FROM unnest($2, $3) AS given(key, value)",
            ),
            add: put_of(
                &one_old,
                &sum(),
                "(SELECT encode(value, 'escape')::bigint FROM new)",
            ),
            swap_absent: put(
                &one_old,
                "SELECT $2 AS key, $3 AS value WHERE NOT EXISTS (SELECT FROM old)",
            ),
            swap_present: put(
                &one_old,
                "SELECT $2 AS key, $3 AS value WHERE EXISTS (SELECT FROM old WHERE value = $7)",
            ),
            delete: delete(&kv, &usage, "SELECT unnest($2) AS key"),
            purge: delete(&kv, &usage, &some_keys(&kv)),
            forget: format!(
                "DELETE FROM {usage} WHERE store = $1
                 AND NOT EXISTS (SELECT FROM {kv} WHERE store = $1)"
            ),
            version: format!("SELECT value FROM {meta} WHERE name = 'version'"),
            set_version: format!(
                "INSERT INTO {meta} (name, value) VALUES ('version', $1)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            ),
            meta_table: format!(
                "CREATE TABLE IF NOT EXISTS {meta} (name text PRIMARY KEY, value bigint NOT NULL)"
            ),
            migrations: vec![first_version(&kv, &usage)],
            usage_table: usage,
        }
    }

    /// Locks the counts of `slots`, in their order, making those that are not there. Every statement
    /// after it sees what was committed before.
    pub(crate) fn lock(&self, store: StoreId, slots: &Slots) -> String {
        let (usage, slots) = (&self.usage_table, slots.list());
        format!(
            "INSERT INTO {usage} (store, slot) SELECT '{store}', unnest('{{{slots}}}'::smallint[])
             ON CONFLICT DO NOTHING;
             SELECT FROM {usage} WHERE store = '{store}' AND slot IN ({slots})
             ORDER BY slot FOR NO KEY UPDATE"
        )
    }
}

/// Sets the rows of `new`, where `old` are those that are there of the same keys: all of them, or none
/// if the Store would grow beyond $4 keys or $5 bytes. Counts them in slot $6.
///
/// Gives what was held, what the rows change of it (which says whether they were set), how many rows
/// there are, and `beside`.
fn put(kv: &str, usage: &str, old: &str, new: &str, beside: &str) -> String {
    let counts = "count(*) AS keys,
         coalesce(sum(octet_length(key) + octet_length(value)), 0)::bigint AS bytes";
    format!(
        "WITH old AS ({old}), new AS ({new}),
         change AS (
             SELECT added.keys - replaced.keys AS keys, added.bytes - replaced.bytes AS bytes
             FROM (SELECT {counts} FROM new) AS added,
                  (SELECT {counts} FROM old WHERE EXISTS (SELECT FROM new)) AS replaced
         ),
         held AS (
             SELECT coalesce(sum(keys), 0)::bigint AS keys, coalesce(sum(bytes), 0)::bigint AS bytes
             FROM {usage} WHERE store = $1
         ),
         fits AS (
             SELECT change.keys, change.bytes FROM change, held
             WHERE (change.keys <= 0 OR held.keys + change.keys <= $4)
               AND (change.bytes <= 0 OR held.bytes + change.bytes <= $5)
         ),
         counted AS (
             UPDATE {usage} AS kept
             SET keys = kept.keys + fits.keys, bytes = kept.bytes + fits.bytes FROM fits
             WHERE kept.store = $1 AND kept.slot = $6 AND (fits.keys <> 0 OR fits.bytes <> 0)
         ),
         written AS (
             INSERT INTO {kv} (store, key, value)
             SELECT $1, new.key, new.value FROM new WHERE EXISTS (SELECT FROM fits)
             ON CONFLICT (store, key) DO UPDATE SET value = excluded.value
         )
         SELECT held.keys, held.bytes, change.keys, change.bytes, (SELECT count(*) FROM new),
                {beside}
         FROM held, change"
    )
}

/// The row of key $2 with $3 added to its integer; none where it holds no integer in its usual form, or
/// the sum is beyond an i64: Rust then says what it is.
fn sum() -> String {
    // `CASE` keeps the cast from text that is none.
    let text = "encode(old.value, 'escape')";
    let range = "BETWEEN -9223372036854775808 AND 9223372036854775807";
    format!(
        "SELECT $2 AS key, decode(added.sum::text, 'escape') AS value
         FROM (
             SELECT CASE
                 WHEN old.key IS NULL THEN $3::numeric
                 WHEN octet_length(old.value) <= 100 AND {text} ~ '^[+-]?0*[0-9]{{1,19}}$'
                 THEN CASE WHEN {text}::numeric {range} THEN {text}::numeric + $3 END
             END AS sum
             FROM (SELECT) AS always LEFT JOIN old ON true
         ) AS added
         WHERE added.sum {range}"
    )
}

/// Deletes the rows of `keys`, counts that in slot $3, and gives the last of those that were there.
fn delete(kv: &str, usage: &str, keys: &str) -> String {
    format!(
        "WITH named AS ({keys}),
         gone AS (
             DELETE FROM {kv} AS held USING named WHERE held.store = $1 AND held.key = named.key
             RETURNING held.key, octet_length(held.key) + octet_length(held.value) AS bytes
         ),
         freed AS (SELECT count(*) AS keys, sum(bytes) AS bytes FROM gone),
         counted AS (
             UPDATE {usage} AS kept
             SET keys = kept.keys - freed.keys, bytes = kept.bytes - freed.bytes FROM freed
             WHERE kept.store = $1 AND kept.slot = $3 AND freed.keys > 0
         )
         SELECT key FROM gone ORDER BY key DESC LIMIT 1"
    )
}

/// The next keys after $2, few enough for one transaction.
fn some_keys(kv: &str) -> String {
    format!(
        "SELECT key FROM (
             SELECT key, size, sum(size) OVER (ORDER BY key) AS so_far FROM (
                 SELECT key, octet_length(value) AS size FROM {kv}
                 WHERE store = $1 AND key > $2 ORDER BY key LIMIT {PURGED_KEYS}
             ) AS next
         ) AS summed
         WHERE so_far - size < {PURGED_BYTES}"
    )
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
