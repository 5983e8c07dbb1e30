//! What an artifact asks to be run, before its components are looked into.

use std::collections::{BTreeMap, HashSet};

use crate::{
    Digest, Reason, Refusal, Route, RouteTable, limits,
    variables::{self, Declared},
};

/// The components of an app, as its manifest declares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPlan {
    /// Name that the manifest gives the app; empty for a single component.
    pub name: String,
    /// Variables that the app declares.
    pub variables: Declared,
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
    /// Variables that the guest may read: templates that name the app's.
    pub variables: BTreeMap<String, String>,
    /// Labels of key-value stores; `None` where the manifest says nothing about them.
    pub key_value_stores: Option<Vec<String>>,
    /// Labels of SQL databases; `None` where the manifest says nothing about them.
    pub sqlite_databases: Option<Vec<String>>,
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
            variables: BTreeMap::new(),
            key_value_stores: None,
            sqlite_databases: None,
            allowed_outbound_hosts: Vec::new(),
            wasm,
        };
        Self {
            name: String::new(),
            variables: Declared::new(),
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
            let (count, bound) = (self.components.len(), limits::COMPONENTS);
            return unsupported(format!(
                "the app has {count} components; at most {bound} are served"
            ));
        }
        variables::check_declared(&self.variables)?;
        let mut names = HashSet::new();
        for component in &self.components {
            if !names.insert(component.name.as_str()) {
                return unsupported(format!("two components are called `{}`", component.name));
            }
            component.check()?;
            variables::check_templates(
                &component.subject(),
                &component.variables,
                &self.variables,
            )?;
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
        let (count, bound) = (routes().count(), limits::ROUTES);
        if count > bound {
            let message = format!("the app has {count} routes; at most {bound} are served");
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
        if self.name.len() > limits::COMPONENT_NAME_BYTES {
            let bound = limits::COMPONENT_NAME_BYTES;
            return unsupported(format!("{subject} has a name longer than {bound} bytes"));
        }
        let is_wrong = |c: char| c.is_control() || c.is_whitespace() || c == '/';
        if self.name.contains(is_wrong) {
            return unsupported(format!(
                "{subject} has a name with a space, a `/` or a control character"
            ));
        }
        if self.routes.is_empty() {
            let message = format!(
                "{subject} has no http trigger; components that only others of the app call are \
                 not served by this version"
            );
            return Err(Refusal::new(Reason::UnsupportedFeature, message));
        }
        self.check_env()?;
        let stores = self.key_value_stores.as_deref().unwrap_or_default();
        let databases = self.sqlite_databases.as_deref().unwrap_or_default();
        if stores.len() + databases.len() > limits::LABELS {
            let bound = limits::LABELS;
            return unsupported(format!(
                "{subject} has more than {bound} key-value stores and SQLite databases"
            ));
        }
        let labels = stores.iter().chain(databases);
        match labels.into_iter().find(|label| !is_label(label)) {
            None => Ok(()),
            Some(label) => unsupported(format!(
                "{subject} has a store or database `{label}`: a label is of letters, digits, `-` and `_`"
            )),
        }
    }

    fn check_env(&self) -> Result<(), Refusal> {
        let subject = self.subject();
        let unsupported = |message: String| Err(Refusal::new(Reason::UnsupportedArtifact, message));
        if self.env.len() > limits::ENV_ENTRIES {
            let bound = limits::ENV_ENTRIES;
            return unsupported(format!(
                "{subject} has more than {bound} environment variables"
            ));
        }
        let mut bytes = 0;
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return unsupported(format!(
                    "{subject} has an invalid environment variable `{name}`"
                ));
            }
            if name.len() > limits::ENV_NAME_BYTES {
                let bound = limits::ENV_NAME_BYTES;
                return unsupported(format!(
                    "{subject} has an environment variable with a name longer than {bound} bytes: \
                     `{name}`"
                ));
            }
            bytes += name.len() + value.len();
        }
        if bytes > limits::ENV_BYTES {
            let bound = limits::ENV_BYTES >> 10;
            return unsupported(format!(
                "{subject} has an environment of {} KiB; at most {bound} KiB are served",
                bytes.div_ceil(1024)
            ));
        }
        Ok(())
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
            components,
            ..AppPlan::default()
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

    /// What a runtime refuses by `node-runtime/src/assignment/bounds.rs` is refused here already.
    #[test]
    fn what_no_runtime_would_take_is_refused_by_the_limit() {
        let many = |count: usize| {
            let one = |at| component(&format!("c{at}"), &format!("/c{at}"));
            (0..count).map(one).collect::<Vec<_>>()
        };
        let mut routes = component("a", "/");
        let route = |at| format!("/r{at}").parse().unwrap();
        routes.routes = (0..=limits::ROUTES).map(route).collect();
        let with = |name: String, value: String| {
            let mut component = component("a", "/");
            component.env.insert(name, value);
            vec![component]
        };
        for (components, word) in [
            (many(65), "65 components; at most 64"),
            (vec![routes], "1025 routes; at most 1024"),
            (vec![component("a b", "/")], "a space, a `/`"),
            (vec![component("a/b", "/")], "a space, a `/`"),
            (vec![component(&"a".repeat(254), "/")], "253 bytes"),
            (with("A".repeat(257), String::new()), "256 bytes"),
            (with("A".into(), "x".repeat(1 << 20)), "at most 1024 KiB"),
        ] {
            let refusal = refused(components);
            assert!(refusal.message.contains(word), "{refusal}");
        }
        let plan = AppPlan {
            components: many(64),
            ..AppPlan::default()
        };
        plan.checked().unwrap();
    }
}
