//! What a component is given to read: Spin's interfaces of variables and `wasi:config`, over the one
//! set of values that its assignment holds.
//!
//! A request sees the values of the assignment that it began with.

mod spin_config;
mod spin_variables;
mod spin_variables_v3;
mod wasi_config_draft;
mod wasi_config_rc;

use shoal_artifact::variables::{self, NAME_RULE};
use wasmtime::component::{HasData, Linker};

use super::InstanceState;
use crate::assignment::Variables;

/// What the configuration interfaces need of an instance.
pub(super) struct ConfigurationView<'a> {
    variables: &'a Variables,
}

pub(super) struct ConfigurationHost;

impl HasData for ConfigurationHost {
    type Data<'a> = ConfigurationView<'a>;
}

/// Why a name has no value, before an interface puts it into its own words.
#[derive(Debug, PartialEq, Eq)]
enum NoValue {
    /// It is no name that Spin takes.
    InvalidName(String),
    /// The component has no such variable.
    Undefined(String),
}

impl ConfigurationView<'_> {
    fn get(&self, name: &str) -> Result<String, NoValue> {
        if let Some(value) = self.variables.get(name) {
            return Ok(value.to_owned());
        }
        // A guest may ask for any text.
        let shown: String = name.chars().take(128).collect();
        Err(if variables::is_name(name) {
            NoValue::Undefined(format!("the component has no variable `{shown}`"))
        } else {
            NoValue::InvalidName(format!("`{shown}` is no name of a variable: {NAME_RULE}"))
        })
    }

    fn all(&self) -> Vec<(String, String)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

fn view(state: &mut InstanceState) -> ConfigurationView<'_> {
    ConfigurationView {
        variables: &state.component.variables,
    }
}

pub(super) fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    spin_config::link(linker)?;
    spin_variables::link(linker)?;
    spin_variables_v3::link(linker)?;
    wasi_config_draft::link(linker)?;
    wasi_config_rc::link(linker)
}
