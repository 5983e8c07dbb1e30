//! A server whose disk is full refuses writes with that reason, and takes them again once it is not.

use shoal_mounts::{Apart, enlarge};

use super::*;
use backend::server::give;

const FOLDER: &str = "SHOAL_TEST_SMALL_TABLESPACE";

/// The child: runs where `FOLDER` is a file system of 4 MiB, which it may enlarge.
#[tokio::test]
async fn child_with_a_small_tablespace() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let Some(server) = server("a full disk", &["fsync=off"]).await else {
        return;
    };
    give(folder.as_ref());
    let admin = server.admin().await;
    admin
        .batch_execute(&format!("CREATE TABLESPACE small LOCATION '{folder}'"))
        .await
        .unwrap();
    let small = "ALTER ROLE postgres SET default_tablespace = 'small'";
    admin.batch_execute(small).await.unwrap();

    let (stores, store) = (open(&server.url()), StoreId::random());
    // Nothing that could be compressed.
    let value: String = (0..2000).map(|_| StoreId::random().to_string()).collect();
    let mut written = 0;
    let refused = loop {
        let result = set(&stores, store, &written.to_string(), &value).await;
        if result.is_err() {
            break result;
        }
        written += 1;
        assert!(written < 500, "the disk never filled");
    };
    assert_eq!(unavailable(&server, refused), "the disk is full");
    assert!(written > 5, "{written} values fit");
    // Though what a probe writes may still fit.
    assert_eq!(ill(&server, &stores).await, Some(Reason::ReadOnly));
    for key in 0..written {
        assert!(
            get(&stores, store, &key.to_string())
                .await
                .unwrap()
                .is_some(),
            "{key} is gone"
        );
    }
    enlarge(&folder, "64m");
    set(&stores, store, &written.to_string(), &value)
        .await
        .unwrap();
    assert_eq!(ill(&server, &stores).await, None);
    println!("recovered after {written} values");
}

#[test]
fn a_full_disk_fails_writes_plainly_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Apart {
        test: "disk_full::child_with_a_small_tablespace",
        mount: "mount -t tmpfs -o size=4m tmpfs \"$1\"",
        place: folder.path(),
        environment: &[(FOLDER, folder.path())],
        // The server is another user's process.
        as_root: true,
        word: "recovered",
    };
    apart.run("Postgres on a full disk");
}
