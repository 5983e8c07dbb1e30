//! What the cache keeps, and the names of its files.

use sha2::{Digest as _, Sha256};
use shoal_artifact::Digest;
use shoal_engine::EngineKey;

/// Names one file of the cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// What the image of this manifest digest holds.
    Description(Digest),
    /// A component.
    Component(Digest),
    /// Code of a component for an engine.
    Code(Digest, EngineKey),
}

pub(super) const DESCRIPTIONS: &str = "descriptions";
pub(super) const COMPONENTS: &str = "components";
pub(super) const CODE: &str = "code";

impl Key {
    /// `code/<digest>.<hash of the engine key>`: what it is, without what it holds.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Description(digest) => format!("{DESCRIPTIONS}/{}", digest.hex()),
            Self::Component(digest) => format!("{COMPONENTS}/{}", digest.hex()),
            Self::Code(digest, engine_key) => {
                let engine = hex::encode(Sha256::digest(engine_key.to_string()));
                format!("{CODE}/{}.{engine}", digest.hex())
            }
        }
    }

    /// The file's path in the cache: its name, and the hash of what it holds.
    pub(super) fn file_name(&self, sha256: &[u8; 32]) -> String {
        format!("{}.{}", self.name(), hex::encode(sha256))
    }
}

/// Splits the path of a file into its key's name and the hash of what it holds; `None`: it is not
/// one that [`Key::file_name`] makes.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let (folder, file) = path.split_once('/')?;
    let parts = match folder {
        DESCRIPTIONS | COMPONENTS => 2,
        CODE => 3,
        _ => return None,
    };
    let is_hash = |part: &str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    if file.split('.').count() != parts || !file.split('.').all(is_hash) {
        return None;
    }
    path.rsplit_once('.')
}

/// The hash of what the file of this path holds.
pub(super) fn sha256_of(path: &str) -> Option<[u8; 32]> {
    hex::decode(split(path)?.1).ok()?.try_into().ok()
}

/// The component whose code the key of this name holds, as `sha256:<64 hex>`.
pub(super) fn code_of(name: &str) -> Option<String> {
    let file = name.strip_prefix(CODE)?.strip_prefix('/')?;
    Some(format!("sha256:{}", file.split('.').next()?))
}
