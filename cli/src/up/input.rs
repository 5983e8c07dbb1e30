//! What `shoal up` was asked to run: from a path or an image reference to Apps.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use shoal_crds::{App, AppSpec, SourceKind, yaml};
use shoal_runtime::local::Entry;

use super::{
    declared::Declared,
    fields,
    objects::{self, Object},
};

/// Bytes of a manifest that are read at most.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Apps that one manifest may hold: each takes a port.
const APPS: usize = 100;

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Where `.shoal/` goes: beside the manifest.
    pub folder: PathBuf,
    /// In the order of the manifest, without ports; at least one, no two with the same namespace and
    /// name. Images are `file:` with an absolute path, or OCI references.
    pub apps: Vec<Entry>,
    /// What the manifest says of stores.
    pub declared: Declared,
    /// Secrets and ConfigMaps of the manifest.
    pub objects: Vec<Object>,
    /// Objects of the manifest that are not run, as `Kind name`.
    pub ignored: Vec<String>,
}

/// Reads what `argument` names: an App manifest, a `spin.toml`, a component, a folder with one of these,
/// or an image.
///
/// # Errors
/// It is none of these, or the manifest is wrong; the message names the field.
pub fn read(argument: &str) -> Result<Input> {
    let path = Path::new(argument.strip_prefix("file:").unwrap_or(argument));
    if path.exists() {
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find where {} is", path.display()))?;
        return read_path(&path);
    }
    ensure!(!looks_like_path(argument), "{argument} does not exist");
    let reference: oci_client::Reference = argument.parse().with_context(|| {
        format!("`{argument}` is neither a file or folder that exists nor an image reference")
    })?;
    let folder = std::env::current_dir().context("there is no current folder")?;
    Ok(Input {
        folder,
        apps: vec![single(
            &file_name(Path::new(reference.repository())),
            argument.to_owned(),
        )],
        declared: Declared::default(),
        objects: Vec::new(),
        ignored: Vec::new(),
    })
}

fn looks_like_path(argument: &str) -> bool {
    let path = Path::new(argument);
    let named = path.extension().is_some_and(|extension| {
        ["wasm", "toml", "yaml", "yml", "json"]
            .iter()
            .any(|known| extension == *known)
    });
    named || argument.starts_with(['.', '/']) || argument.starts_with("file:")
}

fn read_path(path: &Path) -> Result<Input> {
    let path = if path.is_dir() {
        manifest_in(path)?
    } else {
        path.to_owned()
    };
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    if ["yaml", "yml", "json"].contains(&extension) {
        return read_manifest(&path, folder);
    }
    let name = if extension == "toml" {
        file_name(&folder)
    } else {
        stem(&path)
    };
    let apps = vec![single(&name, format!("file:{}", path.display()))];
    Ok(Input {
        folder,
        apps,
        declared: Declared::default(),
        objects: Vec::new(),
        ignored: Vec::new(),
    })
}

/// What a folder is run by. `spin.toml` first: an `app.yaml` beside it names the image that it is pushed as.
fn manifest_in(folder: &Path) -> Result<PathBuf> {
    for name in ["spin.toml", "app.yaml", "app.yml"] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("{} holds neither spin.toml nor app.yaml", folder.display())
}

fn read_manifest(path: &Path, folder: PathBuf) -> Result<Input> {
    let size = path
        .metadata()
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    ensure!(
        size <= MANIFEST_BYTES,
        "{} is larger than 4 MiB",
        path.display()
    );
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parsed = parse(&text, &folder).with_context(|| format!("in {}", path.display()))?;
    Ok(Input { folder, ..parsed })
}

/// All but the folder.
fn parse(text: &str, folder: &Path) -> Result<Input> {
    let (mut apps, mut ignored) = (Vec::<Entry>::new(), Vec::new());
    let mut declared = Declared::default();
    let mut objects = Vec::new();
    for document in yaml::documents::<serde_json::Value>(text)? {
        let kind = document
            .get("kind")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("?");
        let name = document
            .pointer("/metadata/name")
            .and_then(serde_json::Value::as_str);
        let name = name.unwrap_or("?").to_owned();
        if let Some(object) = objects::read(kind, &document)? {
            if object.kind == SourceKind::Secret {
                declared.add_secret(&object.name, object.data.clone());
            }
            objects.push(object);
            continue;
        }
        if declared.add(kind, &name, &document)? {
            continue;
        }
        if kind != "App" {
            ignored.push(format!("{kind} {name}"));
            continue;
        }
        let version = document
            .get("apiVersion")
            .and_then(serde_json::Value::as_str);
        let known = format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION);
        ensure!(
            version == Some(known.as_str()),
            "App {name}: apiVersion must be {known}"
        );
        let app: App =
            serde_json::from_value(document.clone()).with_context(|| format!("App {name}"))?;
        let written = document.get("spec").unwrap_or(&serde_json::Value::Null);
        if let Some(field) = fields::unknown(written, &serde_json::to_value(&app.spec)?, "spec") {
            bail!("App {name}: there is no field {field}");
        }
        let app = local(app, folder)?;
        if app.spec.replicas == 0 {
            ignored.push(format!(
                "App {}, which is suspended (replicas: 0)",
                app.name
            ));
            continue;
        }
        let twice = apps
            .iter()
            .any(|other| other.namespace == app.namespace && other.name == app.name);
        ensure!(!twice, "App {}/{} is there twice", app.namespace, app.name);
        apps.push(app);
        ensure!(apps.len() <= APPS, "more than {APPS} Apps");
    }
    ensure!(!apps.is_empty(), "there is no App to run (kind: App) in it");
    Ok(Input {
        folder: PathBuf::new(),
        apps,
        declared,
        objects,
        ignored,
    })
}

fn local(app: App, folder: &Path) -> Result<Entry> {
    let name = app.metadata.name.context("an App without metadata.name")?;
    ensure!(is_label(&name), "App {name}: the name is no RFC 1035 label");
    let mut spec = app.spec;
    ensure!(
        spec.image.is_some() != spec.components.is_some(),
        "App {name}: exactly one of spec.image and spec.components is required"
    );
    let components = spec
        .components
        .iter_mut()
        .flatten()
        .map(|component| &mut component.image);
    for image in spec.image.iter_mut().chain(components) {
        if let Some(path) = image.strip_prefix("file:") {
            *image = format!("file:{}", folder.join(path).display());
        }
    }
    let namespace = app.metadata.namespace.unwrap_or_else(|| "default".into());
    Ok(Entry {
        namespace,
        name,
        port: 0,
        spec,
    })
}

fn single(name: &str, image: String) -> Entry {
    let spec = AppSpec {
        image: Some(image),
        replicas: 1,
        ..AppSpec::default()
    };
    Entry {
        namespace: "default".into(),
        name: label(name),
        port: 0,
        spec,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// An RFC 1035 label that is as near to `name` as may be; `app` where nothing of it is left.
fn label(name: &str) -> String {
    let lower = name.to_lowercase();
    let mapped: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let trimmed = mapped.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let cut: String = trimmed.chars().take(63).collect();
    let label = cut.trim_end_matches('-');
    if label.is_empty() {
        "app".into()
    } else {
        label.to_owned()
    }
}

fn is_label(name: &str) -> bool {
    name.len() <= 63 && !name.is_empty() && label(name) == name
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "apiVersion: shoal.dev/v1alpha1\nkind: App\nmetadata: {name: hello}\nspec: {image: 'file:a.wasm'}\n";

    #[test]
    fn a_manifest_gives_its_apps_in_order_with_paths_beside_it() {
        let text = format!(
            "{APP}---\nkind: Service\nmetadata: {{name: shop}}\n---\n{}",
            APP.replace("hello", "other")
                .replace("file:a.wasm", "registry.example/a:1")
        );
        let Input { apps, ignored, .. } = parse(&text, Path::new("/here")).unwrap();
        assert_eq!(
            apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(),
            ["hello", "other"]
        );
        assert_eq!(apps[0].spec.image.as_deref(), Some("file:/here/a.wasm"));
        assert_eq!(apps[1].spec.image.as_deref(), Some("registry.example/a:1"));
        assert_eq!(ignored, ["Service shop"]);
    }

    #[test]
    fn wrong_manifests_are_refused_by_what_is_wrong() {
        let wrong = [
            (APP.replace("kind: App", "kind: Pod"), "no App to run"),
            (
                APP.replace("spec: {", "spec: {replicas: 0, "),
                "no App to run",
            ),
            (APP.replace("v1alpha1", "v9"), "apiVersion"),
            (APP.replace("name: hello", "name: Hello"), "Hello"),
            (
                APP.replace("image: 'file:a.wasm'", "replicas: 1"),
                "spec.image",
            ),
            (APP.replace("image:", "imgae: x, image:"), "spec.imgae"),
            (format!("{APP}---\n{APP}"), "twice"),
            (
                APP.replace("spec: {", "spec: {replicas: many, "),
                "App hello",
            ),
        ];
        for (text, named) in wrong {
            let error = format!("{:#}", parse(&text, Path::new("/")).unwrap_err());
            assert!(error.contains(named), "{named}: {error}");
        }
    }

    #[test]
    fn a_folder_is_run_by_its_spin_toml_before_its_app_yaml() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path().to_str().unwrap()).is_err());
        std::fs::write(folder.path().join("app.yaml"), APP).unwrap();
        let input = read(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(input.apps[0].name, "hello");
        std::fs::write(folder.path().join("spin.toml"), "").unwrap();
        let input = read(folder.path().to_str().unwrap()).unwrap();
        assert!(
            input.apps[0]
                .spec
                .image
                .as_ref()
                .unwrap()
                .ends_with("/spin.toml")
        );
        assert_eq!(input.folder, folder.path().canonicalize().unwrap());
    }

    #[test]
    fn what_does_not_exist_is_an_image_only_if_it_looks_like_one() {
        assert!(read("./nothing").is_err());
        assert!(
            read("nothing.wasm")
                .unwrap_err()
                .to_string()
                .contains("does not exist")
        );
        let input = read("registry.example/shop/cart:1").unwrap();
        assert_eq!(
            (
                input.apps[0].name.as_str(),
                input.apps[0].namespace.as_str()
            ),
            ("cart", "default")
        );
    }

    #[test]
    fn names_become_labels() {
        assert_eq!(label("My App_2"), "my-app-2");
        assert_eq!(label("42"), "app");
        assert_eq!(label("--x--"), "x");
        assert!(is_label("a-b") && !is_label("-a") && !is_label(&"a".repeat(64)));
    }
}
