//! Backups of a folder that is in use, and folders made from them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use shoal_stores::{
    Embedded, KeyValue, StoreId, StoreLimits, Usage,
    backup::{self, BackupError},
    embedded::{Durability, EmbeddedOptions},
};

fn open(folder: &Path) -> Embedded {
    // What is looked at does not end with the machine.
    let options = EmbeddedOptions {
        durability: Durability::Relaxed,
        ..EmbeddedOptions::default()
    };
    Embedded::open(&folder.join("stores"), options).unwrap()
}

async fn set(stores: &Embedded, id: StoreId, n: u32) {
    let pairs = vec![
        (format!("left-{n}"), n.to_string().into()),
        (format!("right-{n}"), n.to_string().into()),
    ];
    stores.set(id, pairs, StoreLimits::default()).await.unwrap();
}

async fn keys(stores: &Embedded, id: StoreId) -> Vec<String> {
    let mut keys = Vec::new();
    loop {
        let page = stores
            .list_keys(id, keys.last().cloned(), 1000)
            .await
            .unwrap();
        keys.extend(page.keys);
        if !page.more {
            return keys;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_in_use_is_copied_with_each_write_whole_or_not_at_all() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stores = open(from.path());
    let ids: Vec<StoreId> = (0..20).map(|_| StoreId::random()).collect();
    for id in &ids {
        for n in 0..50 {
            set(&stores, *id, n).await;
        }
    }
    fs::write(from.path().join("grants"), "of a moment").unwrap();
    fs::create_dir(from.path().join("blobs")).unwrap();
    fs::write(from.path().join("blobs/one"), "a blob").unwrap();
    let archive = from.path().join(".archive");
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let copying = scope.spawn(|| {
                backup::write(from.path(), File::create(&archive).unwrap()).unwrap();
            });
            let runtime = tokio::runtime::Handle::current();
            let mut n = 50;
            while !copying.is_finished() {
                for id in &ids {
                    runtime.block_on(set(&stores, *id, n));
                }
                n += 1;
            }
        });
    });

    backup::restore(to.path(), File::open(&archive).unwrap(), false).unwrap();
    let copy = open(to.path());
    for id in &ids {
        let keys = keys(&copy, *id).await;
        for n in 0..50 {
            assert!(
                keys.contains(&format!("left-{n}")),
                "what was acknowledged before is there"
            );
        }
        let of = |side: &str| keys.iter().filter(|key| key.starts_with(side)).count();
        assert_eq!(of("left"), of("right"), "one write");
        let usage = copy.usage(*id).await.unwrap();
        assert_eq!(
            usage.keys,
            keys.len() as u64,
            "counts are as of the same moment"
        );
        set(&copy, *id, 1_000_000).await;
    }
    assert_eq!(fs::read(to.path().join("blobs/one")).unwrap(), b"a blob");
    assert!(!to.path().join("grants").exists());
    let left = |folder: &Path| {
        let entries = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        entries
            .filter(|name| name.to_string_lossy().contains("backup"))
            .count()
    };
    assert_eq!((left(from.path()), left(to.path())), (0, 0));
}

async fn filled() -> (tempfile::TempDir, StoreId, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let id = StoreId::random();
    set(&open(folder.path()), id, 1).await;
    let mut archive = Vec::new();
    backup::write(folder.path(), &mut archive).unwrap();
    (folder, id, archive)
}

#[tokio::test]
async fn what_is_there_is_replaced_only_by_who_says_so_and_only_by_a_whole_backup() {
    let (_from, id, archive) = filled().await;
    let to = tempfile::tempdir().unwrap();
    let other = StoreId::random();
    set(&open(to.path()), other, 7).await;
    let refused = backup::restore(to.path(), &archive[..], false).unwrap_err();
    assert!(
        matches!(&refused, BackupError::NotEmpty { found, .. } if found == "stores"),
        "{refused}"
    );

    let half = &archive[..archive.len() / 2];
    let text = b"something else".repeat(100);
    for broken in [half, &[], &text] {
        assert!(backup::restore(to.path(), broken, true).is_err());
        assert_eq!(
            keys(&open(to.path()), other).await.len(),
            2,
            "nothing was changed"
        );
    }
    backup::restore(to.path(), &archive[..], true).unwrap();
    let stores = open(to.path());
    assert_eq!(keys(&stores, id).await, ["left-1", "right-1"]);
    assert_eq!(stores.usage(other).await.unwrap(), Usage::default());
}

fn archive_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, data) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o600);
        // `set_path` refuses what an attacker would write.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *data).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn an_archive_that_is_none_of_ours_writes_nothing_anywhere() {
    let outside = tempfile::tempdir().unwrap();
    let to = outside.path().join("data");
    let damaged = [b"SQLite format 3\0".as_slice(), &[1; 4096]].concat();
    let size = damaged.len();
    let contents = format!("shoal backup 1\n{size} stores/a.db\n");
    for entries in [
        vec![("../evil", b"x".as_slice())],
        vec![("/evil", b"x".as_slice())],
        vec![("stores/../../evil", b"x".as_slice())],
        vec![("grants", b"x".as_slice())],
        vec![("shoal-backup", b"shoal backup 2\n".as_slice())],
        vec![("shoal-backup", b"shoal backup 1\n1 stores/a\n".as_slice())],
        vec![
            ("stores/a", b"x".as_slice()),
            ("shoal-backup", b"shoal backup 1\n".as_slice()),
        ],
        vec![
            ("stores/a.db", damaged.as_slice()),
            ("shoal-backup", contents.as_bytes()),
        ],
    ] {
        let archive = archive_of(&entries);
        assert!(
            backup::restore(&to, &archive[..], false).is_err(),
            "{entries:?}"
        );
        assert_eq!(to.read_dir().unwrap().count(), 0, "{entries:?}");
        assert!(!outside.path().join("evil").exists());
    }
}

#[tokio::test]
async fn the_program_writes_to_standard_output_and_reads_standard_input() {
    let (from, id, _) = filled().await;
    let to = tempfile::tempdir().unwrap();
    let program = || Command::new(env!("CARGO_BIN_EXE_shoal-store"));
    let archive = from.path().join(".archive");
    let written = program()
        .arg("backup")
        .arg("--data-dir")
        .arg(from.path())
        .stdout(File::create(&archive).unwrap())
        .status();
    assert!(written.unwrap().success());
    let restore = || {
        let mut command = program();
        command.arg("restore").arg("--data-dir").arg(to.path());
        command.stdin(File::open(&archive).unwrap());
        command.stderr(Stdio::piped());
        command.output().unwrap()
    };
    assert!(restore().status.success());
    assert_eq!(keys(&open(to.path()), id).await, ["left-1", "right-1"]);
    let again = restore();
    assert!(!again.status.success());
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("--replace"), "{said}");
}
