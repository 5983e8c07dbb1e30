//! What the server does in one call: functions beside the tables, in PL/pgSQL.
//!
//! A session plans what is in a function once. Sent as statements, a write would be planned anew at each
//! call, since behind a pooler no session can be told to remember a statement; that takes longer than
//! doing it. A function is one statement as well: one round trip, and a transaction by itself.
//!
//! What a function does never changes: another version of Shoal that does it in another way makes
//! functions of other names, so that both may serve at once. Functions that are no longer used go with
//! the next version of the tables.
//!
//! Each write first locks its Store's counts (see [`super::slots`]), in the order in which they are given,
//! and then sees what was committed before: under `READ COMMITTED` each statement within a function does.
//! Under a stricter level, if the database has one as its default, a write that another one got ahead of
//! fails, and is made again.

/// Part of the names; to be changed with anything below.
const VERSION: &str = "v1";

/// The functions of one prefix, by what they do.
pub(crate) struct Functions {
    pub(crate) get: Function,
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
    pub(crate) call: String,
    definition: String,
}

/// What a function is made of.
struct Source<'a> {
    name: &'a str,
    /// Of all parameters, `,` between them.
    parameters: &'a str,
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
                parameters: "of_store uuid, name bytea",
                returns: "bytea STABLE",
                declare: "",
                body: format!(
                    "RETURN (SELECT value FROM {kv} WHERE store = of_store AND key = name);"
                ),
            }),
            set: of(Source {
                name: "set",
                parameters: "of_store uuid, slots smallint[], patience text, names bytea[],
                             contents bytea[], most_keys bigint, most_bytes bigint",
                returns: "bigint[]",
                declare: "old bigint;",
                body: format!("{lock}{}", set(kv, &grow)),
            }),
            add: of(Source {
                name: "add",
                parameters: "of_store uuid, slots smallint[], patience text, name bytea,
                             delta bigint, most_keys bigint, most_bytes bigint",
                returns: "bigint[]",
                declare: "old bytea; content bytea; total numeric;",
                body: format!(
                    "{lock}{}{}",
                    add(kv),
                    put(kv, &grow, "ARRAY[1, total::bigint]")
                ),
            }),
            swap: of(Source {
                name: "swap",
                parameters: "of_store uuid, slots smallint[], patience text, name bytea,
                             expected bytea, content bytea, most_keys bigint, most_bytes bigint",
                returns: "bigint[]",
                declare: "old bytea;",
                body: format!("{lock}{}{}", compare(kv), put(kv, &grow, "ARRAY[1]")),
            }),
            delete: of(Source {
                name: "delete",
                parameters: "of_store uuid, slots smallint[], patience text, names bytea[]",
                returns: "void",
                declare: "name bytea; freed bigint;",
                body: format!("{lock}{}", delete(kv, usage)),
            }),
            purge: of(Source {
                name: "purge",
                parameters: "of_store uuid, slots smallint[], patience text, after bytea",
                returns: "bytea",
                declare: "last bytea;",
                body: format!("{lock}{}", purge(kv, usage)),
            }),
        }
    }

    fn all(&self) -> [&Function; 6] {
        let Self {
            get,
            set,
            add,
            swap,
            delete,
            purge,
        } = self;
        [get, set, add, swap, delete, purge]
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

impl Source<'_> {
    fn function(self, prefix: &str) -> Function {
        let Self {
            name,
            parameters,
            returns,
            declare,
            body,
        } = self;
        let name = format!("{prefix}_{name}_{VERSION}");
        let given: Vec<String> = (1..=parameters.split(',').count())
            .map(|number| format!("${number}"))
            .collect();
        Function {
            call: format!("SELECT {name}({})", given.join(", ")),
            // A plan outlives the moment in which its table is so small that reading all of it is the
            // shortest way.
            definition: format!(
                "CREATE OR REPLACE FUNCTION {name}({parameters}) RETURNS {returns}
                 LANGUAGE plpgsql SET enable_seqscan = off AS $function$
                 DECLARE
                     slot_held smallint;
                     held_keys bigint; held_bytes bigint;
                     more_keys bigint := 0; more_bytes bigint := 0;
                     {declare}
                 BEGIN
                     {body}
                 END
                 $function$;"
            ),
            name,
        }
    }
}

/// Waits for a turn in each of `slots`, for `patience` ms at most, and leaves the last of them in
/// `slot_held`.
fn lock(usage: &str) -> String {
    format!(
        "PERFORM set_config('lock_timeout', patience, true);
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

/// Sets `name`, which holds `old`, to `content`, and gives `done`.
fn put(kv: &str, grow: &str, done: &str) -> String {
    format!(
        "more_bytes := octet_length(content);
         IF old IS NULL THEN
             more_keys := 1;
             more_bytes := more_bytes + octet_length(name);
         ELSE
             more_bytes := more_bytes - octet_length(old);
         END IF;
         {grow}
         INSERT INTO {kv} (store, key, value) VALUES (of_store, name, content)
         ON CONFLICT (store, key) DO UPDATE SET value = excluded.value;
         RETURN {done};"
    )
}

fn look(kv: &str) -> String {
    format!("SELECT value INTO old FROM {kv} WHERE store = of_store AND key = name;")
}

/// Ends with 0 unless `name` is as `expected`; NULL is a key that is not there.
fn compare(kv: &str) -> String {
    format!(
        "{}
         IF old IS DISTINCT FROM expected THEN
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
         ELSIF octet_length(old) <= 100 THEN
             IF encode(old, 'escape') ~ '^[+-]?0*[0-9]{{1,19}}$' THEN
                 total := encode(old, 'escape')::numeric;
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
        assert_eq!(of("a").get.call, "SELECT a_get_v1($1, $2)");
        assert!(of("a").swap.call.ends_with("$7, $8)"));
        let (one, other) = (of("a"), of("a_set"));
        assert!(one.names().iter().all(|name| !other.names().contains(name)));
    }
}
