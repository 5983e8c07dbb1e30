//! A builder that answers from a table.

use std::collections::{BTreeMap, BTreeSet};

use shoal_artifact::variables::Declared;
use shoal_crds::Interface;

use crate::{Built, ComponentDescription, Description, Question, Refusal};

pub(in crate::tests) struct Builder {
    pub(in crate::tests) up: bool,
    pub(in crate::tests) asked: Vec<Question>,
    images: BTreeMap<String, Result<String, Refusal>>,
    builds: BTreeMap<String, Result<Description, Refusal>>,
    own_builds: BTreeMap<(String, String), Result<Description, Refusal>>,
    /// It makes no code for these.
    pub(in crate::tests) unknown_engines: BTreeSet<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            up: true,
            asked: Vec::new(),
            images: BTreeMap::new(),
            builds: BTreeMap::new(),
            own_builds: BTreeMap::new(),
            unknown_engines: BTreeSet::new(),
        }
    }
}

pub(in crate::tests) fn digest(text: &str) -> String {
    format!("sha256:{}", crate::hash::hex(text.as_bytes(), 32))
}

pub(in crate::tests) fn component(name: &str, stores: &[&str]) -> ComponentDescription {
    ComponentDescription {
        name: name.to_owned(),
        digest: digest(&format!("component {name}")),
        routes: vec!["/...".to_owned()],
        env: BTreeMap::from([("FROM".to_owned(), "image".to_owned())]),
        labels: stores
            .iter()
            .map(|&label| (Interface::KeyValue, label.to_owned()))
            .collect(),
        variables: BTreeMap::new(),
    }
}

pub(in crate::tests) fn refusal(reason: &str, retry_after_seconds: u32) -> Refusal {
    let message = format!("because of {reason}");
    Refusal {
        reason: reason.to_owned(),
        message,
        retry_after_seconds,
    }
}

impl Builder {
    /// There is such an image.
    pub(in crate::tests) fn image(&mut self, image: &str, components: Vec<ComponentDescription>) {
        self.app_image(image, components, Declared::new());
    }

    /// There is such an image of an app that declares variables.
    pub(in crate::tests) fn app_image(
        &mut self,
        image: &str,
        components: Vec<ComponentDescription>,
        variables: Declared,
    ) {
        let components = components
            .into_iter()
            .map(|c| ComponentDescription {
                digest: digest(&format!("{image} {}", c.name)),
                ..c
            })
            .collect();
        self.images.insert(image.to_owned(), Ok(digest(image)));
        let description = Description {
            components,
            variables,
        };
        self.builds.insert(digest(image), Ok(description));
    }

    /// It has no digest.
    pub(in crate::tests) fn refuse_resolve(&mut self, image: &str, refusal: Refusal) {
        self.images.insert(image.to_owned(), Err(refusal));
    }

    /// It has a digest, but does not build.
    pub(in crate::tests) fn refuse_build(&mut self, image: &str, refusal: Refusal) {
        self.images.insert(image.to_owned(), Ok(digest(image)));
        self.builds.insert(digest(image), Err(refusal));
    }

    pub(super) fn resolve(&self, image: &str) -> Result<String, Refusal> {
        self.images
            .get(image)
            .cloned()
            .unwrap_or_else(|| Err(refusal("ImageNotFound", 30)))
    }

    pub(super) fn build(
        &self,
        image: &str,
        digest: &str,
        engine_keys: &BTreeSet<String>,
    ) -> Result<Built, Refusal> {
        let own = self.own_builds.get(&(image.to_owned(), digest.to_owned()));
        let description = own
            .or_else(|| self.builds.get(digest))
            .cloned()
            .unwrap_or_else(|| Err(refusal("ImageNotFound", 30)))?;
        Ok(Built {
            description,
            engine_keys: engine_keys
                .difference(&self.unknown_engines)
                .cloned()
                .collect(),
        })
    }

    /// A registry of someone's own says that its image has the digest of another; what is there is this.
    pub(in crate::tests) fn pretend(
        &mut self,
        image: &str,
        other: &str,
        answer: Result<Description, Refusal>,
    ) {
        self.images.insert(image.to_owned(), Ok(digest(other)));
        self.own_builds
            .insert((image.to_owned(), digest(other)), answer);
    }

    /// The engines of each build that was asked for since; forgets what was asked.
    pub(in crate::tests) fn take_builds(&mut self) -> Vec<BTreeSet<String>> {
        let asked = std::mem::take(&mut self.asked).into_iter();
        asked
            .filter_map(|question| match question {
                Question::Build { engine_keys, .. } => Some(engine_keys),
                Question::Resolve { .. } => None,
            })
            .collect()
    }

    /// How many questions of a kind were asked.
    pub(in crate::tests) fn asked_resolves(&self) -> usize {
        self.asked
            .iter()
            .filter(|question| matches!(question, Question::Resolve { .. }))
            .count()
    }
}
