//! The steps that functions are made of, in PL/pgSQL. Variables are those that every function declares, and
//! its parameters.

/// Waits for others for `patience` ms at most. Without a `patience`, the session was begun with the settings that
/// this takes.
///
/// One of them is that no table is read from end to end: a plan outlives the moment in which its table is
/// so small that this is the shortest way.
pub(super) fn wait() -> &'static str {
    "IF patience IS NOT NULL THEN
         PERFORM set_config('lock_timeout', patience, true),
                 set_config('enable_seqscan', 'off', true);
     END IF;"
}

/// Waits for a turn in each of `slots`, and leaves the last of them in `slot_held`.
pub(super) fn lock(usage: &str) -> String {
    format!(
        "FOREACH slot_held IN ARRAY slots LOOP
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
pub(super) fn grow(usage: &str) -> String {
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
pub(super) fn set(kv: &str, grow: &str) -> String {
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

/// Sets `name` to `content` and ends, if it holds as many bytes, which is what most writes are: that changes no
/// count, so that it takes no turn in a slot, and others who replace a value by what they read of it lock
/// that row.
///
/// Ends with 2 where it is of another size since it was looked at: its row may be locked now, and who waits
/// for a turn while he holds one would wait for another who waits for it.
pub(super) fn replace(kv: &str) -> String {
    let this = "store = of_store AND key = name";
    format!(
        "SELECT octet_length(value) INTO old FROM {kv} WHERE {this};
         IF old = octet_length(content) THEN
             UPDATE {kv} SET value = content WHERE {this} AND octet_length(value) = old;
             IF FOUND THEN
                 RETURN ARRAY[1];
             END IF;
             RETURN ARRAY[2];
         END IF;"
    )
}

/// Leaves in `old` how many bytes `name` holds.
pub(super) fn measure(kv: &str) -> String {
    format!("SELECT octet_length(value) INTO old FROM {kv} WHERE store = of_store AND key = name;")
}

/// Sets `name`, which holds `old` bytes, to `content`, and gives `done`.
pub(super) fn put(kv: &str, grow: &str, done: &str) -> String {
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

/// Leaves what `name` holds in `held`, and how many bytes that is in `old`. Nobody replaces it meanwhile.
fn look(kv: &str) -> String {
    format!(
        "SELECT value INTO held FROM {kv} WHERE store = of_store AND key = name
         FOR NO KEY UPDATE;
         old := octet_length(held);"
    )
}

/// Ends with 0 unless `name` is as `expected`; NULL is a key that is not there.
pub(super) fn compare(kv: &str) -> String {
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
pub(super) fn add(kv: &str) -> String {
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

pub(super) fn delete(kv: &str, usage: &str) -> String {
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
pub(super) fn purge(kv: &str, usage: &str) -> String {
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
