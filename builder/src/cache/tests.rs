use std::io::Write as _;

use shoal_artifact::Digest;
use shoal_engine::EngineKey;

use super::*;

fn open(folder: &Path, bound: u64) -> Cache {
    Cache::open(folder, bound, Arc::new(|_| false)).unwrap()
}

fn put(cache: &Cache, key: &Key, content: &[u8]) -> Result<Pin, CacheError> {
    let mut file = cache.temporary().unwrap();
    file.write_all(content).unwrap();
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
fn what_is_in_use_or_granted_stays() {
    let folder = tempfile::tempdir().unwrap();
    let granted = Digest::of(b"granted").to_string();
    let cache = Cache::open(folder.path(), 30, Arc::new(move |digest| digest == granted)).unwrap();
    put(&cache, &code("granted"), &[0; 10]).unwrap();
    let pin = put(&cache, &component("held"), &[0; 10]).unwrap();
    put(&cache, &component("other"), &[0; 10]).unwrap();

    let error = put(&cache, &component("large"), &[0; 20]).unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Full {
                needed: 20,
                bound: 30,
                free: 10
            }
        ),
        "{error}"
    );
    assert!(cache.has(&code("granted")) && cache.has(&component("held")));
    drop(pin);
    put(&cache, &component("large"), &[0; 20]).unwrap();
    assert!(cache.has(&code("granted")) && !cache.has(&component("held")));
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
