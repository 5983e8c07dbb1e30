//! What is the folder's own.

use std::{fs, path::Path};

use shoal_stores::{Blobs, EmbeddedBlobs, StoreId, embedded::Durability};

use crate::{names, read, write};

fn open(folder: &Path) -> EmbeddedBlobs {
    EmbeddedBlobs::open(folder, Durability::Full).unwrap()
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(walk(&path)),
            false => files.push(path),
        }
    }
    files
}

/// Files with content.
fn content(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = walk(&folder.join("content"));
    files.retain(|file| file.file_name().is_some_and(|name| name != "lock"));
    files
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..9000 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it never came to that");
}

#[tokio::test]
async fn what_a_crash_left_behind_is_swept_and_what_is_known_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreId::random();
    let blobs = open(folder.path());
    write(&blobs, store, "a", b"kept").await.unwrap();
    drop(blobs);
    let left = folder.path().join("content/1/ff");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("ffffffffffffffffffffffffffffffff"), "half").unwrap();
    let foreign = folder.path().join("content/1/notes.txt");
    fs::write(&foreign, "somebody's").unwrap();
    assert_eq!(content(folder.path()).len(), 3);

    let blobs = open(folder.path());
    until(|| content(folder.path()).len() == 2).await;
    assert!(foreign.exists(), "what is none of ours is left alone");
    assert_eq!(read(&blobs, store, "a").await.unwrap(), b"kept");
}

#[tokio::test]
async fn a_folder_that_is_open_elsewhere_is_not_swept() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let store = StoreId::random();
    // Between its file and its row a write of the first is not known to the second.
    let left = folder.path().join("content/1/00");
    fs::create_dir_all(&left).unwrap();
    let under_way = left.join("00000000000000000000000000000000");
    fs::write(&under_way, "under way").unwrap();
    let second = open(folder.path());
    write(&second, store, "a", b"of the second").await.unwrap();
    assert_eq!(read(&first, store, "a").await.unwrap(), b"of the second");
    drop(second);
    drop(open(folder.path()));
    assert!(under_way.exists());
}

#[tokio::test]
async fn files_are_named_by_nobody_and_go_with_their_objects() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreId::random();
    let blobs = open(folder.path());
    for round in 0..3 {
        write(&blobs, store, "secret-name", &[round; 10])
            .await
            .unwrap();
    }
    assert_eq!(content(folder.path()).len(), 1, "replaced content is gone");
    for file in walk(folder.path()) {
        let name = file.display().to_string();
        assert!(!name.contains("secret-name") && !name.contains(&store.to_string()));
    }
    blobs
        .delete(store, vec!["secret-name".into()])
        .await
        .unwrap();
    assert_eq!(content(folder.path()).len(), 0);
    drop(blobs);
    let blobs = open(folder.path());
    assert_eq!(names(&blobs, store, 10).await, [""; 0]);
}
