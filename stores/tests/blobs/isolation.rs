//! A Store's objects are out of reach of every other Store, whatever names are tried.

use shoal_stores::{
    BlobError, StoreId,
    blob::{ByteRange, Place},
};

use crate::{WIDE, backends::Backend, names, read, write};

on_every_backend!(no_name_reaches_a_neighbours_objects);

const NAMES: [&str; 5] = ["key", "k\u{e9}y", "a\0b", "0", "dir/key"];

/// Names under which one might find the objects of `victim`.
fn attempts(victim: StoreId) -> Vec<String> {
    let id = victim.to_string();
    let bare = id.replace('-', "");
    let binary: String = victim
        .as_bytes()
        .iter()
        .map(|byte| char::from(*byte))
        .collect();
    let mut attempts: Vec<String> = NAMES.map(str::to_owned).into();
    for prefix in [
        &id,
        &bare,
        &binary,
        &id.to_uppercase(),
        "..",
        "",
        "shoal",
        "*",
    ] {
        for separator in ["", "/", "\0", "\\", "/../", "%2F", "_2F", "+/", "\n"] {
            for name in NAMES {
                attempts.push(format!("{prefix}{separator}{name}"));
                attempts.push(format!("../{prefix}{separator}{name}"));
            }
        }
    }
    for hostile in [
        "",
        ".",
        "..",
        "/",
        "//",
        "../../index.db",
        "../content/1/lock",
        "/etc/passwd",
        "%2e%2e%2fkey",
        "file:///etc/passwd",
        "' OR '1'='1",
        "x'); DELETE FROM objects; --",
        "ke\u{301}y",
        "ｋｅｙ",
        "key ",
        " key",
        "KEY",
        "key\u{200b}",
        "\u{feff}key",
        "\u{10ffff}",
        "key?versionId=null",
        "key#",
        "?acl",
        "*",
        "[a-z]*",
        "%",
    ] {
        attempts.push(hostile.to_owned());
    }
    attempts.push("k".repeat(1024));
    attempts.push("k".repeat(100_000));
    attempts.push("../".repeat(300));
    attempts
}

async fn no_name_reaches_a_neighbours_objects(
    backend: Backend,
    [victim, attacker, _]: [StoreId; 3],
) {
    let blobs = &*backend.blobs;
    for name in NAMES {
        write(blobs, victim, name, b"a neighbour's").await.unwrap();
    }
    for name in attempts(victim) {
        let found = blobs.read(attacker, name.clone(), ByteRange::ALL).await;
        assert!(found.is_err(), "read {name:?}");
        let info = blobs.info(attacker, name.clone()).await;
        assert!(!matches!(info, Ok(Some(_))), "found {name:?}");
        let page = blobs.list(attacker, Some(name.clone()), 10).await;
        assert!(
            page.map_or(true, |page| page.names.is_empty()),
            "listed after {name:?}"
        );
        let (from, to) = (
            Place {
                store: attacker,
                name: name.clone(),
            },
            Place {
                store: attacker,
                name: "copy".into(),
            },
        );
        let copied = blobs.copy(from, to, WIDE).await;
        assert!(copied.is_err(), "copied {name:?}");
        // Whatever it may write is its own.
        match write(blobs, attacker, &name, b"overwritten").await {
            Ok(()) => assert_eq!(read(blobs, attacker, &name).await.unwrap(), b"overwritten"),
            Err(error) => assert!(
                matches!(error, BlobError::LimitExceeded(_)),
                "{name:?}: {error}"
            ),
        }
        blobs.delete(attacker, vec![name]).await.unwrap();
    }
    write(blobs, attacker, "own", b"own").await.unwrap();
    assert_eq!(names(blobs, attacker, 100).await, ["own"]);
    blobs.clear(attacker).await.unwrap();
    for name in NAMES {
        assert_eq!(read(blobs, victim, name).await.unwrap(), b"a neighbour's");
    }
    let mut left = names(blobs, victim, 100).await;
    left.sort_unstable();
    let mut expected = NAMES.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(left, expected);
}
