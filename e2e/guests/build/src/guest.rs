use std::path::PathBuf;

use crate::toolchain::Target;

/// Where the crate of a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A member of the workspace `e2e/guests`.
    Guests,
    /// A crate of its own, in a folder of its name under `examples`.
    Example,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    pub(crate) target: Target,
    /// Folders, relative to the repository, that get a copy beside `target/guests`: those whose
    /// manifest names the file.
    pub(crate) copies: &'static [&'static str],
}

const fn guest(name: &'static str) -> Guest {
    Guest {
        name,
        source: Source::Guests,
        target: Target::Preview2,
        copies: &[],
    }
}

pub(crate) const GUESTS: &[Guest] = &[
    guest("core-hello"),
    Guest {
        target: Target::Preview1,
        ..guest("core-preview1")
    },
    guest("denied"),
    guest("echo"),
    guest("env"),
    guest("hello"),
    guest("hello-v1"),
    guest("hello-v2"),
    guest("hostile"),
    guest("http-p3"),
    Guest {
        copies: &["e2e/guests/manifests/label"],
        ..guest("kv")
    },
    guest("kv-draft"),
    guest("kv-spin"),
    guest("kv-spin-v1"),
    guest("kv-spin-v3"),
    guest("no-handler"),
    Guest {
        target: Target::Preview1,
        ..guest("spin-sdk-5")
    },
    guest("spin-sdk-6"),
    guest("spin-sdk-7"),
    guest("blobs"),
    guest("sqlite"),
    guest("sqlite-v1"),
    guest("unknown-import"),
    Guest {
        copies: &["e2e/guests/manifests/configured"],
        ..guest("variables")
    },
    guest("variables-v3"),
    Guest {
        source: Source::Example,
        copies: &["examples/guestbook"],
        ..guest("guestbook")
    },
];

/// Guests that are a folder with a Spin manifest, which names components of [`GUESTS`].
pub(crate) const MANIFESTS: &[(&str, &str)] = &[
    ("configured", "e2e/guests/manifests/configured"),
    ("label", "e2e/guests/manifests/label"),
];

impl Guest {
    /// What Cargo calls the result, relative to the target folder.
    pub(crate) fn artifact(&self) -> PathBuf {
        let file = format!("{}.wasm", self.name.replace('-', "_"));
        [self.target.triple(), "release", &file].iter().collect()
    }

    pub(crate) fn file_name(&self) -> String {
        format!("{}.wasm", self.name)
    }
}
