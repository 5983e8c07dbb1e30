//! What an artifact asks to be run, before its components are looked into.

use std::collections::{BTreeMap, HashSet};

use crate::{Digest, Reason, Refusal, Route, RouteTable, limits};

/// The components of an app, as its manifest declares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPlan {
    /// Name that the manifest gives the app; empty for a single component.
    pub name: String,
    /// At least one, names all different.
    pub components: Vec<ComponentPlan>,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentPlan {
    /// Unique in the app. Empty: the artifact is a single component and names none.
    pub name: String,
    /// At least one.
    pub routes: Vec<Route>,
    /// Environment that the guest sees.
    pub env: BTreeMap<String, String>,
    /// Labels of key-value stores; `None` where the manifest says nothing about them.
    pub key_value_stores: Option<Vec<String>>,
    /// As the manifest has them; policy is applied at the call.
    pub allowed_outbound_hosts: Vec<String>,
    /// Where its bytes are.
    pub wasm: WasmSource,
}

/// Where the bytes of a component are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WasmSource {
    /// A blob of the registry.
    Blob {
        /// Digest of the blob.
        digest: Digest,
        /// Its size in bytes, as the manifest states it.
        size: u64,
    },
    /// In the manifest itself.
    Inline(Vec<u8>),
    /// A file, by its path relative to the manifest's folder.
    File(String),
}

impl AppPlan {
    /// A component that comes without a manifest: it gets every path.
    pub fn single(wasm: WasmSource) -> Self {
        let component = ComponentPlan {
            name: String::new(),
            routes: vec![Route::everything()],
            env: BTreeMap::new(),
            key_value_stores: None,
            allowed_outbound_hosts: Vec::new(),
            wasm,
        };
        Self {
            name: String::new(),
            components: vec![component],
        }
    }

    /// Checks what concerns the whole: counts, names, routes.
    ///
    /// # Errors
    /// A bound is passed, a name is used twice, a component has no route, or two have the same one.
    pub fn checked(self) -> Result<Self, Refusal> {
        let unsupported = |message: String| Err(Refusal::new(Reason::UnsupportedArtifact, message));
        if self.components.is_empty() {
            return unsupported("the app has no components".into());
        }
        if self.components.len() > limits::COMPONENTS {
            return unsupported(format!(
                "the app has more than {} components",
                limits::COMPONENTS
            ));
        }
        let mut names = HashSet::new();
        for component in &self.components {
            if !names.insert(component.name.as_str()) {
                return unsupported(format!("two components are called `{}`", component.name));
            }
            component.check()?;
        }
        self.check_routes()?;
        Ok(self)
    }

    fn check_routes(&self) -> Result<(), Refusal> {
        let routes = || {
            self.components.iter().flat_map(|component| {
                component
                    .routes
                    .iter()
                    .map(move |route| (route.clone(), &component.name))
            })
        };
        if routes().count() > limits::ROUTES {
            let message = format!("the app has more than {} routes", limits::ROUTES);
            return Err(Refusal::new(Reason::InvalidRoute, message));
        }
        let Err(duplicate) = RouteTable::new(routes()) else {
            return Ok(());
        };
        let owner = |at| {
            routes()
                .nth(at)
                .map(|(_, name)| subject(name))
                .unwrap_or_default()
        };
        let (first, second) = duplicate.positions;
        let message = format!("{duplicate}: of {} and {}", owner(first), owner(second));
        Err(Refusal::new(Reason::InvalidRoute, message))
    }
}

impl ComponentPlan {
    /// How messages name it.
    pub fn subject(&self) -> String {
        subject(&self.name)
    }

    fn check(&self) -> Result<(), Refusal> {
        let subject = self.subject();
        let unsupported = |message: String| Err(Refusal::new(Reason::UnsupportedArtifact, message));
        if self.name.len() > limits::NAME_BYTES || self.name.chars().any(char::is_control) {
            return unsupported(format!(
                "{subject} has a name that is too long or unprintable"
            ));
        }
        if self.routes.is_empty() {
            let message = format!(
                "{subject} has no http trigger; components that only others of the app call are \
                 not served by this version"
            );
            return Err(Refusal::new(Reason::UnsupportedFeature, message));
        }
        if self.env.len() > limits::ENV_ENTRIES {
            let bound = limits::ENV_ENTRIES;
            return unsupported(format!(
                "{subject} has more than {bound} environment variables"
            ));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return unsupported(format!(
                    "{subject} has an invalid environment variable `{name}`"
                ));
            }
        }
        let labels = self.key_value_stores.as_deref().unwrap_or_default();
        if labels.len() > limits::LABELS {
            let bound = limits::LABELS;
            return unsupported(format!("{subject} has more than {bound} key-value stores"));
        }
        match labels.iter().find(|label| !is_label(label)) {
            None => Ok(()),
            Some(label) => unsupported(format!(
                "{subject} has a key-value store `{label}`: a label is of letters, digits, `-` and `_`"
            )),
        }
    }
}

/// How messages name a component.
pub fn subject(name: &str) -> String {
    if name.is_empty() {
        "the component".into()
    } else {
        format!("component `{name}`")
    }
}

fn is_label(label: &str) -> bool {
    (1..=limits::NAME_BYTES).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(name: &str, route: &str) -> ComponentPlan {
        let mut plan = AppPlan::single(WasmSource::Inline(vec![]))
            .components
            .remove(0);
        plan.name = name.into();
        plan.routes = vec![route.parse().unwrap()];
        plan
    }

    fn refused(components: Vec<ComponentPlan>) -> Refusal {
        AppPlan {
            name: String::new(),
            components,
        }
        .checked()
        .unwrap_err()
    }

    #[test]
    fn a_route_of_two_components_is_refused_with_both_names() {
        let refusal = refused(vec![component("a", "/x/:i"), component("b", "/x/:j")]);
        assert_eq!(refusal.reason, Reason::InvalidRoute);
        for part in ["`/x/:i`", "`/x/:j`", "component `a`", "component `b`"] {
            assert!(refusal.message.contains(part), "{refusal}");
        }
    }

    #[test]
    fn names_labels_and_variables_are_checked() {
        let mut variable = component("a", "/");
        variable.env.insert("A=B".into(), String::new());
        let mut label = component("a", "/");
        label.key_value_stores = Some(vec!["../other".into()]);
        let mut routeless = component("a", "/");
        routeless.routes.clear();
        for (components, word) in [
            (vec![], "no components"),
            (
                vec![component("a", "/a"), component("a", "/b")],
                "two components",
            ),
            (vec![variable], "`A=B`"),
            (vec![label], "`../other`"),
            (vec![routeless], "no http trigger"),
        ] {
            let refusal = refused(components);
            assert!(refusal.message.contains(word), "{refusal}");
        }
    }
}
