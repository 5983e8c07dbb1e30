//! What an App is made of, once its images are built.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use shoal_artifact::variables::Declared;
use shoal_crds::{AppSpec, Reason};

use crate::{
    Component, Description, Label, StoreBinding, bounds, configuration::Settings, hash,
    index::BuildKey, store::BoundStore,
};

/// An image of an App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedImage {
    /// As in the spec.
    pub(crate) reference: String,
    /// `sha256:<64 hex>` of the manifest.
    pub(crate) digest: String,
}

impl ResolvedImage {
    /// What the builder's answers about it are found by.
    pub(crate) fn build_key(&self) -> BuildKey {
        BuildKey::new(&self.reference, &self.digest)
    }
}

/// What runs: components, and the revision that names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Images, in the order of the spec.
    pub(crate) images: Vec<ResolvedImage>,
    /// Hash of digests and `components`.
    pub(crate) revision: String,
    /// Components.
    pub(crate) components: Vec<ContentComponent>,
    /// Engines that all of it was compiled for.
    pub(crate) engine_keys: BTreeSet<String>,
}

/// One component, as its image and the App's `components` describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentComponent {
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) routes: Vec<String>,
    /// Environment of the image.
    pub(crate) env: BTreeMap<String, String>,
    /// Of the image and of `spec.stores`.
    pub(crate) labels: Vec<Label>,
    /// Variables that the image declares.
    pub(crate) declared: Arc<Declared>,
    /// Variables of the component: templates that name the declared ones.
    pub(crate) variables: BTreeMap<String, String>,
}

/// A condition's reason and message.
pub(crate) type Fault = (Reason, String);

/// Images of an App, with the component of each, in order.
pub(crate) fn images_of(spec: &AppSpec) -> Vec<&str> {
    match (&spec.image, &spec.components) {
        (Some(image), None) => vec![image],
        (_, Some(components)) => components.iter().map(|c| c.image.as_str()).collect(),
        (None, None) => Vec::new(),
    }
}

/// `status.image`.
pub(crate) fn to_record(images: &[ResolvedImage]) -> String {
    let one = |image: &ResolvedImage| format!("{}@{}", image.reference, image.digest);
    images.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Reads `status.image`; what is not of its form does not count.
pub(crate) fn from_record(record: &str) -> Vec<ResolvedImage> {
    let one = |text: &str| {
        let (reference, digest) = text.rsplit_once('@')?;
        let hex = digest.strip_prefix("sha256:")?;
        let valid = hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| ResolvedImage {
            reference: reference.to_owned(),
            digest: digest.to_owned(),
        })
    };
    record.split(',').filter_map(one).collect()
}

#[derive(Serialize)]
struct Revised<'a> {
    digests: Vec<&'a str>,
    components: Vec<RevisedComponent<'a>>,
}

#[derive(Serialize)]
struct RevisedComponent<'a> {
    name: &'a str,
    routes: &'a [String],
}

fn revision(spec: &AppSpec, images: &[ResolvedImage]) -> String {
    let components = spec.components.iter().flatten();
    hash::of_json(&Revised {
        digests: images.iter().map(|image| image.digest.as_str()).collect(),
        components: components
            .map(|c| RevisedComponent {
                name: &c.name,
                routes: &c.routes,
            })
            .collect(),
    })
}

/// Puts together what runs.
///
/// # Errors
/// The parts do not fit: reason and message of `Built`.
pub(crate) fn compose(
    app: &str,
    spec: &AppSpec,
    images: Vec<ResolvedImage>,
    descriptions: &[&Description],
    engine_keys: BTreeSet<String>,
) -> Result<Content, Fault> {
    let components = match &spec.components {
        None => descriptions
            .iter()
            .flat_map(|d| {
                let declared = Arc::new(d.variables.clone());
                let component = move |c| from_image(app, c, &declared);
                d.components.iter().map(component)
            })
            .collect(),
        Some(components) => components
            .iter()
            .zip(descriptions)
            .map(|(component, description)| from_component(component, description))
            .collect::<Result<Vec<_>, _>>()?,
    };
    if components.is_empty() {
        return Err((
            Reason::UnsupportedArtifact,
            "the image holds no component".to_owned(),
        ));
    }
    let components = with_labels_of(spec, components);
    bounds::check(&components)?;
    for component in &components {
        bounds::check_env(&component.name, &component.env)?;
    }
    Ok(Content {
        revision: revision(spec, &images),
        images,
        components,
        engine_keys,
    })
}

fn from_image(
    app: &str,
    component: &crate::ComponentDescription,
    declared: &Arc<Declared>,
) -> ContentComponent {
    let name = if component.name.is_empty() {
        app
    } else {
        &component.name
    };
    ContentComponent {
        name: name.to_owned(),
        digest: component.digest.clone(),
        routes: component.routes.clone(),
        env: component.env.clone(),
        labels: component.labels.clone(),
        declared: Arc::clone(declared),
        variables: component.variables.clone(),
    }
}

fn from_component(
    component: &shoal_crds::Component,
    description: &Description,
) -> Result<ContentComponent, Fault> {
    let [only] = description.components.as_slice() else {
        let count = description.components.len();
        return Err((
            Reason::UnsupportedArtifact,
            format!(
                "component `{}`: `{}` holds {count} components; an image named in `components` must hold one",
                component.name, component.image
            ),
        ));
    };
    Ok(ContentComponent {
        name: component.name.clone(),
        routes: component.routes.clone(),
        ..from_image("", only, &Arc::new(description.variables.clone()))
    })
}

/// Labels that the App names are open to all of its components, beside those that each image declares.
fn with_labels_of(spec: &AppSpec, mut components: Vec<ContentComponent>) -> Vec<ContentComponent> {
    for component in &mut components {
        for named in spec.stores.iter().flatten() {
            let label = (named.interface, named.label.clone());
            if !component.labels.contains(&label) {
                component.labels.push(label);
            }
        }
    }
    components
}

impl Content {
    /// The components as runtimes get them. `None`: a label has no Store, or a component no settings.
    pub(crate) fn bind(
        &self,
        settings: &Settings,
        stores: &BTreeMap<Label, BoundStore>,
    ) -> Option<Vec<Component>> {
        self.components
            .iter()
            .map(|component| bind_component(component, settings, stores))
            .collect()
    }

    /// Labels that its components open, each with the first component that does.
    pub(crate) fn labels(&self) -> BTreeMap<&Label, &str> {
        let mut labels = BTreeMap::new();
        for component in &self.components {
            for label in &component.labels {
                labels.entry(label).or_insert(component.name.as_str());
            }
        }
        labels
    }
}

fn bind_component(
    component: &ContentComponent,
    settings: &Settings,
    stores: &BTreeMap<Label, BoundStore>,
) -> Option<Component> {
    let settings = settings.of(&component.name)?;
    let mut labels = component.labels.clone();
    labels.sort();
    labels.dedup();
    let binding = |label: Label| {
        let store = stores.get(&label)?;
        let (interface, label) = label;
        Some(StoreBinding {
            label,
            interface: interface.as_str().to_owned(),
            store_id: store.id.clone(),
            class: store.class_name.clone(),
            nodes: store.nodes,
        })
    };
    Some(Component {
        name: component.name.clone(),
        digest: component.digest.clone(),
        routes: component.routes.clone(),
        env: settings.env.clone(),
        variables: settings.variables.clone(),
        stores: labels
            .into_iter()
            .map(binding)
            .collect::<Option<Vec<_>>>()?,
    })
}
