//! Writing a container image as an OCI archive: one layer from files of this machine.
//!
//! The format is the OCI image layout (<https://github.com/opencontainers/image-spec>), as a tar.
//! The same files give the same bytes, and so the same digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// An image to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciImage {
    /// Its whole name, such as `localhost/pause:1`.
    name: String,
    files: BTreeMap<String, PathBuf>,
    entrypoint: Vec<String>,
    user: Option<String>,
}

impl OciImage {
    /// An image without files. `name` is what pods write in `image`, with host and tag.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            files: BTreeMap::new(),
            entrypoint: Vec::new(),
            user: None,
        }
    }

    /// Puts a file of the machine at `path` (absolute) in the image; its mode comes with it.
    pub fn file(mut self, path: &str, from: impl Into<PathBuf>) -> Self {
        self.files
            .insert(path.trim_start_matches('/').to_owned(), from.into());
        self
    }

    /// Puts a program at `path` in the image, and the shared libraries that it needs where its
    /// loader looks for them.
    ///
    /// # Errors
    /// `ldd` cannot tell its libraries, or does not find one.
    pub fn program(mut self, path: &str, from: impl Into<PathBuf>) -> Result<Self> {
        let from = from.into();
        for library in libraries(&from)? {
            let at = library.display().to_string();
            self = self.file(&at, library);
        }
        Ok(self.file(path, from))
    }

    /// What a container runs unless its pod says otherwise.
    pub fn entrypoint(mut self, command: &[&str]) -> Self {
        self.entrypoint = command.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// The user that a container runs as, such as `65532:65532`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Writes the archive, and returns the digest of the image's manifest (`sha256:...`).
    ///
    /// # Errors
    /// A file cannot be read, or the archive cannot be written.
    pub fn write(&self, archive: &Path) -> Result<String> {
        let scratch = archive.with_extension("layer");
        let result = self.write_with(archive, &scratch);
        // On failure it may not even exist.
        let _ = std::fs::remove_file(&scratch);
        result.with_context(|| format!("cannot write the image {}", self.name))
    }

    fn write_with(&self, archive: &Path, scratch: &Path) -> Result<String> {
        let mut layer = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        self.write_layer(&layer)?;
        let (layer_digest, layer_size) = digest(&mut layer)?;
        let config = serde_json::to_vec(&self.config(&layer_digest))?;
        let config_digest = hex::encode(Sha256::digest(&config));
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config_digest, config.len() as u64),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer_digest, layer_size)],
        }))?;
        let manifest_digest = hex::encode(Sha256::digest(&manifest));
        let index = serde_json::to_vec(&self.index(&manifest_digest, manifest.len() as u64))?;

        let file =
            File::create(archive).with_context(|| format!("cannot make {}", archive.display()))?;
        let mut tar = Builder::new(file);
        let mut add =
            |path: &str, bytes: &[u8]| append(&mut tar, path, 0o644, bytes, bytes.len() as u64);
        add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        add("index.json", &index)?;
        add(&blob(&manifest_digest), &manifest)?;
        add(&blob(&config_digest), &config)?;
        layer.rewind()?;
        append(&mut tar, &blob(&layer_digest), 0o644, layer, layer_size)?;
        tar.finish()?;
        Ok(format!("sha256:{manifest_digest}"))
    }

    fn write_layer(&self, layer: impl Write) -> Result<()> {
        let mut tar = Builder::new(layer);
        for folder in folders(self.files.keys()) {
            let mut header = header(0, 0o755);
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
        }
        for (path, from) in &self.files {
            let file =
                File::open(from).with_context(|| format!("cannot open {}", from.display()))?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                bail!("{} is no file", from.display());
            }
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o755 | 0o444;
            append(&mut tar, path, mode, file, metadata.len())?;
        }
        tar.finish().context("cannot write the layer")
    }

    fn config(&self, layer: &str) -> serde_json::Value {
        json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "User": self.user.as_deref().unwrap_or_default(),
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        })
    }

    fn index(&self, manifest: &str, size: u64) -> serde_json::Value {
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest, size);
        if let Some(fields) = entry.as_object_mut() {
            let names = json!({
                "io.containerd.image.name": self.name,
                "org.opencontainers.image.ref.name": tag,
            });
            fields.insert("annotations".to_owned(), names);
        }
        json!({"schemaVersion": 2, "manifests": [entry]})
    }
}

/// The shared libraries of a program, and its loader; none of a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    let output = ldd.arg(program).output().context("cannot start ldd")?;
    let (printed, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let is_static = |text: &str| {
        text.contains("not a dynamic executable") || text.contains("statically linked")
    };
    if is_static(&printed) || is_static(&said) {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        bail!("ldd cannot read {}: {}", program.display(), said.trim());
    }
    parse_ldd(&printed).with_context(|| format!("of {}", program.display()))
}

/// `libc.so.6 => /lib/libc.so.6 (0x...)`, `/lib64/ld-linux-x86-64.so.2 (0x...)`; the kernel's
/// own `linux-vdso.so.1` has no file.
fn parse_ldd(printed: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in printed.lines().map(str::trim) {
        let target = line.split_once("=> ").map_or(line, |(_, target)| target);
        if target.starts_with("not found") {
            bail!("a shared library is not there: {line}");
        }
        if let Some(path) = target
            .split(' ')
            .next()
            .filter(|path| path.starts_with('/'))
        {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

/// Every folder that holds one of `paths`, each before those in it.
fn folders<'a>(paths: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    paths
        .flat_map(|path| Path::new(path).ancestors().skip(1))
        .map(|folder| folder.display().to_string())
        .filter(|folder| !folder.is_empty())
        .collect()
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
}

fn header(size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    path: &str,
    mode: u32,
    contents: impl Read,
    size: u64,
) -> Result<()> {
    let mut header = header(size, mode);
    tar.append_data(&mut header, path, contents)
        .with_context(|| format!("cannot add {path}"))
}

fn digest(file: &mut File) -> Result<(String, u64)> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let size = std::io::copy(file, &mut hasher).context("cannot read the layer")?;
    Ok((hex::encode(hasher.finalize()), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("shoal-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn libraries_and_loader_are_found_and_the_kernels_own_is_not() {
        let printed = "\tlinux-vdso.so.1 (0x7ff)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7fe)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x7fd)\n";
        let found = parse_ldd(printed).unwrap();
        let wanted = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(found, wanted.map(PathBuf::from));
        let error = parse_ldd("\tlibssl.so.3 => not found\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("libssl.so.3"), "{error}");
    }

    #[test]
    fn the_same_files_give_the_same_digest() {
        let folder = folder("archive");
        let source = folder.join("hello");
        std::fs::write(&source, "hello").unwrap();
        let image = OciImage::new("localhost/hello:1")
            .file("/bin/hello", &source)
            .user("1:1");
        let first = image.write(&folder.join("first.tar")).unwrap();
        let second = image.write(&folder.join("second.tar")).unwrap();
        assert_eq!(first, second);
        let renamed = OciImage::new("localhost/hello:1")
            .file("/bin/other", &source)
            .user("1:1");
        assert_ne!(first, renamed.write(&folder.join("third.tar")).unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_missing_file_is_named_and_no_scratch_file_stays() {
        let folder = folder("missing");
        let image = OciImage::new("localhost/hello:1").file("/hello", "/no/such/file");
        let error = image.write(&folder.join("image.tar")).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/file"));
        assert!(!folder.join("image.layer").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let paths = ["usr/lib/a.so".to_owned(), "bin/b".to_owned()];
        let found: Vec<_> = folders(paths.iter()).into_iter().collect();
        assert_eq!(found, ["bin", "usr", "usr/lib"]);
    }
}
