//! OCI manifests, and which of the served formats one describes.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md>

use serde::Deserialize;

use crate::{Digest, Reason, Refusal, limits};

/// Media type of an OCI image manifest.
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI index.
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Config of a Wasm OCI artifact.
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Layer of a Wasm OCI artifact.
pub const WASM_LAYER: &str = "application/wasm";
/// The older layer type, and that of Spin's components.
pub const WASM_CONTENT_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// A file of a Spin app.
pub const DATA_CONTENT_LAYER: &str = "application/vnd.wasm.content.layer.v1+data";
/// Files of a Spin app, packed.
pub const ARCHIVE_LAYER: &str = "application/vnd.wasm.content.bundle.v1.tar+gzip";
/// The locked app of a Spin app.
pub const SPIN_APPLICATION: &str = "application/vnd.fermyon.spin.application.v1+config";
/// Config of a container image.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Layers of a container image that are read.
const CONTAINER_LAYERS: &[&str] = &[
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// Points at a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// For which platform it is (in an index).
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// Platform of an entry of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `wasm`, `amd64`, ...
    #[serde(default)]
    pub architecture: String,
    /// `wasi`, `linux`, ...
    #[serde(default)]
    pub os: String,
}

/// A manifest, or an index of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image.
    Image(ImageManifest),
    /// The manifest to read instead.
    Index(Descriptor),
}

/// Manifest of one image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ImageManifest {
    /// The config blob.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

/// What an image holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One component or core module.
    Component(Descriptor),
    /// A Spin app whose locked app is this blob.
    Spin(Descriptor),
    /// A container image with `/spin.toml`; its layers, lowest first.
    Container(Vec<Descriptor>),
}

/// Reads a manifest or an index.
///
/// # Errors
/// It is past its bounds, no manifest, or an index without a manifest that fits.
pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, Refusal> {
    let refuse = |message: String| Refusal::new(Reason::UnsupportedArtifact, message);
    if bytes.len() as u64 > limits::MANIFEST_BYTES {
        return Err(refuse("the image's manifest is larger than 4 MiB".into()));
    }
    let invalid = |error| refuse(format!("the image's manifest is not valid: {error}"));
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(invalid)?;
    if versioned.schema_version != 2 {
        let version = versioned.schema_version;
        return Err(refuse(format!(
            "the image's manifest has schema version {version}, not 2"
        )));
    }
    let is_index = match versioned.media_type.as_deref() {
        Some(IMAGE_INDEX | DOCKER_INDEX) => true,
        Some(IMAGE_MANIFEST | DOCKER_MANIFEST) => false,
        None => versioned.manifests.is_some(),
        Some(other) => {
            return Err(refuse(format!(
                "the image's manifest is of type `{other}`, which is not served"
            )));
        }
    };
    if is_index {
        let index: Index = serde_json::from_slice(bytes).map_err(invalid)?;
        return choose(index.manifests).map(Manifest::Index);
    }
    let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(invalid)?;
    if manifest.layers.len() > limits::LAYERS {
        return Err(refuse(format!(
            "the image has more than {} layers",
            limits::LAYERS
        )));
    }
    Ok(Manifest::Image(manifest))
}

/// The manifest for WebAssembly, else the first for Linux, else the only one.
fn choose(manifests: Vec<Descriptor>) -> Result<Descriptor, Refusal> {
    let position = |wanted: fn(&Platform) -> bool| {
        manifests
            .iter()
            .position(|entry| entry.platform.as_ref().is_some_and(wanted))
    };
    let chosen = position(|platform| platform.architecture == "wasm" || platform.os == "wasi")
        .or_else(|| position(|platform| platform.os == "linux"))
        .or_else(|| (manifests.len() == 1).then_some(0));
    chosen
        .and_then(|at| manifests.into_iter().nth(at))
        .ok_or_else(|| {
            let message = "the image's index has no manifest for platform `wasi/wasm` or `linux`";
            Refusal::new(Reason::UnsupportedArtifact, message)
        })
}

impl ImageManifest {
    /// Whether [`ImageManifest::format`] has to see the config blob. Otherwise it is not pulled.
    pub fn config_decides(&self) -> bool {
        !self.has_layer(SPIN_APPLICATION)
            && ![WASM_CONFIG, SPIN_APPLICATION].contains(&self.config.media_type.as_str())
            && !self.is_container()
    }

    /// Which format this is. `config`: the config blob where [`ImageManifest::config_decides`].
    ///
    /// # Errors
    /// None that is served; the message names the layer type that is not.
    pub fn format(&self, config: Option<&[u8]>) -> Result<Format, Refusal> {
        if let Some(locked) = self
            .layers
            .iter()
            .find(|layer| layer.media_type == SPIN_APPLICATION)
        {
            return Ok(Format::Spin(locked.clone()));
        }
        // Older Spin pushed the locked app as the config itself.
        if self.config.media_type == SPIN_APPLICATION || config.is_some_and(is_locked_app) {
            return Ok(Format::Spin(self.config.clone()));
        }
        if self.is_container() {
            return Ok(Format::Container(self.layers.clone()));
        }
        match self.layers.as_slice() {
            [layer] if is_wasm(&layer.media_type) => Ok(Format::Component(layer.clone())),
            layers => Err(self.refuse(layers)),
        }
    }

    fn refuse(&self, layers: &[Descriptor]) -> Refusal {
        let other = layers.iter().find(|layer| !is_wasm(&layer.media_type));
        let message = match other {
            Some(layer) => format!("the image has a layer of type `{}`", layer.media_type),
            None if layers.is_empty() => "the image has no layers".into(),
            None => format!(
                "the image has {} WebAssembly layers and no Spin app",
                layers.len()
            ),
        };
        let served =
            "it is no Spin app, Wasm artifact of one component, or image with `/spin.toml`";
        Refusal::new(Reason::UnsupportedArtifact, format!("{message}: {served}"))
    }

    fn has_layer(&self, media_type: &str) -> bool {
        self.layers
            .iter()
            .any(|layer| layer.media_type == media_type)
    }

    fn is_container(&self) -> bool {
        !self.layers.is_empty()
            && self
                .layers
                .iter()
                .all(|layer| CONTAINER_LAYERS.contains(&layer.media_type.as_str()))
    }
}

fn is_wasm(media_type: &str) -> bool {
    media_type == WASM_LAYER || media_type == WASM_CONTENT_LAYER
}

fn is_locked_app(config: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "spin_lock_version")]
        _version: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Probe>(config).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn descriptor(media_type: &str) -> serde_json::Value {
        json!({"mediaType": media_type, "digest": Digest::of(media_type.as_bytes()), "size": 7})
    }

    fn image(config: &str, layers: &[&str]) -> ImageManifest {
        let layers: Vec<_> = layers.iter().map(|layer| descriptor(layer)).collect();
        let text = json!({"schemaVersion": 2, "config": descriptor(config), "layers": layers});
        match read_manifest(text.to_string().as_bytes()).unwrap() {
            Manifest::Image(image) => image,
            Manifest::Index(_) => unreachable!(),
        }
    }

    #[test]
    fn every_served_format_is_recognised() {
        let format = |config, layers: &[&str], blob: Option<&[u8]>| {
            let image = image(config, layers);
            assert_eq!(image.config_decides(), blob.is_some(), "{config}");
            image.format(blob)
        };
        let lock = br#"{"spin_lock_version": 1}"#;
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert!(matches!(
            format(WASM_CONFIG, &[WASM_LAYER], None),
            Ok(Format::Component(_))
        ));
        assert!(matches!(
            format("x/y", &[WASM_CONTENT_LAYER], Some(b"{}")),
            Ok(Format::Component(_))
        ));
        assert!(matches!(
            format("x/y", &[WASM_CONTENT_LAYER], Some(lock)),
            Ok(Format::Spin(_))
        ));
        assert!(matches!(
            format(SPIN_APPLICATION, &[WASM_CONTENT_LAYER], None),
            Ok(Format::Spin(_))
        ));
        assert!(matches!(
            format(IMAGE_CONFIG, &[WASM_CONTENT_LAYER, SPIN_APPLICATION], None),
            Ok(Format::Spin(locked)) if locked.media_type == SPIN_APPLICATION
        ));
        assert!(
            matches!(format(IMAGE_CONFIG, &[tar, tar], None), Ok(Format::Container(l)) if l.len() == 2)
        );
    }

    #[test]
    fn another_format_is_refused_by_its_layer_type() {
        let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
        for (layers, word) in [
            (&[zstd][..], zstd),
            (&[WASM_LAYER, "text/plain"], "text/plain"),
            (&[WASM_LAYER, WASM_LAYER], "2 WebAssembly layers"),
            (&[], "no layers"),
        ] {
            let refusal = image("x/y", layers).format(Some(b"{}")).unwrap_err();
            assert_eq!(refusal.reason, Reason::UnsupportedArtifact);
            assert!(refusal.message.contains(word), "{refusal}");
        }
    }

    #[test]
    fn an_index_leads_to_the_manifest_for_wasm() {
        let entry = |name: &str, os: &str, arch: &str| {
            let mut entry = descriptor(name);
            entry["platform"] = json!({"os": os, "architecture": arch});
            entry
        };
        let read = |entries: Vec<serde_json::Value>| {
            let text = json!({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": entries});
            read_manifest(text.to_string().as_bytes())
        };
        let chosen = read(vec![
            entry("a", "linux", "amd64"),
            entry("b", "wasi", "wasm"),
        ])
        .unwrap();
        assert!(matches!(chosen, Manifest::Index(entry) if entry.media_type == "b"));
        let attested = read(vec![
            entry("a", "unknown", "unknown"),
            entry("b", "linux", "arm64"),
        ]);
        assert!(matches!(attested.unwrap(), Manifest::Index(entry) if entry.media_type == "b"));
        assert!(read(vec![]).is_err());
        assert!(
            read(vec![
                entry("a", "windows", "amd64"),
                entry("b", "plan9", "amd64")
            ])
            .is_err()
        );
    }

    #[test]
    fn digests_that_are_paths_and_other_versions_are_refused() {
        for text in [
            r#"{"schemaVersion": 2, "config": {"mediaType": "a", "digest": "../../x", "size": 1}, "layers": []}"#,
            r#"{"schemaVersion": 1}"#,
            r#"{"schemaVersion": 2, "mediaType": "text/html"}"#,
            r#"{"schemaVersion": 2, "layers": -1}"#,
            "<html>",
        ] {
            assert_eq!(
                read_manifest(text.as_bytes()).unwrap_err().reason,
                Reason::UnsupportedArtifact
            );
        }
        assert!(
            read_manifest(&vec![b' '; 5 << 20])
                .unwrap_err()
                .message
                .contains("4 MiB")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_manifest(&bytes);
        }
    }
}
