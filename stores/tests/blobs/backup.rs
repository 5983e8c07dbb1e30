//! Backups of objects that are replaced and deleted meanwhile.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use shoal_stores::{
    Blobs, EmbeddedBlobs, StoreId,
    backup::{self, BackupError},
    embedded::Durability,
};

use crate::{embedded::until, filled, names, read, write};

/// Bytes of an object.
const SIZE: usize = 10_000;

fn open(folder: &Path) -> EmbeddedBlobs {
    EmbeddedBlobs::open(&folder.join("blobs"), Durability::Relaxed).unwrap()
}

/// The files with content, and those that are kept for backups.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("blobs/content")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false if entry.file_name() != "lock" => files.push(entry.path()),
                false => {}
            }
        }
    }
    files
}

async fn whole_copy_of(archive: &[u8], store: StoreId) -> Vec<(String, u8)> {
    let folder = tempfile::tempdir().unwrap();
    backup::restore(folder.path(), archive, false).unwrap();
    let blobs = open(folder.path());
    let mut found = Vec::new();
    for name in names(&blobs, store, 1000).await {
        let content = read(&blobs, store, &name).await.unwrap();
        assert_eq!(content.len(), SIZE, "{name}");
        assert!(content.iter().all(|byte| *byte == content[0]), "{name}");
        found.push((name, content[0]));
    }
    found
}

/// Takes an archive, and does something when its first bytes come: the index was copied then, its content was not.
struct Interrupted<F> {
    archive: Vec<u8>,
    then: Option<F>,
}

impl<F: FnOnce()> Write for Interrupted<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(then) = self.then.take() {
            then();
        }
        self.archive.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn it_has_every_object_whatever_is_in_it() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = open(from.path());
    let store = StoreId::random();
    let hostile = b"SQLite format 3\0 and nothing else";
    write(&blobs, store, "hostile", hostile).await.unwrap();
    write(&blobs, store, "plain", b"content").await.unwrap();
    let mut archive = Vec::new();
    backup::write(from.path(), &mut archive).unwrap();
    write(&blobs, store, "later", b"content").await.unwrap();

    backup::restore(to.path(), &archive[..], false).unwrap();
    let restored = open(to.path());
    assert_eq!(read(&restored, store, "hostile").await.unwrap(), hostile);
    assert_eq!(names(&restored, store, 10).await, ["hostile", "plain"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_and_deleted_once_the_index_was_copied_is_in_it_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = open(folder.path());
    let store = StoreId::random();
    for name in ["replaced", "deleted", "left"] {
        blobs
            .write(store, name.into(), filled(b'a', SIZE), crate::WIDE)
            .await
            .unwrap();
    }
    let runtime = tokio::runtime::Handle::current();
    let change = || {
        runtime.block_on(async {
            let content = filled(b'b', SIZE);
            let (name, gone) = ("replaced".to_owned(), vec!["deleted".to_owned()]);
            blobs
                .write(store, name, content, crate::WIDE)
                .await
                .unwrap();
            blobs.delete(store, gone).await.unwrap();
        });
    };
    let mut out = Interrupted {
        archive: Vec::new(),
        then: Some(change),
    };
    tokio::task::block_in_place(|| backup::write(folder.path(), &mut out)).unwrap();
    assert!(out.then.is_none());

    let expected = ["deleted", "left", "replaced"].map(|name| (name.to_owned(), b'a'));
    assert_eq!(whole_copy_of(&out.archive, store).await, expected);
    assert_eq!(names(&blobs, store, 10).await, ["left", "replaced"]);
    assert_eq!(
        files(folder.path()).len(),
        2,
        "nothing is kept after the backup"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_has_what_it_names_while_everything_changes() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(open(folder.path()));
    let store = StoreId::random();
    let name = |n: u8| format!("object-{n}");
    write(&*blobs, store, "still", &[b's'; SIZE]).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let changing: Vec<_> = (0..4)
        .map(|n: u8| {
            let (blobs, is_over) = (Arc::clone(&blobs), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut round = 0_u8;
                while !is_over.load(Ordering::Relaxed) {
                    round = round.wrapping_add(1);
                    let content = filled(round, SIZE);
                    blobs
                        .write(store, name(n), content, crate::WIDE)
                        .await
                        .unwrap();
                    if round.is_multiple_of(3) {
                        blobs.delete(store, vec![name(n)]).await.unwrap();
                    }
                }
            })
        })
        .collect();
    // Two at a time: each keeps what it needs.
    for _ in 0..10 {
        let write = || {
            let folder = folder.path().to_owned();
            tokio::task::spawn_blocking(move || {
                let mut archive = Vec::new();
                backup::write(&folder, &mut archive).map(|()| archive)
            })
        };
        let (one, other) = tokio::join!(write(), write());
        for archive in [one, other] {
            let found = whole_copy_of(&archive.unwrap().unwrap(), store).await;
            assert!(found.contains(&("still".to_owned(), b's')));
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for one in changing {
        one.await.unwrap();
    }
    let objects = names(&*blobs, store, 10).await.len();
    assert_eq!(files(folder.path()).len(), objects);
}

#[tokio::test]
async fn it_fails_and_says_which_object_has_lost_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = open(folder.path());
    let store = StoreId::random();
    write(&blobs, store, "lost", b"content").await.unwrap();
    let [file] = &files(folder.path())[..] else {
        panic!("one file");
    };
    write(&blobs, store, "well", b"content").await.unwrap();
    let refused = || {
        let refused = backup::write(folder.path(), io::sink()).unwrap_err();
        assert!(
            matches!(&refused, BackupError::Lost { objects, more: 0 } if objects.len() == 1),
            "{refused}"
        );
        let said = refused.to_string();
        let name = file.strip_prefix(folder.path()).unwrap();
        for expected in ["lost", &store.to_string(), &name.display().to_string()] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    };
    fs::write(file, b"cut").unwrap();
    refused();
    fs::remove_file(file).unwrap();
    refused();

    blobs.delete(store, vec!["lost".into()]).await.unwrap();
    backup::write(folder.path(), io::sink()).unwrap();
}

#[tokio::test]
async fn what_a_dead_one_kept_goes_and_nothing_more_is_kept_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("blobs/content/kept/of-before");
    let die = || {
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        fs::write(dead.join("1-00000000000000000000000000000000"), "content").unwrap();
    };
    die();
    let blobs = open(folder.path());
    until(|| !dead.exists()).await;

    die();
    let store = StoreId::random();
    write(&blobs, store, "a", b"content").await.unwrap();
    blobs.delete(store, vec!["a".into()]).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    backup::write(folder.path(), io::sink()).unwrap();
    assert!(!dead.exists());
}
