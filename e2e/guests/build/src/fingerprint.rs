use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Changes with the way of building, so that what an older version built is not used.
const FORMAT: &str = "1";

/// What guests are made from, relative to the repository.
const SOURCES: [&str; 4] = ["e2e/guests", "examples", "node-runtime/wit", "stores/wit"];

/// Not sources, or not of the guests.
const SKIPPED: [&str; 5] = ["build", "manifests", "target", ".shoal", "README.md"];

/// 32 hex digits that stand for the sources and the toolchain.
pub(crate) fn fingerprint(root: &Path, toolchain: &str) -> Result<String> {
    let mut hash = Sha256::new();
    add(&mut hash, FORMAT.as_bytes());
    add(&mut hash, toolchain.as_bytes());
    for source in SOURCES {
        add_folder(&mut hash, &root.join(source), source)?;
    }
    Ok(hash
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// With its length, so that no two sequences of parts are the same bytes.
fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn add_folder(hash: &mut Sha256, folder: &Path, name: &str) -> Result<()> {
    let context = || format!("cannot read {}", folder.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry));
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (file, entry) in entries {
        if SKIPPED.contains(&file.as_str()) || file.ends_with(".wasm") {
            continue;
        }
        let name = format!("{name}/{file}");
        if entry.file_type().with_context(context)?.is_dir() {
            add_folder(hash, &entry.path(), &name)?;
        } else {
            let bytes = fs::read(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            add(hash, name.as_bytes());
            add(hash, &bytes);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for source in SOURCES {
            fs::create_dir_all(root.path().join(source).join("hello/src")).unwrap();
        }
        fs::write(root.path().join("e2e/guests/hello/src/lib.rs"), "one").unwrap();
        root
    }

    #[test]
    fn only_sources_and_toolchain_count() {
        let root = tree();
        let before = fingerprint(root.path(), "rust").unwrap();
        fs::write(root.path().join("e2e/guests/hello.wasm"), "built").unwrap();
        fs::create_dir(root.path().join("e2e/guests/target")).unwrap();
        fs::write(root.path().join("e2e/guests/target/x"), "built").unwrap();
        assert_eq!(fingerprint(root.path(), "rust").unwrap(), before);
        assert_ne!(fingerprint(root.path(), "other").unwrap(), before);
        fs::write(root.path().join("e2e/guests/hello/src/lib.rs"), "two").unwrap();
        assert_ne!(fingerprint(root.path(), "rust").unwrap(), before);
    }

    #[test]
    fn a_renamed_file_counts() {
        let root = tree();
        let before = fingerprint(root.path(), "rust").unwrap();
        let source = root.path().join("e2e/guests/hello/src");
        fs::rename(source.join("lib.rs"), source.join("main.rs")).unwrap();
        assert_ne!(fingerprint(root.path(), "rust").unwrap(), before);
    }
}
