//! What the trait promises.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::StreamExt;
use shoal_stores::{
    BlobError, StoreId, StoreLimits, Usage,
    blob::{ByteRange, PIECE_BYTES, Place},
};

use crate::{WIDE, backends::Backend, filled, names, part, pieces, read, write};

on_every_backend!(
    an_object_is_what_was_written_and_parts_are_parts_of_it,
    objects_are_replaced_as_a_whole_also_for_who_reads_them,
    content_that_does_not_end_changes_nothing,
    listings_give_every_name_once,
    objects_are_deleted_cleared_and_copied,
    limits_are_named_and_hold,
    counts_are_exact_after_concurrent_writers,
    large_objects_pass_in_pieces,
);

type Stores = [StoreId; 3];

async fn an_object_is_what_was_written_and_parts_are_parts_of_it(
    Backend { blobs, .. }: Backend,
    [store, ..]: Stores,
) {
    assert_eq!(read(&*blobs, store, "a").await, Err(BlobError::NotFound));
    assert_eq!(blobs.info(store, "a".into()).await, Ok(None));
    write(&*blobs, store, "a", b"0123456789").await.unwrap();
    write(&*blobs, store, "empty", b"").await.unwrap();
    assert_eq!(read(&*blobs, store, "a").await.unwrap(), b"0123456789");
    assert_eq!(read(&*blobs, store, "empty").await.unwrap(), b"");
    let info = blobs.info(store, "a".into()).await.unwrap().unwrap();
    assert_eq!(info.size, 10);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(now.abs_diff(info.created_at) < 3600, "{info:?}");
    for (first, last, expected) in [
        (0, 0, "0"),
        (2, 4, "234"),
        (9, 9, "9"),
        (8, 100, "89"),
        (0, 9, "0123456789"),
    ] {
        let found = part(&*blobs, store, "a", first, last).await.unwrap();
        assert_eq!(found, expected.as_bytes(), "{first} to {last}");
    }
    assert_eq!(part(&*blobs, store, "empty", 0, 5).await.unwrap(), b"");
    for (first, last) in [(10, 10), (5, 4), (u64::MAX, u64::MAX)] {
        let refused = part(&*blobs, store, "a", first, last).await;
        assert!(matches!(refused, Err(BlobError::Refused(_))), "{refused:?}");
    }
}

async fn objects_are_replaced_as_a_whole_also_for_who_reads_them(
    Backend { blobs, .. }: Backend,
    [store, ..]: Stores,
) {
    let bytes = 2_000_000;
    let name = || "a".to_owned();
    blobs
        .write(store, name(), filled(1, bytes), WIDE)
        .await
        .unwrap();
    let old = blobs.read(store, name(), ByteRange::ALL).await.unwrap();
    let mut old_content = old.content;
    let first = old_content.next().await.unwrap().unwrap();
    blobs
        .write(store, name(), filled(2, 5), WIDE)
        .await
        .unwrap();
    let mut rest = first.len();
    while let Some(piece) = old_content.next().await {
        let piece = piece.unwrap();
        assert!(piece.iter().all(|byte| *byte == 1));
        assert!(piece.len() <= PIECE_BYTES);
        rest += piece.len();
    }
    assert_eq!(rest, bytes);
    assert_eq!(read(&*blobs, store, "a").await.unwrap(), [2; 5]);
}

async fn content_that_does_not_end_changes_nothing(backend: Backend, [store, ..]: Stores) {
    let Backend {
        blobs,
        for_operator,
        ..
    } = &backend;
    write(&**blobs, store, "a", b"before").await.unwrap();
    let cut = || {
        let piece = Bytes::from(vec![7; PIECE_BYTES]);
        let mut all = vec![Ok(piece); 100];
        all.push(Err(BlobError::Incomplete("it was cut".into())));
        pieces(all)
    };
    for name in ["a", "new"] {
        let failed = blobs.write(store, name.into(), cut(), WIDE).await;
        let expected = BlobError::Incomplete("it was cut".into());
        assert_eq!(failed, Err(expected));
    }
    assert_eq!(read(&**blobs, store, "a").await.unwrap(), b"before");
    assert_eq!(names(&**blobs, store, 10).await, ["a"]);
    let usage = for_operator.usage(store).await.unwrap();
    assert_eq!(usage, Usage { keys: 1, bytes: 7 });
}

async fn listings_give_every_name_once(Backend { blobs, .. }: Backend, [store, ..]: Stores) {
    assert_eq!(names(&*blobs, store, 10).await, [""; 0]);
    let hostile = [
        "a/b", "a", "a/", "../x", ".", "é", "e\u{301}", "a\0b", "%2F", "_2F", " ", "+/",
    ];
    let mut expected: BTreeSet<String> = hostile.map(str::to_owned).into();
    expected.extend((0..20).map(|number| format!("number/{number}")));
    expected.insert("long-".repeat(100));
    for name in &expected {
        write(&*blobs, store, name, name.as_bytes()).await.unwrap();
    }
    for limit in [1, 7, 1000] {
        let found = names(&*blobs, store, limit).await;
        let once: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(once, expected, "in pages of {limit}");
        assert_eq!(found.len(), expected.len());
    }
    for name in &expected {
        let content = read(&*blobs, store, name).await.unwrap();
        assert_eq!(content, name.as_bytes());
    }
    let past = blobs.list(store, Some("\u{10ffff}".into()), 10).await;
    assert!(past.unwrap().names.len() <= 10);
}

async fn objects_are_deleted_cleared_and_copied(backend: Backend, [store, other, _]: Stores) {
    let Backend {
        blobs,
        for_operator,
        ..
    } = &backend;
    let blobs = &**blobs;
    write(blobs, store, "a", b"content").await.unwrap();
    let place = |store, name: &str| Place {
        store,
        name: name.to_owned(),
    };
    blobs
        .copy(place(store, "a"), place(store, "b"), WIDE)
        .await
        .unwrap();
    blobs
        .copy(place(store, "a"), place(other, "c"), WIDE)
        .await
        .unwrap();
    blobs
        .copy(place(store, "a"), place(store, "a"), WIDE)
        .await
        .unwrap();
    let missing = blobs.copy(place(store, "x"), place(store, "y"), WIDE).await;
    assert_eq!(missing, Err(BlobError::NotFound));
    blobs
        .delete(store, vec!["a".into(), "missing".into()])
        .await
        .unwrap();
    assert_eq!(read(blobs, store, "a").await, Err(BlobError::NotFound));
    assert_eq!(read(blobs, store, "b").await.unwrap(), b"content");
    assert_eq!(read(blobs, other, "c").await.unwrap(), b"content");
    for number in 0..30 {
        write(blobs, store, &format!("n{number}"), b"x")
            .await
            .unwrap();
    }
    blobs.clear(store).await.unwrap();
    assert_eq!(names(blobs, store, 10).await, [""; 0]);
    let empty = for_operator.usage(store).await.unwrap();
    assert_eq!(empty, Usage::default());
    assert_eq!(names(blobs, other, 10).await, ["c"]);
    blobs.clear(store).await.unwrap();
}

async fn limits_are_named_and_hold(Backend { blobs, .. }: Backend, [store, ..]: Stores) {
    let limits = StoreLimits {
        key_bytes: 5,
        value_bytes: 10,
        keys: Some(2),
        bytes: Some(20),
    };
    let put = async |name: &str, bytes| {
        let written = blobs
            .write(store, name.to_owned(), filled(1, bytes), limits)
            .await;
        written.map_err(|error| error.to_string())
    };
    let over = |what: &str| Err(what.to_owned());
    assert_eq!(
        put("123456", 1).await,
        over("6 bytes in an object's name are more than the limit of 5")
    );
    assert!(put("", 1).await.is_err());
    assert_eq!(
        put("a", 11).await,
        over("11 bytes in an object are more than the limit of 10")
    );
    put("a", 10).await.unwrap();
    put("b", 5).await.unwrap();
    assert_eq!(
        put("c", 1).await,
        over("3 keys in one store are more than the limit of 2")
    );
    assert_eq!(
        put("b", 9).await,
        over("21 bytes of keys and values in one store are more than the limit of 20")
    );
    let (from, to) = ("a".to_owned(), "b".to_owned());
    let copied = blobs
        .copy(
            Place { store, name: from },
            Place { store, name: to },
            limits,
        )
        .await;
    assert!(
        matches!(copied, Err(BlobError::LimitExceeded(_))),
        "{copied:?}"
    );
    put("b", 8).await.unwrap();
    assert_eq!(read(&*blobs, store, "b").await.unwrap(), [1; 8]);
    blobs.delete(store, vec!["a".into()]).await.unwrap();
    put("c", 10).await.unwrap();
    let many = vec!["x".to_owned(); 1001];
    assert!(blobs.delete(store, many).await.is_err());
}

async fn counts_are_exact_after_concurrent_writers(backend: Backend, [store, ..]: Stores) {
    let limits = StoreLimits {
        keys: Some(20),
        bytes: Some(1000),
        ..WIDE
    };
    let blobs = &backend.blobs;
    // Eight writers of names that they partly share: 40 names in all, of which 20 have room.
    let writers = (0..8_usize).map(|writer| async move {
        let mut written = 0;
        for round in 0..10 {
            let name = format!("{:02}", (writer * 5 + round) % 40);
            let content = filled(1, 10 + writer);
            if blobs.write(store, name, content, limits).await.is_ok() {
                written += 1;
            }
        }
        written
    });
    let written: usize = futures::future::join_all(writers).await.into_iter().sum();
    assert!(written >= 20, "{written}");
    let found = names(&**blobs, store, 100).await;
    let mut bytes = 0;
    for name in &found {
        bytes += (name.len() + read(&**blobs, store, name).await.unwrap().len()) as u64;
    }
    assert_eq!(found.len(), 20, "as many as there is room for");
    let usage = backend.for_operator.usage(store).await.unwrap();
    assert_eq!(usage, Usage { keys: 20, bytes });
    assert!(bytes <= 1000);
}

async fn large_objects_pass_in_pieces(Backend { blobs, .. }: Backend, [store, ..]: Stores) {
    let bytes = 13 * 1024 * 1024 + 7;
    let name = "large".to_owned();
    blobs
        .write(store, name.clone(), filled(9, bytes), WIDE)
        .await
        .unwrap();
    let opened = blobs.read(store, name, ByteRange::ALL).await.unwrap();
    assert_eq!(opened.info.size, bytes as u64);
    let mut content = opened.content;
    let mut read = 0;
    while let Some(piece) = content.next().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= PIECE_BYTES && piece.iter().all(|byte| *byte == 9));
        read += piece.len();
    }
    assert_eq!(read, bytes);
    let end = part(&*blobs, store, "large", bytes as u64 - 3, u64::MAX).await;
    assert_eq!(end.unwrap(), [9; 3]);
}
