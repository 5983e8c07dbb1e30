//! What the server does in one call: functions beside the tables, in PL/pgSQL.
//!
//! A session plans what is in a function once. Sent as statements, a write would be planned anew at each
//! call where a pooler stands in between, since no session can then be told to remember a statement; that
//! takes longer than doing it. A function is one statement as well: one round trip, and a transaction by
//! itself.
//!
//! What a function does never changes: another version of Shoal that does it in another way makes
//! functions of other names, so that both may serve at once. Functions that are no longer used go with
//! the next version of the tables.
//!
//! Each write first locks its Store's counts (see [`super::slots`]), in the order in which they are given,
//! and then sees what was committed before: under `READ COMMITTED` each statement within a function does.
//! Under a stricter level, if the database has one as its default, a write that another one got ahead of
//! fails, and is made again.

use tokio_postgres::types::Type;

use super::statements::{Query, Remembered};

/// Part of the names; to be changed with anything below.
const VERSION: &str = "v2";

/// The functions of one prefix, by what they do.
pub(crate) struct Functions {
    /// For sessions that remember no statement; others ask for the value itself.
    pub(crate) get: Function,
    /// One pair, which is what most writes are.
    pub(crate) put: Function,
    pub(crate) set: Function,
    pub(crate) add: Function,
    pub(crate) swap: Function,
    pub(crate) delete: Function,
    pub(crate) purge: Function,
}

/// One function.
pub(crate) struct Function {
    name: String,
    /// The statement that calls it.
    pub(crate) call: Query,
    definition: String,
}

/// What a function is made of.
struct Source<'a> {
    name: &'a str,
    place: Option<Remembered>,
    /// After the Store.
    parameters: Vec<(&'static str, Type)>,
    returns: &'a str,
    declare: &'a str,
    body: String,
}

impl Functions {
    /// Of the tables `kv` and `usage`.
    pub(crate) fn new(prefix: &str, kv: &str, usage: &str) -> Self {
        let lock = lock(usage);
        let grow = grow(usage);
        let of = |source: Source<'_>| source.function(prefix);
        Self {
            get: of(Source {
                name: "get",
                place: None,
                parameters: vec![("name", Type::BYTEA)],
                // Others make this setting where they are given a patience: see `lock`.
                returns: "bytea STABLE SET enable_seqscan = off",
                declare: "",
                body: format!(
                    "RETURN (SELECT value FROM {kv} WHERE store = of_store AND key = name);"
                ),
            }),
            put: of(Source {
                name: "put",
                place: Some(Remembered::Put),
                parameters: growing([("name", Type::BYTEA), ("content", Type::BYTEA)]),
                returns: "bigint[]",
                declare: "old bigint;",
                body: format!("{lock}{}{}", replace(kv), put(kv, &grow, "ARRAY[1]")),
            }),
            set: of(Source {
                name: "set",
                place: Some(Remembered::Set),
                parameters: growing([
                    ("names", Type::BYTEA_ARRAY),
                    ("contents", Type::BYTEA_ARRAY),
                ]),
                returns: "bigint[]",
                declare: "old bigint;",
                body: format!("{lock}{}", set(kv, &grow)),
            }),
            add: of(Source {
                name: "add",
                place: Some(Remembered::Add),
                parameters: growing([("name", Type::BYTEA), ("delta", Type::INT8)]),
                returns: "bigint[]",
                declare: "held bytea; old bigint; content bytea; total numeric;",
                body: format!(
                    "{lock}{}{}",
                    add(kv),
                    put(kv, &grow, "ARRAY[1, total::bigint]")
                ),
            }),
            swap: of(Source {
                name: "swap",
                place: Some(Remembered::Swap),
                parameters: growing([
                    ("name", Type::BYTEA),
                    ("expected", Type::BYTEA),
                    ("content", Type::BYTEA),
                ]),
                returns: "bigint[]",
                declare: "held bytea; old bigint;",
                body: format!("{lock}{}{}", compare(kv), put(kv, &grow, "ARRAY[1]")),
            }),
            delete: of(Source {
                name: "delete",
                place: Some(Remembered::Delete),
                parameters: locking([("names", Type::BYTEA_ARRAY)]),
                returns: "void",
                declare: "name bytea; freed bigint;",
                body: format!("{lock}{}", delete(kv, usage)),
            }),
            purge: of(Source {
                name: "purge",
                place: Some(Remembered::Purge),
                parameters: locking([("after", Type::BYTEA)]),
                returns: "bytea",
                declare: "last bytea;",
                body: format!("{lock}{}", purge(kv, usage)),
            }),
        }
    }

    fn all(&self) -> [&Function; 7] {
        let Self {
            get,
            put,
            set,
            add,
            swap,
            delete,
            purge,
        } = self;
        [get, put, set, add, swap, delete, purge]
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.all().map(|function| function.name.as_str()).into()
    }

    /// What makes them, or leaves them as they are.
    pub(crate) fn definitions(&self) -> String {
        self.all()
            .map(|function| function.definition.as_str())
            .join("\n")
    }
}

/// Parameters of a function that takes locks, and then does something with `what`.
fn locking<const N: usize>(what: [(&'static str, Type); N]) -> Vec<(&'static str, Type)> {
    let mut all = vec![("slots", Type::INT2_ARRAY), ("patience", Type::TEXT)];
    all.extend(what);
    all
}

/// As [`locking`], of one that may make the Store grow.
fn growing<const N: usize>(what: [(&'static str, Type); N]) -> Vec<(&'static str, Type)> {
    let mut all = locking(what);
    all.extend([("most_keys", Type::INT8), ("most_bytes", Type::INT8)]);
    all
}

impl Source<'_> {
    fn function(self, prefix: &str) -> Function {
        let Self {
            name,
            place,
            mut parameters,
            returns,
            declare,
            body,
        } = self;
        parameters.insert(0, ("of_store", Type::UUID));
        let name = format!("{prefix}_{name}_{VERSION}");
        let given: Vec<String> = (1..=parameters.len())
            .map(|number| format!("${number}"))
            .collect();
        let declared: Vec<String> = parameters
            .iter()
            .map(|(parameter, of_type)| format!("{parameter} {}", of_type.name()))
            .collect();
        Function {
            call: Query {
                text: format!("SELECT {name}({})", given.join(", ")),
                types: parameters.into_iter().map(|(_, of_type)| of_type).collect(),
                place,
            },
            definition: format!(
                "CREATE OR REPLACE FUNCTION {name}({}) RETURNS {returns}
                 LANGUAGE plpgsql AS $function$
                 DECLARE
                     slot_held smallint;
                     held_keys bigint; held_bytes bigint;
                     more_keys bigint := 0; more_bytes bigint := 0;
                     {declare}
                 BEGIN
                     {body}
                 END
                 $function$;",
                declared.join(", ")
            ),
            name,
        }
    }
}

/// Waits for a turn in each of `slots`, for `patience` ms at most, and leaves the last of them in
/// `slot_held`. Without a `patience`, the session was begun with the settings that it takes.
///
/// One of them is that no table is read from end to end: a plan outlives the moment in which its table is
/// so small that this is the shortest way.
fn lock(usage: &str) -> String {
    format!(
        "IF patience IS NOT NULL THEN
             PERFORM set_config('lock_timeout', patience, true),
                     set_config('enable_seqscan', 'off', true);
         END IF;
         FOREACH slot_held IN ARRAY slots LOOP
             LOOP
                 PERFORM FROM {usage} WHERE store = of_store AND slot = slot_held
                 FOR NO KEY UPDATE;
                 EXIT WHEN FOUND;
                 INSERT INTO {usage} (store, slot) VALUES (of_store, slot_held)
                 ON CONFLICT DO NOTHING;
             END LOOP;
         END LOOP;"
    )
}

/// Counts `more_keys` and `more_bytes`; gives them, after what is held, where that were too many.
fn grow(usage: &str) -> String {
    format!(
        "IF more_keys > 0 AND most_keys IS NOT NULL OR more_bytes > 0 AND most_bytes IS NOT NULL THEN
             SELECT coalesce(sum(keys), 0), coalesce(sum(bytes), 0) INTO held_keys, held_bytes
             FROM {usage} WHERE store = of_store;
             IF more_keys > 0 AND held_keys + more_keys > most_keys
                OR more_bytes > 0 AND held_bytes + more_bytes > most_bytes
             THEN
                 RETURN ARRAY[held_keys, held_bytes, more_keys, more_bytes];
             END IF;
         END IF;
         {}",
        count(usage)
    )
}

fn count(usage: &str) -> String {
    format!(
        "IF more_keys <> 0 OR more_bytes <> 0 THEN
             UPDATE {usage} SET keys = keys + more_keys, bytes = bytes + more_bytes
             WHERE store = of_store AND slot = slot_held;
         END IF;"
    )
}

/// Sets all of `names` to their `contents`, or none.
fn set(kv: &str, grow: &str) -> String {
    format!(
        "FOR n IN 1 .. cardinality(names) LOOP
             SELECT octet_length(value) INTO old FROM {kv}
             WHERE store = of_store AND key = names[n];
             IF old IS NULL THEN
                 more_keys := more_keys + 1;
                 old := -octet_length(names[n]);
             END IF;
             more_bytes := more_bytes + octet_length(contents[n]) - old;
         END LOOP;
         {grow}
         FOR n IN 1 .. cardinality(names) LOOP
             INSERT INTO {kv} (store, key, value) VALUES (of_store, names[n], contents[n])
             ON CONFLICT (store, key) DO UPDATE SET value = excluded.value;
         END LOOP;
         RETURN ARRAY[1];"
    )
}

/// Sets `name` to `content` and ends, if it holds as many bytes; else leaves how many in `old`.
fn replace(kv: &str) -> String {
    format!(
        "UPDATE {kv} SET value = content
         WHERE store = of_store AND key = name AND octet_length(value) = octet_length(content);
         IF FOUND THEN
             RETURN ARRAY[1];
         END IF;
         SELECT octet_length(value) INTO old FROM {kv} WHERE store = of_store AND key = name;"
    )
}

/// Sets `name`, which holds `old` bytes, to `content`, and gives `done`.
fn put(kv: &str, grow: &str, done: &str) -> String {
    format!(
        "more_bytes := octet_length(content);
         IF old IS NULL THEN
             more_keys := 1;
             more_bytes := more_bytes + octet_length(name);
         ELSE
             more_bytes := more_bytes - old;
         END IF;
         {grow}
         INSERT INTO {kv} (store, key, value) VALUES (of_store, name, content)
         ON CONFLICT (store, key) DO UPDATE SET value = excluded.value;
         RETURN {done};"
    )
}

/// Leaves what `name` holds in `held`, and how many bytes that is in `old`.
fn look(kv: &str) -> String {
    format!(
        "SELECT value INTO held FROM {kv} WHERE store = of_store AND key = name;
         old := octet_length(held);"
    )
}

/// Ends with 0 unless `name` is as `expected`; NULL is a key that is not there.
fn compare(kv: &str) -> String {
    format!(
        "{}
         IF held IS DISTINCT FROM expected THEN
             RETURN ARRAY[0];
         END IF;",
        look(kv)
    )
}

/// Adds `delta` to what `name` holds. Ends with 0 where that is no integer in its usual form, or the
/// sum is beyond an i64: Rust then says what it is.
fn add(kv: &str) -> String {
    let range = "BETWEEN -9223372036854775808 AND 9223372036854775807";
    format!(
        "{}
         IF old IS NULL THEN
             total := delta;
         ELSIF old <= 100 THEN
             IF encode(held, 'escape') ~ '^[+-]?0*[0-9]{{1,19}}$' THEN
                 total := encode(held, 'escape')::numeric;
                 IF total NOT {range} THEN
                     RETURN ARRAY[0];
                 END IF;
                 total := total + delta;
             END IF;
         END IF;
         IF total IS NULL OR total NOT {range} THEN
             RETURN ARRAY[0];
         END IF;
         content := decode(total::text, 'escape');",
        look(kv)
    )
}

fn delete(kv: &str, usage: &str) -> String {
    format!(
        "FOREACH name IN ARRAY names LOOP
             DELETE FROM {kv} WHERE store = of_store AND key = name
             RETURNING octet_length(key) + octet_length(value) INTO freed;
             IF FOUND THEN
                 more_keys := more_keys - 1;
                 more_bytes := more_bytes - freed;
             END IF;
         END LOOP;
         {}",
        count(usage)
    )
}

/// Most keys of one step of a purge.
const PURGED_KEYS: u32 = 500;
/// Bytes of values of one step of a purge; the key that reaches it still belongs to it.
const PURGED_BYTES: u32 = 4 * 1024 * 1024;

/// Deletes the next keys `after` one, few enough for one transaction, and gives the last of them. With the last step
/// the counts go too, or each Store that ever was would leave its rows; who waits for one of them makes it anew.
fn purge(kv: &str, usage: &str) -> String {
    format!(
        "WITH next AS (
             SELECT key, octet_length(value) AS size FROM {kv}
             WHERE store = of_store AND key > after ORDER BY key LIMIT {PURGED_KEYS}
         ),
         summed AS (SELECT key, size, sum(size) OVER (ORDER BY key) AS so_far FROM next),
         gone AS (
             DELETE FROM {kv} AS held USING summed
             WHERE held.store = of_store AND held.key = summed.key
               AND so_far - size < {PURGED_BYTES}
             RETURNING held.key, octet_length(held.key) + octet_length(held.value) AS bytes
         )
         SELECT -count(*), -coalesce(sum(gone.bytes), 0), (array_agg(key ORDER BY key DESC))[1]
         INTO more_keys, more_bytes, last FROM gone;
         {}
         IF last IS NULL THEN
             DELETE FROM {usage} WHERE store = of_store
                AND NOT EXISTS (SELECT FROM {kv} WHERE store = of_store);
         END IF;
         RETURN last;",
        count(usage)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_gives_every_parameter_and_prefixes_share_no_name() {
        let of = |prefix: &str| Functions::new(prefix, "kv", "usage");
        assert_eq!(of("a").get.call.text, "SELECT a_get_v2($1, $2)");
        assert!(of("a").swap.call.text.ends_with("$7, $8)"));
        assert_eq!(of("a").swap.call.types.len(), 8);
        let (one, other) = (of("a"), of("a_set"));
        assert!(one.names().iter().all(|name| !other.names().contains(name)));
    }
}
