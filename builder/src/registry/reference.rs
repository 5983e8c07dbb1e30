//! Image references.

use std::fmt;

use oci_client::Reference;
use shoal_artifact::{Digest, Reason, Refusal};

/// A reference such as `registry.example/acme/hello:1.0`, with a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    text: String,
    reference: Reference,
    digest: Option<Digest>,
}

/// Longest reference, in bytes.
const MAX_BYTES: usize = 512;

impl ImageReference {
    /// Reads a reference. Without a registry it is Docker Hub's, without a tag `latest`, as
    /// everywhere.
    ///
    /// # Errors
    /// It is no reference, or its digest is no SHA-256.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let invalid = |problem: String| {
            let shown: String = text.chars().take(200).collect();
            let message = format!("`{shown}` is no valid image reference: {problem}");
            Refusal::new(Reason::InvalidImageReference, message)
        };
        if text.len() > MAX_BYTES {
            return Err(invalid(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let reference: Reference = text
            .parse()
            .map_err(|error: oci_client::ParseError| invalid(error.to_string()))?;
        let digest = reference.digest().map(str::parse).transpose();
        let digest = digest
            .map_err(|error: shoal_artifact::digest::InvalidDigest| invalid(error.to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            reference,
            digest,
        })
    }

    /// `host[:port]` that is spoken to.
    pub fn registry(&self) -> &str {
        self.reference.resolve_registry()
    }

    /// `acme/hello`.
    pub fn repository(&self) -> &str {
        self.reference.repository()
    }

    /// The digest that it names, which wins over a tag.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What stands behind `/manifests/`: the digest, else the tag.
    pub fn tag_or_digest(&self) -> &str {
        match &self.digest {
            Some(digest) => digest.as_str(),
            None => self.reference.tag().unwrap_or("latest"),
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_everywhere() {
        for (text, registry, repository, reference) in [
            ("localhost:5000/a/b:1", "localhost:5000", "a/b", "1"),
            ("r.example/a", "r.example", "a", "latest"),
            ("hello", "index.docker.io", "library/hello", "latest"),
            ("acme/hello:2", "index.docker.io", "acme/hello", "2"),
        ] {
            let parsed = ImageReference::parse(text).unwrap();
            assert_eq!(
                (
                    parsed.registry(),
                    parsed.repository(),
                    parsed.tag_or_digest()
                ),
                (registry, repository, reference)
            );
        }
        let digest = Digest::of(b"x");
        let parsed = ImageReference::parse(&format!("r.example/a:1@{digest}")).unwrap();
        assert_eq!(parsed.tag_or_digest(), digest.as_str());
    }

    #[test]
    fn what_is_no_reference_is_refused_with_its_text() {
        let long = "a".repeat(600);
        let sha512 = format!("r.example/a@sha512:{}", "a".repeat(128));
        for text in [
            "",
            "A/B",
            "a b",
            "https://r.example/a",
            "r.example/a:",
            "r.example/a@sha256:1",
            "/",
            &long,
            &sha512,
        ] {
            let refusal = ImageReference::parse(text).expect_err(text);
            assert_eq!(refusal.reason, Reason::InvalidImageReference);
            assert!(
                refusal.message.contains(text.get(..50).unwrap_or(text)),
                "{refusal}"
            );
        }
    }
}
