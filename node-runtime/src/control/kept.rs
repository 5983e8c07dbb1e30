//! The file of the assignments that were obeyed last.

use std::{
    io,
    path::{Path, PathBuf},
};

use prost::Message as _;
use shoal_protocol::{state_file, v1};
use tokio::sync::watch;

use super::desired::Desired;

const NAME: &str = "assignments";
/// Larger than any message of the stream.
const MOST: u64 = 256 << 20;

/// Writes the file, the last state only, in a task of its own.
pub(super) struct Kept {
    latest: watch::Sender<Option<Desired>>,
}

impl Kept {
    /// Reads what an earlier process kept; `None`, where there is nothing to be read.
    pub(super) fn open(folder: &Path) -> (Self, Option<Desired>) {
        let path = folder.join(NAME);
        let kept = read(&path).inspect_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = path.display();
                tracing::warn!(%path, %error, "the last assignments cannot be read; waiting for new ones");
            }
        });
        let desired = kept.ok();
        let latest = watch::Sender::new(None);
        tokio::spawn(write_latest(path, latest.subscribe()));
        (Self { latest }, desired)
    }

    pub(super) fn write(&self, desired: &Desired) {
        self.latest.send_replace(Some(desired.clone()));
    }
}

fn read(path: &Path) -> io::Result<Desired> {
    let bytes = state_file::read(path, MOST)?;
    let message = v1::Assignments::decode(bytes.as_slice()).map_err(io::Error::other)?;
    let mut desired = Desired::default();
    desired.apply(message);
    Ok(desired)
}

async fn write_latest(path: PathBuf, mut latest: watch::Receiver<Option<Desired>>) {
    while latest.changed().await.is_ok() {
        let Some(desired) = latest.borrow_and_update().clone() else {
            continue;
        };
        let to = path.clone();
        let write = move || state_file::replace(&to, &desired.message().encode_to_vec());
        let written = tokio::task::spawn_blocking(write).await;
        if let Ok(Err(error)) = written {
            let path = path.display();
            tracing::warn!(%path, %error, "the assignments cannot be kept for a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_kept_is_read_again_and_nonsense_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, none) = Kept::open(folder.path());
        assert!(none.is_none());
        let mut desired = Desired::default();
        let app = v1::AppRef {
            name: "a".into(),
            ..v1::AppRef::default()
        };
        let assignment = v1::Assignment {
            app: Some(app),
            ..v1::Assignment::default()
        };
        desired.apply(v1::Assignments {
            set: vec![assignment],
            ..v1::Assignments::default()
        });
        kept.write(&desired);
        let path = folder.path().join(NAME);
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        let again = Kept::open(folder.path()).1.unwrap();
        assert_eq!(again.message(), desired.message());

        std::fs::write(&path, [0xff; 100]).unwrap();
        assert!(Kept::open(folder.path()).1.is_none());
    }
}
