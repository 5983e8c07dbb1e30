//! Apps in local files: a component, a `spin.toml`, or a folder that holds one.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{Reason, Refusal, WasmSource, inspect, limits, spin, write};

/// Reads an app from a path and makes the artifact that it would be pushed as.
///
/// # Errors
/// The path does not exist or cannot be read, or what it holds is not served.
pub fn read(path: &Path) -> Result<write::Artifact, Refusal> {
    let manifest = manifest_path(path)?;
    let Some(manifest) = manifest else {
        let subject = format!("`{}`", path.display());
        return write::component_of(&subject, read_file(path, &subject)?);
    };
    let text = read_bounded(&manifest, limits::CONFIG_BYTES)?
        .ok_or_else(|| refuse(format!("`{}` is larger than 4 MiB", manifest.display())))?;
    let text = String::from_utf8(text)
        .map_err(|_| refuse(format!("`{}` is not valid UTF-8", manifest.display())))?;
    let plan = spin::manifest::read(&text)?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let wasm = plan
        .components
        .iter()
        .map(|component| match &component.wasm {
            WasmSource::File(source) => read_file(&folder.join(source), &component.subject()),
            WasmSource::Inline(bytes) => Ok(bytes.clone()),
            WasmSource::Blob { digest, .. } => {
                Err(refuse(format!("there is no file of digest {digest}")))
            }
        });
    write::spin_app(&plan, wasm.collect::<Result<_, _>>()?)
}

/// The files that an app at `path` is made of: a change of any of them is a change of the app.
///
/// # Errors
/// As [`read`], without reading components.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let Some(manifest) = manifest_path(path)? else {
        return Ok(vec![path.to_owned()]);
    };
    let text = read_bounded(&manifest, limits::CONFIG_BYTES)?.unwrap_or_default();
    let plan = spin::manifest::read(&String::from_utf8_lossy(&text))?;
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let sources = plan
        .components
        .iter()
        .filter_map(|component| match &component.wasm {
            WasmSource::File(source) => Some(folder.join(source)),
            WasmSource::Inline(_) | WasmSource::Blob { .. } => None,
        });
    Ok(std::iter::once(manifest.clone()).chain(sources).collect())
}

/// The `spin.toml` that `path` is or holds; `None` where it is a file of its own.
fn manifest_path(path: &Path) -> Result<Option<PathBuf>, Refusal> {
    let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        let manifest = path.join("spin.toml");
        if !manifest.is_file() {
            return Err(refuse(format!(
                "folder `{}` holds no `spin.toml`",
                path.display()
            )));
        }
        return Ok(Some(manifest));
    }
    Ok(path
        .extension()
        .is_some_and(|extension| extension == "toml")
        .then(|| path.to_owned()))
}

fn read_file(path: &Path, subject: &str) -> Result<Vec<u8>, Refusal> {
    read_bounded(path, limits::COMPONENT_BYTES)?.ok_or_else(|| inspect::too_large(subject))
}

/// The content of a regular file; `None` where it is longer than `bound`.
fn read_bounded(path: &Path, bound: u64) -> Result<Option<Vec<u8>>, Refusal> {
    let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(refuse(format!("`{}` is no file", path.display())));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(bound + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    Ok((bytes.len() as u64 <= bound).then_some(bytes))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let reason = if error.kind() == std::io::ErrorKind::NotFound {
        Reason::ImageNotFound
    } else {
        Reason::UnsupportedArtifact
    };
    Refusal::new(
        reason,
        format!("`{}` cannot be read: {error}", path.display()),
    )
}

fn refuse(message: String) -> Refusal {
    Refusal::new(Reason::UnsupportedArtifact, message)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::oci::Format;

    #[test]
    fn a_file_a_manifest_and_its_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let wasm = folder.path().join("a.wasm");
        fs::write(&wasm, b"\0asm\x01\0\0\0").unwrap();
        let single = read(&wasm).unwrap();
        assert!(matches!(
            write::read_back(&single),
            Ok(Format::Component(_))
        ));

        let manifest = folder.path().join("spin.toml");
        let text = "spin_manifest_version = 2\n[application]\nname = \"a\"\n[[trigger.http]]\n\
                    route = \"/...\"\ncomponent = \"a\"\n[component.a]\nsource = \"a.wasm\"\n";
        fs::write(&manifest, text).unwrap();
        let app = read(&manifest).unwrap();
        assert!(matches!(write::read_back(&app), Ok(Format::Spin(_))));
        assert_eq!(read(folder.path()).unwrap().digest, app.digest);
        assert_eq!(files(folder.path()).unwrap(), [manifest, wasm]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(&folder.path().join("none.wasm")).unwrap_err();
        assert_eq!(missing.reason, Reason::ImageNotFound);
        assert!(missing.message.contains("none.wasm"));
        let text = folder.path().join("text.wasm");
        fs::write(&text, "(component)").unwrap();
        let refusal = read(&text).unwrap_err();
        assert!(refusal.message.contains("text.wasm"), "{refusal}");
        assert!(
            read(folder.path())
                .unwrap_err()
                .message
                .contains("no `spin.toml`")
        );
        assert!(
            read(Path::new("/dev/null"))
                .unwrap_err()
                .message
                .contains("is no file")
        );
    }
}
