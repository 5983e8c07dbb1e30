//! The name of what compiled code was made for.

use std::{fmt, str::FromStr};

/// Version of the settings in [`crate::config`]. Raise it with any change there that compiled code
/// depends on: older code is then made again instead of being refused at load.
const SETTINGS_VERSION: u32 = 1;

/// Version of Wasmtime that is linked: code of another version does not load.
const WASMTIME_VERSION: &str = env!("WASMTIME_VERSION");

/// Architectures that code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `x86_64-unknown-linux-gnu`
    Amd64,
    /// `aarch64-unknown-linux-gnu`
    Arm64,
    /// `riscv64gc-unknown-linux-gnu`
    Riscv64,
}

impl Target {
    /// The target of this process, if code is made for it.
    pub fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            "riscv64" => Some(Self::Riscv64),
            _ => None,
        }
    }

    /// The target triple, as Cranelift takes it.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::Riscv64 => "riscv64gc-unknown-linux-gnu",
        }
    }

    fn from_triple(triple: &str) -> Option<Self> {
        [Self::Amd64, Self::Arm64, Self::Riscv64]
            .into_iter()
            .find(|t| t.triple() == triple)
    }
}

/// Which instructions compiled code may use beyond the architecture's first version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CpuBaseline {
    /// What every CPU of the architecture has.
    Generic,
}

impl CpuBaseline {
    fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
        }
    }
}

/// Names everything that compiled code depends on: Wasmtime's version, target, CPU baseline and our
/// settings. Code is loaded only where the keys are equal.
///
/// Text form: `wasmtime-<version>/<triple>/<baseline>/<settings version>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EngineKey {
    target: Target,
    baseline: CpuBaseline,
}

/// An engine key of another version, or none at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("engine key `{key}` is not one of this version (which makes `{ours}`)")]
pub struct InvalidEngineKey {
    key: String,
    ours: String,
}

impl EngineKey {
    /// The key of this version of Shoal for a target and baseline.
    pub fn new(target: Target, baseline: CpuBaseline) -> Self {
        Self { target, baseline }
    }

    /// The key of this process, if code is made for its architecture.
    pub fn host() -> Option<Self> {
        Target::host().map(|target| Self::new(target, CpuBaseline::Generic))
    }

    /// Architecture.
    pub fn target(&self) -> Target {
        self.target
    }

    /// CPU baseline.
    pub fn baseline(&self) -> CpuBaseline {
        self.baseline
    }
}

impl fmt::Display for EngineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (triple, baseline) = (self.target.triple(), self.baseline.name());
        write!(
            f,
            "wasmtime-{WASMTIME_VERSION}/{triple}/{baseline}/{SETTINGS_VERSION}"
        )
    }
}

impl FromStr for EngineKey {
    type Err = InvalidEngineKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text
            .split('/')
            .nth(1)
            .and_then(Target::from_triple)
            .map(|target| Self::new(target, CpuBaseline::Generic));
        match parsed {
            Some(key) if key.to_string() == text => Ok(key),
            other => Err(InvalidEngineKey {
                key: text.chars().take(128).collect(),
                ours: other.map_or_else(
                    || Self::new(Target::Amd64, CpuBaseline::Generic).to_string(),
                    |key| key.to_string(),
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        for target in [Target::Amd64, Target::Arm64, Target::Riscv64] {
            let key = EngineKey::new(target, CpuBaseline::Generic);
            assert_eq!(key.to_string().parse::<EngineKey>().unwrap(), key);
        }
    }

    #[test]
    fn a_key_of_another_version_is_refused() {
        let ours = EngineKey::new(Target::Amd64, CpuBaseline::Generic).to_string();
        for other in [
            "",
            "/",
            "x",
            &ours.replace("wasmtime-", "wasmtime-0"),
            &format!("{ours}/"),
        ] {
            assert!(other.parse::<EngineKey>().is_err(), "{other} was accepted");
        }
    }
}
