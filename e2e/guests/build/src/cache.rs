use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// How many sets of guests are kept, so that switching between branches builds nothing.
const KEPT: usize = 6;
const PREFIX: &str = "guests-";

/// The folder of Shoal's own in the user's cache. Made if need be.
pub(crate) fn folder() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let cache = match cache {
        Some(cache) => cache,
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let folder = cache.join("shoal");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// One build at a time; the lock goes with the returned file.
pub(crate) fn lock(cache: &Path, progress: &mut dyn FnMut(&str)) -> Result<File> {
    let path = cache.join("guests.lock");
    let context = || format!("cannot lock {}", path.display());
    let file = File::create(&path).with_context(context)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress("waiting for another build of the guests"),
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    file.lock().with_context(context)?;
    Ok(file)
}

/// The folder of one set of guests: there only when it is complete.
pub(crate) fn set(cache: &Path, fingerprint: &str) -> PathBuf {
    cache.join(format!("{PREFIX}{fingerprint}"))
}

/// Removes the sets that were built longest ago, but never `current`.
pub(crate) fn prune(cache: &Path, current: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    let mut sets: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| is_set(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    sets.sort_by(|a, b| b.cmp(a));
    for (_, set) in sets
        .into_iter()
        .skip(KEPT)
        .filter(|(_, set)| set != current)
    {
        let _ = fs::remove_dir_all(set);
    }
}

fn is_set(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Copies so that a reader sees the old file or the new one, and leaves an equal one alone.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|existing| existing == bytes) {
        return Ok(());
    }
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, to))
        .with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_keeps_the_newest_sets_and_everything_else() {
        let cache = tempfile::tempdir().unwrap();
        let sets: Vec<_> = (0..KEPT + 2)
            .map(|n| set(cache.path(), &format!("{n:032x}")))
            .collect();
        for (age, set) in sets.iter().enumerate() {
            fs::create_dir(set).unwrap();
            let then = SystemTime::now() - std::time::Duration::from_secs(age as u64 * 60);
            File::open(set).unwrap().set_modified(then).unwrap();
        }
        fs::create_dir(cache.path().join("guests-target")).unwrap();
        let current = sets.last().unwrap();
        prune(cache.path(), current);
        let kept: Vec<_> = sets.iter().filter(|set| set.exists()).collect();
        assert_eq!(kept.len(), KEPT + 1);
        assert!(current.exists() && cache.path().join("guests-target").exists());
    }

    #[test]
    fn an_equal_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, "x").unwrap();
        copy(&from, &to).unwrap();
        let written = fs::metadata(&to).unwrap().modified().unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), written);
        fs::write(&from, "y").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"y");
    }
}
