//! The file of the classes of stores that were obeyed last. They hold credentials, so it is on a
//! memory-backed volume: it outlives the container, and neither the pod nor a disk ever holds it.

use std::{io, path::Path, path::PathBuf};

use prost::Message as _;
use shoal_protocol::{state_file, v1};
use tokio::sync::watch;

const NAME: &str = "store-classes";
/// Larger than any message of the stream.
const MOST: u64 = 64 << 20;

/// Writes the file, the last message only, in a task of its own.
pub(super) struct KeptClasses {
    latest: watch::Sender<Option<v1::StoreClasses>>,
}

impl KeptClasses {
    /// Reads what an earlier container of the pod kept; `None`, where there is nothing to be read.
    pub(super) fn open(folder: &Path) -> (Self, Option<v1::StoreClasses>) {
        let path = folder.join(NAME);
        let kept = read(&path).inspect_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = path.display();
                tracing::warn!(%path, %error, "the last classes of stores cannot be read; waiting for new ones");
            }
        });
        let kept = kept.ok();
        let latest = watch::Sender::new(kept.clone());
        tokio::spawn(write_latest(path, latest.subscribe()));
        (Self { latest }, kept)
    }

    /// What the message comes to beside the last one: with what it says is to be kept.
    pub(super) fn write(&self, message: v1::StoreClasses) -> v1::StoreClasses {
        let v1::StoreClasses { mut classes, keep } = message;
        if let Some(last) = &*self.latest.borrow() {
            let is_kept = |class: &&v1::StoreClass| keep.contains(&class.name);
            classes.extend(last.classes.iter().filter(is_kept).cloned());
        }
        let keep = Vec::new();
        let all = v1::StoreClasses { classes, keep };
        self.latest.send_replace(Some(all.clone()));
        all
    }
}

fn read(path: &Path) -> io::Result<v1::StoreClasses> {
    let bytes = state_file::read(path, MOST)?;
    // What the decoder says names fields, never what they hold.
    v1::StoreClasses::decode(bytes.as_slice()).map_err(io::Error::other)
}

async fn write_latest(path: PathBuf, mut latest: watch::Receiver<Option<v1::StoreClasses>>) {
    while latest.changed().await.is_ok() {
        let Some(classes) = latest.borrow_and_update().clone() else {
            continue;
        };
        let to = path.clone();
        let write = move || state_file::replace(&to, &classes.encode_to_vec());
        let written = tokio::task::spawn_blocking(write).await;
        if let Ok(Err(error)) = written {
            let path = path.display();
            tracing::warn!(%path, %error, "the classes of stores cannot be kept for a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn classes(names: &[&str], keep: &[&str]) -> v1::StoreClasses {
        let class = |name: &&str| v1::StoreClass {
            name: (*name).to_owned(),
            ..v1::StoreClass::default()
        };
        v1::StoreClasses {
            classes: names.iter().map(class).collect(),
            keep: keep.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_now_stays_as_it_was_and_what_is_not_named_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, _) = KeptClasses::open(folder.path());
        assert_eq!(
            kept.write(classes(&["a", "b", "c"], &[])),
            classes(&["a", "b", "c"], &[])
        );
        let message = classes(&["c"], &["a", "never-known"]);
        assert_eq!(kept.write(message), classes(&["c", "a"], &[]));
        assert_eq!(kept.write(classes(&["c"], &["b"])), classes(&["c"], &[]));
    }

    #[tokio::test]
    async fn what_was_kept_is_read_again_and_is_its_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, none) = KeptClasses::open(folder.path());
        assert!(none.is_none());
        let classes = classes(&["a"], &[]);
        kept.write(classes.clone());
        let path = folder.path().join(NAME);
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        assert_eq!(KeptClasses::open(folder.path()).1, Some(classes));

        std::fs::write(&path, [0xff; 100]).unwrap();
        assert!(KeptClasses::open(folder.path()).1.is_none());
    }
}
