//! Writes artifacts: what `shoal push` uploads, and what a local file stands for.
//!
//! The same input always gives the same bytes, so that pushing twice changes no digest.

use serde_json::{Value, json};

use crate::{
    AppPlan, ComponentPlan, Digest, Refusal, inspect,
    oci::{
        self, IMAGE_CONFIG, IMAGE_MANIFEST, SPIN_APPLICATION, WASM_CONFIG, WASM_CONTENT_LAYER,
        WASM_LAYER,
    },
};

/// An artifact: its manifest and every blob that it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The manifest, of type [`oci::IMAGE_MANIFEST`].
    pub manifest: Vec<u8>,
    /// Digest of the manifest: what a registry resolves the tag to.
    pub digest: Digest,
    /// The config blob.
    pub config: Blob,
    /// The layers, lowest first.
    pub layers: Vec<Blob>,
}

/// One blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What it is.
    pub media_type: &'static str,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

impl Artifact {
    fn new(config: Blob, layers: Vec<Blob>) -> Self {
        let layer_descriptors: Vec<Value> = layers.iter().map(Blob::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE_MANIFEST,
            "config": config.descriptor(),
            "layers": layer_descriptors,
        });
        let manifest = manifest.to_string().into_bytes();
        Self {
            digest: Digest::of(&manifest),
            manifest,
            config,
            layers,
        }
    }

    /// The blob of this digest, if it is one of the artifact's.
    pub fn blob(&self, digest: &Digest) -> Option<&[u8]> {
        let mut blobs = std::iter::once(&self.config).chain(&self.layers);
        blobs
            .find(|blob| blob.digest == *digest)
            .map(|blob| blob.bytes.as_slice())
    }
}

/// A Wasm OCI artifact of one component or core module.
///
/// <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>
///
/// # Errors
/// The bytes are no WebAssembly.
pub fn component(wasm: Vec<u8>) -> Result<Artifact, Refusal> {
    component_of("the component", wasm)
}

/// The same; `subject` names the component in messages.
pub(crate) fn component_of(subject: &str, wasm: Vec<u8>) -> Result<Artifact, Refusal> {
    let facts = inspect(subject, &wasm)?;
    let layer = Blob::new(WASM_LAYER, wasm);
    let os = if facts.is_core_module {
        "wasip1"
    } else {
        "wasip2"
    };
    let mut config = json!({
        // The field is required; a time of writing would give every push another digest.
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": os,
        "layerDigests": [layer.digest],
    });
    if !facts.is_core_module {
        let component = json!({"exports": facts.exports, "imports": facts.imports, "target": null});
        config["component"] = component;
    }
    let config = Blob::new(WASM_CONFIG, config.to_string().into_bytes());
    Ok(Artifact::new(config, vec![layer]))
}

/// A Spin OCI artifact, as `spin registry push` makes it. `wasm`: the bytes of each component of
/// the plan, in its order.
///
/// # Errors
/// The bytes of a component are no WebAssembly.
pub fn spin_app(plan: &AppPlan, wasm: Vec<Vec<u8>>) -> Result<Artifact, Refusal> {
    let mut layers: Vec<Blob> = Vec::new();
    let (mut components, mut triggers) = (Vec::new(), Vec::new());
    for (component, bytes) in plan.components.iter().zip(wasm) {
        inspect(&component.subject(), &bytes)?;
        let layer = Blob::new(WASM_CONTENT_LAYER, bytes);
        components.push(locked_component(component, &layer.digest));
        for route in &component.routes {
            triggers.push(locked_trigger(
                triggers.len(),
                &component.name,
                route.as_str(),
            ));
        }
        if layers.iter().all(|other| other.digest != layer.digest) {
            layers.push(layer);
        }
    }
    let variables: serde_json::Map<String, Value> = plan
        .variables
        .iter()
        .map(|(name, default)| (name.clone(), locked_variable(default.as_deref())))
        .collect();
    let mut locked = json!({
        "spin_lock_version": 0,
        "metadata": {"name": plan.name, "trigger": {"base": "/", "type": "http"}},
        "triggers": triggers,
        "components": components,
    });
    if !variables.is_empty() {
        locked["variables"] = variables.into();
    }
    let locked = Blob::new(SPIN_APPLICATION, locked.to_string().into_bytes());
    let config = json!({
        "architecture": "wasm",
        "os": "Wasip1",
        "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": locked.digest}},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    layers.push(locked);
    Ok(Artifact::new(
        Blob::new(IMAGE_CONFIG, config.to_string().into_bytes()),
        layers,
    ))
}

fn locked_trigger(number: usize, component: &str, route: &str) -> Value {
    json!({
        "id": format!("trigger-{number}-{component}"),
        "trigger_type": "http",
        "trigger_config": {"component": component, "executor": {"type": "http"}, "route": route},
    })
}

fn locked_variable(default: Option<&str>) -> Value {
    match default {
        Some(default) => json!({"default": default}),
        None => json!({}),
    }
}

fn locked_component(component: &ComponentPlan, digest: &Digest) -> Value {
    let mut metadata = serde_json::Map::new();
    if let Some(stores) = &component.key_value_stores {
        metadata.insert("key_value_stores".into(), json!(stores));
    }
    if let Some(databases) = &component.sqlite_databases {
        metadata.insert("databases".into(), json!(databases));
    }
    if !component.allowed_outbound_hosts.is_empty() {
        let hosts = json!(component.allowed_outbound_hosts);
        metadata.insert("allowed_outbound_hosts".into(), hosts);
    }
    let mut locked = json!({
        "id": component.name,
        "metadata": metadata,
        "source": {"content_type": "application/wasm", "digest": digest},
        "env": component.env,
    });
    if !component.variables.is_empty() {
        locked["config"] = json!(component.variables);
    }
    locked
}

/// Checks that what was written reads back: the manifest of an artifact, as a registry serves it.
///
/// # Errors
/// See [`oci::read_manifest`] and [`oci::ImageManifest::format`].
pub fn read_back(artifact: &Artifact) -> Result<oci::Format, Refusal> {
    match oci::read_manifest(&artifact.manifest)? {
        oci::Manifest::Image(image) => image.format(Some(&artifact.config.bytes)),
        oci::Manifest::Index(_) => Err(Refusal::new(
            crate::Reason::UnsupportedArtifact,
            "an index was written where an image was meant",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Route, WasmSource, oci::Format, spin};

    const CORE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_component_reads_back() {
        for bytes in [CORE, COMPONENT] {
            let artifact = component(bytes.to_vec()).unwrap();
            let Format::Component(layer) = read_back(&artifact).unwrap() else {
                panic!()
            };
            assert_eq!(artifact.blob(&layer.digest), Some(bytes));
            assert_eq!(component(bytes.to_vec()).unwrap().digest, artifact.digest);
        }
        assert!(component(b"\x7fELF".to_vec()).is_err());
    }

    #[test]
    fn a_spin_app_reads_back_as_it_was_planned() {
        let mut plan = AppPlan::single(WasmSource::File("a.wasm".into()));
        plan.name = "shop".into();
        let mut first = plan.components.remove(0);
        first.name = "api".into();
        first.routes = vec!["/api/...".parse().unwrap(), "/b/:c".parse().unwrap()];
        first.env.insert("A".into(), "b".into());
        first.variables.insert("url".into(), "{{ host }}".into());
        plan.variables.insert("host".into(), Some("h".into()));
        plan.variables.insert("key".into(), None);
        first.key_value_stores = Some(vec!["default".into()]);
        first.sqlite_databases = Some(vec!["default".into()]);
        first.allowed_outbound_hosts = vec!["https://example.com".into()];
        let second = ComponentPlan {
            name: "page".into(),
            routes: vec![Route::everything()],
            key_value_stores: None,
            sqlite_databases: None,
            ..first.clone()
        };
        plan.components = vec![first, second];

        let artifact = spin_app(&plan, vec![CORE.to_vec(), COMPONENT.to_vec()]).unwrap();
        let Format::Spin(locked) = read_back(&artifact).unwrap() else {
            panic!()
        };
        let oci::Manifest::Image(image) = oci::read_manifest(&artifact.manifest).unwrap() else {
            panic!()
        };
        let read =
            spin::locked::read(artifact.blob(&locked.digest).unwrap(), &image.layers).unwrap();
        for (component, bytes) in plan.components.iter_mut().zip([CORE, COMPONENT]) {
            component.wasm = WasmSource::Blob {
                digest: Digest::of(bytes),
                size: 8,
            };
        }
        assert_eq!(read, plan);
    }
}
