//! Which checkout the shared target folder was last built from.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use crate::toolchain::Target;

const MARK: &str = "checkout";

/// Makes the target folder fit for builds of the repository at `root`.
///
/// Cargo knows a member of a workspace by its path within the workspace, and tells by times whether it is
/// fresh: what another checkout built later than this one's sources were written would be taken for ours.
/// So members are built anew when the checkout changes; what comes from registries stays.
pub(crate) fn claim(target_folder: &Path, root: &Path) -> Result<()> {
    let mark = target_folder.join(MARK);
    let ours = root.as_os_str().as_encoded_bytes();
    if fs::read(&mark).is_ok_and(|last| last == ours) {
        return Ok(());
    }
    let mut members = folders(&root.join("e2e/guests"))?;
    members.extend(folders(&root.join("examples"))?);
    for target in Target::ALL {
        let known = target_folder
            .join(target.triple())
            .join("release/.fingerprint");
        for entry in folders(&known)? {
            if is_of_any(&entry.to_string_lossy(), &members) {
                let stale = known.join(entry);
                fs::remove_dir_all(&stale)
                    .with_context(|| format!("cannot remove {}", stale.display()))?;
            }
        }
    }
    fs::create_dir_all(target_folder)
        .and_then(|()| fs::write(&mark, ours))
        .with_context(|| format!("cannot write {}", mark.display()))
}

/// Names of the folders in `folder`; none where it does not exist.
fn folders(folder: &Path) -> Result<Vec<OsString>> {
    let context = || format!("cannot read {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(context),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(context)?;
        if entry.file_type().with_context(context)?.is_dir() {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

/// Whether `entry` is `NAME-HASH` of one of `members`.
fn is_of_any(entry: &str, members: &[OsString]) -> bool {
    entry
        .rsplit_once('-')
        .is_some_and(|(name, _)| members.iter().any(|member| member == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_checkout_builds_its_members_anew_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        for root in [&one, &two] {
            fs::create_dir_all(root.join("e2e/guests/kv-draft")).unwrap();
            fs::create_dir_all(root.join("examples/guestbook")).unwrap();
        }
        let built = folder.path().join("built");
        let known = built
            .join(Target::ALL[0].triple())
            .join("release/.fingerprint");
        let [member, example, foreign] = ["kv-draft-0a", "guestbook-0b", "serde-0c"];
        let make_all = || {
            for name in [member, example, foreign] {
                fs::create_dir_all(known.join(name)).unwrap();
            }
        };
        let left = || {
            let names = folders(&known).unwrap();
            [member, example, foreign].map(|name| names.iter().any(|known| known == name))
        };
        make_all();
        claim(&built, &one).unwrap();
        assert_eq!(left(), [false, false, true]);
        make_all();
        claim(&built, &one).unwrap();
        assert_eq!(left(), [true; 3]);
        claim(&built, &two).unwrap();
        assert_eq!(left(), [false, false, true]);
    }
}
