use std::io::Write as _;

use shoal_artifact::Digest;
use shoal_engine::EngineKey;

use super::*;

fn open(folder: &Path, bound: u64) -> Cache {
    Cache::open(folder, bound, Arc::new(|_| false)).unwrap()
}

fn put(cache: &Cache, key: &Key, content: &[u8]) -> Result<Pin, CacheError> {
    let file = cache.temporary().unwrap();
    // What a compiler makes is not known before it is there, and counts when it is kept.
    file.reopen().unwrap().write_all(content).unwrap();
    cache.put(key, file, &Sha256::digest(content).into())
}

fn read(cache: &Cache, key: &Key) -> Option<Vec<u8>> {
    let mut content = cache.open_content(key)?;
    let mut bytes = Vec::new();
    content.file.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

fn component(name: &str) -> Key {
    Key::Component(Digest::of(name.as_bytes()))
}

fn code(name: &str) -> Key {
    Key::Code(Digest::of(name.as_bytes()), EngineKey::host().unwrap())
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [
        component("a"),
        code("a"),
        Key::Description(Digest::of(b"a")),
    ];
    for key in &keys {
        drop(put(&open(folder.path(), 1000), key, b"content").unwrap());
    }
    let cache = open(folder.path(), 1000);
    for key in &keys {
        assert_eq!(read(&cache, key).as_deref(), Some(&b"content"[..]));
    }
    assert_eq!(cache.usage(), (21, 3));
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), 30);
    for name in ["a", "b", "c"] {
        put(&cache, &component(name), &[0; 10]).unwrap();
    }
    assert!(cache.has(&component("a")));
    put(&cache, &component("d"), &[0; 10]).unwrap();
    let left = ["a", "b", "c", "d"].map(|name| cache.has(&component(name)));
    assert_eq!(left, [true, false, true, true]);
    assert_eq!(
        std::fs::read_dir(folder.path().join("components"))
            .unwrap()
            .count(),
        3
    );
}

#[test]
fn what_is_in_use_stays_and_granted_code_goes_last() {
    let folder = tempfile::tempdir().unwrap();
    let granted = Digest::of(b"granted").to_string();
    let cache = Cache::open(folder.path(), 30, Arc::new(move |digest| digest == granted)).unwrap();
    put(&cache, &code("granted"), &[0; 10]).unwrap();
    let pin = put(&cache, &component("held"), &[0; 10]).unwrap();
    put(&cache, &component("other"), &[0; 10]).unwrap();

    drop(put(&cache, &component("next"), &[0; 10]).unwrap());
    assert!(cache.has(&code("granted")) && !cache.has(&component("other")));
    let error = put(&cache, &component("large"), &[0; 30]).unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Full {
                needed: 30,
                bound: 30,
                free: 20
            }
        ),
        "{error}"
    );
    let all = [code("granted"), component("held"), component("next")];
    assert!(all.iter().all(|key| cache.has(key)));
    drop(pin);
    put(&cache, &component("large"), &[0; 30]).unwrap();
    assert!(!all.iter().any(|key| cache.has(key)));
}

#[test]
fn a_cache_full_of_granted_code_takes_new_apps_in_place_of_what_was_fetched_longest_ago() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), 30, Arc::new(|_| true)).unwrap();
    for name in ["a", "b", "c"] {
        drop(put(&cache, &code(name), &[0; 10]).unwrap());
    }
    assert!(read(&cache, &code("a")).is_some());
    drop(put(&cache, &code("new"), &[0; 10]).unwrap());
    let left = ["a", "b", "c", "new"].map(|name| cache.has(&code(name)));
    assert_eq!(left, [true, false, true, true]);
}

#[test]
fn code_that_is_not_granted_yet_outlives_what_nobody_needs() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), 20);
    drop(put(&cache, &code("just compiled"), &[0; 10]).unwrap());
    drop(put(&cache, &component("a"), &[0; 10]).unwrap());
    drop(put(&cache, &component("b"), &[0; 10]).unwrap());
    assert!(cache.has(&code("just compiled")) && !cache.has(&component("a")));
}

#[test]
fn temporary_files_share_room_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), 40);
    let (mut one, mut other) = (cache.temporary().unwrap(), cache.temporary().unwrap());
    one.append(b"123456").unwrap();
    let error = other.reserve(5).unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Busy {
                needed: 5,
                bound: 10,
                free: 4
            }
        ),
        "{error}"
    );
    drop(one);
    other.reserve(10).unwrap();
    let key = component("kept");
    other.reopen().unwrap().write_all(b"content").unwrap();
    cache
        .put(&key, other, &Sha256::digest(b"content").into())
        .unwrap();
    cache.temporary().unwrap().reserve(10).unwrap();
}

#[test]
fn garbage_in_the_folder_is_removed_and_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let key = code("a");
    drop(put(&open(folder.path(), 1000), &key, b"content"));
    let file = folder
        .path()
        .join(key.file_name(&Sha256::digest(b"content").into()));
    std::fs::write(&file, b"c0ntent").unwrap();
    let garbage = ["code/x", "code/../y", "components/.z", "tmp/half-written"];
    for path in garbage {
        std::fs::write(folder.path().join(path), b"garbage").unwrap();
    }
    std::fs::create_dir(folder.path().join("descriptions").join("a".repeat(64))).unwrap();
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();

    let cache = open(folder.path(), 1000);
    assert_eq!(read(&cache, &key), None);
    assert_eq!(cache.usage(), (0, 0));
    assert!(!file.exists() && !folder.path().join("code/x").exists());
    assert!(!folder.path().join("tmp/half-written").exists());
    assert!(folder.path().join("lost+found").exists());
}

#[test]
fn a_lower_bound_holds_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        drop(put(&open(folder.path(), 30), &component(name), &[0; 10]).unwrap());
    }
    assert!(open(folder.path(), 15).usage().0 <= 15);
}

#[test]
fn a_file_that_vanished_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), 1000);
    drop(put(&cache, &component("a"), b"content"));
    std::fs::remove_dir_all(folder.path().join("components")).unwrap();
    assert_eq!(read(&cache, &component("a")), None);
    assert!(!cache.has(&component("a")));
}
