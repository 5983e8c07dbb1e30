//! The key that says "this builder compiled this".

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use shoal_artifact::Digest;
use shoal_engine::{EngineKey, signed_message};
use shoal_protocol::state_file;

/// An Ed25519 key pair that is kept on the builder's volume, readable by its owner only.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("signing key `{path}`: {source}")]
    Io {
        /// Of the key.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "`{path}` holds no Ed25519 key; remove it to have a new one made (runtimes then fetch code \
         that it signs, nothing is compiled again)"
    )]
    Invalid {
        /// Of the key.
        path: String,
    },
    /// The system gives no randomness.
    #[error("no signing key can be made: the system gives no randomness")]
    NoRandomness,
}

/// A PKCS#8 document of such a key has 83 bytes.
const MAX_BYTES: u64 = 4096;

impl SigningKey {
    /// Reads the key at `path`, or makes one there.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let name = || path.display().to_string();
        let failed = |source| KeyError::Io {
            path: name(),
            source,
        };
        let document = match state_file::read(path, MAX_BYTES) {
            Ok(document) => {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
                    .map_err(failed)?;
                document
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| KeyError::NoRandomness)?;
                state_file::replace(path, document.as_ref()).map_err(failed)?;
                document.as_ref().to_vec()
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(KeyError::Invalid { path: name() });
            }
            Err(error) => return Err(failed(error)),
        };
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|_| KeyError::Invalid { path: name() })?;
        Ok(Self { pair })
    }

    /// The public key, 32 bytes.
    pub fn public_key(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// Signs code (by its hash) for a component and engine.
    pub fn sign(
        &self,
        component: &Digest,
        engine_key: &EngineKey,
        code_sha256: &[u8; 32],
    ) -> Vec<u8> {
        let message = signed_message(component.as_str(), engine_key, code_sha256);
        self.pair.sign(&message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use shoal_engine::Verifier;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_its_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = SigningKey::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let second = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let engine = EngineKey::host().unwrap();
        let digest = Digest::of(b"component");
        let signature = second.sign(&digest, &engine, &[7; 32]);
        let verifier = Verifier::new(vec![first.public_key()], engine);
        verifier
            .verify_hash(digest.as_str(), &[7; 32], &signature)
            .unwrap();
    }

    #[test]
    fn a_file_that_is_no_key_is_left_alone_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for content in [b"garbage".to_vec(), vec![0; 10_000], vec![]] {
            std::fs::write(&path, &content).unwrap();
            let error = SigningKey::load_or_create(&path).err().unwrap().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }
}
