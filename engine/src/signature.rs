//! Who compiled a file of code: an Ed25519 signature that runtimes check before they map it.

use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use crate::EngineKey;

/// Length of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// No trusted key made this signature over this code for this component and engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "code of component {component_digest} for engine {engine_key} carries no valid signature of \
     the builder; it was not loaded"
)]
pub struct BadSignature {
    component_digest: String,
    engine_key: String,
}

/// The bytes that are signed: a domain, then each part with its length before it, so that no two
/// triples give the same message.
///
/// `component_digest` is `sha256:<64 hex>` of the component; `code_sha256` is the hash of the code.
pub fn signed_message(
    component_digest: &str,
    engine_key: &EngineKey,
    code_sha256: &[u8; 32],
) -> Vec<u8> {
    let engine_key = engine_key.to_string();
    let mut message = b"shoal code v1\0".to_vec();
    for part in [
        component_digest.as_bytes(),
        engine_key.as_bytes(),
        code_sha256,
    ] {
        message.extend((part.len() as u64).to_le_bytes());
        message.extend(part);
    }
    message
}

/// The public keys whose signatures count, and the engine that code must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    keys: Vec<Vec<u8>>,
    engine_key: EngineKey,
}

impl Verifier {
    /// `keys`: Ed25519 public keys of 32 bytes.
    pub fn new(keys: Vec<Vec<u8>>, engine_key: EngineKey) -> Self {
        Self { keys, engine_key }
    }

    /// Checks that one of the keys signed `code` for `component_digest` and this engine.
    ///
    /// # Errors
    /// [`BadSignature`] otherwise.
    pub fn verify(
        &self,
        component_digest: &str,
        code: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let hash: [u8; 32] = Sha256::digest(code).into();
        self.verify_hash(component_digest, &hash, signature)
    }

    /// The same for code whose SHA-256 is known, computed while it was written.
    ///
    /// # Errors
    /// [`BadSignature`] where no key made this signature.
    pub fn verify_hash(
        &self,
        component_digest: &str,
        code_sha256: &[u8; 32],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let message = signed_message(component_digest, &self.engine_key, code_sha256);
        let signed = |key: &Vec<u8>| {
            UnparsedPublicKey::new(&ED25519, key)
                .verify(&message, signature)
                .is_ok()
        };
        if self.keys.iter().any(signed) {
            return Ok(());
        }
        Err(BadSignature {
            component_digest: component_digest.chars().take(80).collect(),
            engine_key: self.engine_key.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::{CpuBaseline, Target};

    fn key_pair() -> Ed25519KeyPair {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
    }

    #[test]
    fn only_the_signed_code_of_the_signed_component_and_engine_is_accepted() {
        let pair = key_pair();
        let engine = EngineKey::new(Target::Amd64, CpuBaseline::Generic);
        let hash: [u8; 32] = Sha256::digest(b"code").into();
        let signature = pair.sign(&signed_message("sha256:a", &engine, &hash));
        let keys = || {
            vec![
                key_pair().public_key().as_ref().to_vec(),
                pair.public_key().as_ref().to_vec(),
            ]
        };
        let verifier = Verifier::new(keys(), engine);

        assert!(
            verifier
                .verify("sha256:a", b"code", signature.as_ref())
                .is_ok()
        );
        assert!(
            verifier
                .verify("sha256:b", b"code", signature.as_ref())
                .is_err()
        );
        assert!(
            verifier
                .verify("sha256:a", b"c0de", signature.as_ref())
                .is_err()
        );
        assert!(
            verifier
                .verify("sha256:a", b"code", &signature.as_ref()[1..])
                .is_err()
        );
        let other = Verifier::new(keys(), EngineKey::new(Target::Arm64, CpuBaseline::Generic));
        assert!(
            other
                .verify("sha256:a", b"code", signature.as_ref())
                .is_err()
        );
        let stranger = Verifier::new(
            vec![key_pair().public_key().as_ref().to_vec()],
            EngineKey::new(Target::Amd64, CpuBaseline::Generic),
        );
        assert!(
            stranger
                .verify("sha256:a", b"code", signature.as_ref())
                .is_err()
        );
    }
}
