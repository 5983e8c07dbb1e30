//! Environment and variables of the components that run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use shoal_artifact::variables::{self, Unresolved};
use shoal_crds::{
    AppSpec, Reason,
    values::{self, Lack, Values},
};

use crate::{
    AppKey, Index, bounds,
    index::{Memory, SourceRef},
    revision::{Content, ContentComponent},
    status::Verdict,
};

/// What the guests of each component are given, by the component's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings(BTreeMap<String, ComponentSettings>);

/// What the guests of a component are given.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ComponentSettings {
    pub(crate) env: Values,
    pub(crate) variables: Values,
}

/// Names, never a value.
impl fmt::Debug for ComponentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentSettings")
            .field("env", &self.env.keys())
            .field("variables", &self.variables.keys())
            .finish()
    }
}

/// What came of looking for the values.
#[derive(Clone, Debug)]
pub(crate) enum Configured {
    /// They are all there.
    Settled(Arc<Settings>),
    /// Something was not read yet; what.
    Waiting(String),
    /// Something is not there.
    Failed(Verdict),
}

impl Configured {
    /// Why there are no values (yet).
    pub(crate) fn fault(&self) -> Option<Verdict> {
        match self {
            Self::Settled(_) => None,
            Self::Waiting(what) => Some(Verdict::pending(Reason::Progressing, what)),
            Self::Failed(verdict) => Some(verdict.clone()),
        }
    }

    /// The values, if they are all there.
    pub(crate) fn settings(&self) -> Option<&Arc<Settings>> {
        match self {
            Self::Settled(settings) => Some(settings),
            Self::Failed(_) | Self::Waiting(_) => None,
        }
    }
}

impl Settings {
    pub(crate) fn of(&self, component: &str) -> Option<&ComponentSettings> {
        self.0.get(component)
    }

    fn cover(&self, content: &Content) -> bool {
        let mut names = content.components.iter().map(|c| &c.name);
        names.all(|name| self.0.contains_key(name))
    }
}

/// The objects that an App takes values from.
pub(crate) fn referred(app: &AppKey, spec: &AppSpec) -> BTreeSet<SourceRef> {
    let source = |(kind, name): (_, String)| SourceRef {
        kind,
        key: app.sibling(&name),
    };
    values::referred(spec).into_iter().map(source).collect()
}

/// Looks for the values of every component of `content`.
pub(crate) fn configure(
    index: &Index,
    app: &AppKey,
    spec: &AppSpec,
    content: &Content,
) -> Configured {
    let mut settings = Settings::default();
    for component in &content.components {
        match of_component(index, app, spec, component) {
            Ok(found) => {
                settings.0.insert(component.name.clone(), found);
            }
            Err(why) => return why,
        }
    }
    Configured::Settled(Arc::new(settings))
}

/// The values that `content` runs with: those that are there; while some are not, the last that were.
pub(crate) fn to_run_with(
    configured: &Configured,
    content: &Content,
    memory: &mut Memory,
) -> Option<Arc<Settings>> {
    if let Configured::Settled(settings) = configured {
        memory.settings = Some(Arc::clone(settings));
    }
    memory
        .settings
        .clone()
        .filter(|settings| settings.cover(content))
}

fn of_component(
    index: &Index,
    app: &AppKey,
    spec: &AppSpec,
    component: &ContentComponent,
) -> Result<ComponentSettings, Configured> {
    let name = &component.name;
    let sources = index.values.of_namespace(app);
    let env = values::environment(spec, name, &component.env, &sources).map_err(lack)?;
    let given = values::variables(spec, name, &sources).map_err(lack)?;
    bounds::check_env(name, &env)
        .map_err(|(_, text)| Configured::Failed(Verdict::fails(Reason::ValueInvalid, text)))?;
    let variables = variables::resolve(&component.declared, &component.variables, &given)
        .map_err(|unresolved| Configured::Failed(unresolved_verdict(name, &unresolved)))?;
    Ok(ComponentSettings { env, variables })
}

fn lack(lack: Lack) -> Configured {
    let message = lack.to_string();
    let reason = match lack {
        Lack::Unread(_) => return Configured::Waiting(message),
        Lack::NotFound(_) => Reason::ValueNotFound,
        Lack::Unreadable(_) => Reason::ValueUnreadable,
        Lack::Invalid(_) => Reason::ValueInvalid,
    };
    Configured::Failed(Verdict::fails(reason, message).retried())
}

fn unresolved_verdict(component: &str, unresolved: &Unresolved) -> Verdict {
    let (reason, todo) = match unresolved {
        Unresolved::Missing(_) => (Reason::VariableMissing, ": give it one in `spec.variables`"),
        Unresolved::TooLarge | Unresolved::Template(..) => (Reason::ValueInvalid, ""),
    };
    Verdict::fails(
        reason,
        format!("component `{component}`: {unresolved}{todo}"),
    )
}
