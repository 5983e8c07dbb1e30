//! Which interfaces guests may import, which export makes a component an app, and how a version is
//! compared with the one that is served.

/// Which versions of an interface are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Any release of the 0.2 series (`0.2.0`, `0.2.7`): WASI adds to it and changes nothing.
    Wasi02,
    /// Any release of the 0.3 series.
    Wasi03,
    /// The name without a version: Spin's first interfaces have none.
    None,
    /// This version and no other. Drafts are compatible with nothing else.
    Exactly(&'static str),
}

struct Served {
    package: &'static str,
    interfaces: &'static [&'static str],
    versions: &'static [Version],
}

/// Every interface that the runtime links, by package.
///
/// WASI: <https://github.com/WebAssembly/WASI>, `wasip2` for 0.2, `proposals` for 0.3. Key-value: the
/// drafts of `wasi:keyvalue` that toolchains use, and Spin's own three versions. SQL: Spin's own three. Configuration: Spin's
/// own, the draft of `wasi:config` that Spin serves, and the one that Wasmtime does.
const SUPPORTED: &[Served] = &[
    Served {
        package: "wasi:cli",
        interfaces: &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
        versions: &[Version::Wasi02, Version::Wasi03],
    },
    Served {
        package: "wasi:cli",
        interfaces: &["types"],
        versions: &[Version::Wasi03],
    },
    Served {
        package: "wasi:clocks",
        interfaces: &["monotonic-clock"],
        versions: &[Version::Wasi02, Version::Wasi03],
    },
    Served {
        package: "wasi:clocks",
        interfaces: &["wall-clock"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:clocks",
        interfaces: &["system-clock", "types"],
        versions: &[Version::Wasi03],
    },
    Served {
        package: "wasi:random",
        interfaces: &["random", "insecure", "insecure-seed"],
        versions: &[Version::Wasi02, Version::Wasi03],
    },
    Served {
        package: "wasi:io",
        interfaces: &["error", "poll", "streams"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:http",
        interfaces: &["types"],
        versions: &[Version::Wasi02, Version::Wasi03],
    },
    Served {
        package: "wasi:http",
        interfaces: &["outgoing-handler"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:http",
        interfaces: &["client"],
        versions: &[Version::Wasi03],
    },
    Served {
        package: "wasi:sockets",
        interfaces: &[
            "network",
            "instance-network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:sockets",
        interfaces: &["ip-name-lookup"],
        versions: &[Version::Wasi02, Version::Wasi03],
    },
    Served {
        package: "wasi:sockets",
        interfaces: &["types"],
        versions: &[Version::Wasi03],
    },
    Served {
        package: "wasi:filesystem",
        interfaces: &["types", "preopens"],
        versions: &[Version::Wasi02, Version::Wasi03],
    },
    Served {
        package: "wasi:keyvalue",
        interfaces: &["store", "atomics", "batch"],
        versions: &[
            Version::Exactly("0.2.0-draft"),
            Version::Exactly("0.2.0-draft2"),
        ],
    },
    Served {
        package: "fermyon:spin",
        interfaces: &["key-value"],
        versions: &[Version::None, Version::Exactly("2.0.0")],
    },
    Served {
        package: "fermyon:spin",
        interfaces: &["variables"],
        versions: &[Version::Exactly("2.0.0")],
    },
    Served {
        package: "wasi:blobstore",
        interfaces: &["blobstore", "container", "types"],
        versions: &[Version::Exactly("0.2.0-draft")],
    },
    Served {
        package: "fermyon:spin",
        interfaces: &["sqlite"],
        versions: &[Version::None, Version::Exactly("2.0.0")],
    },
    Served {
        package: "spin:key-value",
        interfaces: &["key-value"],
        versions: &[Version::Exactly("3.0.0")],
    },
    Served {
        package: "spin:sqlite",
        interfaces: &["sqlite"],
        // The later one adds functions and changes none.
        versions: &[Version::Exactly("3.0.0"), Version::Exactly("3.1.0")],
    },
    Served {
        package: "fermyon:spin",
        interfaces: &["config"],
        versions: &[Version::None],
    },
    Served {
        package: "spin:variables",
        interfaces: &["variables"],
        versions: &[Version::Exactly("3.0.0")],
    },
    Served {
        package: "wasi:config",
        interfaces: &["store"],
        versions: &[
            Version::Exactly("0.2.0-draft-2024-09-27"),
            Version::Exactly("0.2.0-rc.1"),
        ],
    },
];

/// Packages and interfaces that open key-value stores by label.
const KEY_VALUE: &[(&str, &str)] = &[
    ("wasi:keyvalue", "store"),
    ("fermyon:spin", "key-value"),
    ("spin:key-value", "key-value"),
];

/// Packages and interfaces that open SQL databases by label.
const SQL: &[(&str, &str)] = &[("fermyon:spin", "sqlite"), ("spin:sqlite", "sqlite")];

/// Packages and interfaces that open stores of objects by label.
const BLOBS: &[(&str, &str)] = &[("wasi:blobstore", "blobstore")];

/// An interface's name in its parts: `wasi:http/types@0.2.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceName<'a> {
    /// `wasi:http`
    pub package: &'a str,
    /// `types`
    pub interface: &'a str,
    /// `0.2.3`, if there is one.
    pub version: Option<&'a str>,
}

impl<'a> InterfaceName<'a> {
    /// Takes a name apart; `None` for a plain name, such as that of a function of a world.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = match name.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (name, None),
        };
        let (package, interface) = path.split_once('/')?;
        package.contains(':').then_some(Self {
            package,
            interface,
            version,
        })
    }

    fn is(&self, package: &str, interface: &str) -> bool {
        self.package == package && self.interface == interface
    }
}

/// Whether the runtime implements an import of this name.
pub fn is_supported(import: &str) -> bool {
    let Some(name) = InterfaceName::parse(import) else {
        return false;
    };
    SUPPORTED.iter().any(|served| {
        served.package == name.package
            && served.interfaces.contains(&name.interface)
            && served
                .versions
                .iter()
                .any(|version| version.serves(name.version))
    })
}

/// Whether an import of this name opens key-value stores by label.
pub fn opens_key_value(import: &str) -> bool {
    is_one_of(KEY_VALUE, import)
}

/// Whether an import of this name opens SQL databases by label.
pub fn opens_sql(import: &str) -> bool {
    is_one_of(SQL, import)
}

/// Whether an import of this name opens stores of objects by label.
pub fn opens_blobs(import: &str) -> bool {
    is_one_of(BLOBS, import)
}

fn is_one_of(list: &[(&str, &str)], import: &str) -> bool {
    InterfaceName::parse(import).is_some_and(|name| {
        list.iter()
            .any(|(package, interface)| name.is(package, interface))
    })
}

/// Whether this export is an HTTP handler that is served: `wasi:http/incoming-handler@0.2.x` or
/// `wasi:http/handler@0.3.x`.
pub fn is_handler(export: &str) -> bool {
    InterfaceName::parse(export).is_some_and(|name| {
        name.is("wasi:http", "incoming-handler") && Version::Wasi02.serves(name.version)
            || name.is("wasi:http", "handler") && Version::Wasi03.serves(name.version)
    })
}

/// Whether this export looks like an entry point of a kind that is not served.
pub(crate) fn is_other_entry_point(export: &str) -> bool {
    InterfaceName::parse(export).is_some_and(|name| {
        name.is("wasi:http", "incoming-handler")
            || name.is("wasi:http", "handler")
            || name.is("wasi:cli", "run")
            || name.is("fermyon:spin", "inbound-http")
            || name.interface.starts_with("inbound-")
    })
}

impl Version {
    fn serves(self, version: Option<&str>) -> bool {
        match (self, version) {
            (Self::None, version) => version.is_none(),
            (_, None) => false,
            (Self::Exactly(own), Some(version)) => own == version,
            (Self::Wasi02, Some(version)) => is_release_of("0.2.", version),
            (Self::Wasi03, Some(version)) => is_release_of("0.3.", version),
        }
    }
}

/// Whether a version is a release of this series; metadata of a build does not count.
fn is_release_of(series: &str, version: &str) -> bool {
    let release = version.split('+').next().unwrap_or("");
    release.strip_prefix(series).is_some_and(|patch| {
        (1..=6).contains(&patch.len()) && patch.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_toolchains_import_is_supported() {
        for import in [
            "wasi:cli/environment@0.2.0",
            "wasi:http/types@0.2.12",
            "wasi:io/streams@0.2.6",
            "wasi:sockets/tcp@0.2.3",
            "wasi:filesystem/preopens@0.2.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:keyvalue/batch@0.2.0-draft2",
            "wasi:blobstore/container@0.2.0-draft",
            "fermyon:spin/key-value@2.0.0",
            "fermyon:spin/sqlite@2.0.0",
            "fermyon:spin/sqlite",
            "fermyon:spin/key-value",
            "spin:key-value/key-value@3.0.0",
            "spin:sqlite/sqlite@3.0.0",
            "spin:sqlite/sqlite@3.1.0",
            "wasi:cli/types@0.3.0",
            "wasi:clocks/system-clock@0.3.0",
            "wasi:http/client@0.3.1",
            "wasi:sockets/types@0.3.0+rc-2026-03-15",
            "fermyon:spin/config",
            "fermyon:spin/variables@2.0.0",
            "spin:variables/variables@3.0.0",
            "wasi:config/store@0.2.0-draft-2024-09-27",
            "wasi:config/store@0.2.0-rc.1",
        ] {
            assert!(is_supported(import), "{import}");
        }
    }

    #[test]
    fn other_interfaces_versions_and_drafts_are_not() {
        for import in [
            "spin:mqtt/mqtt@3.0.0",
            "wasi:http/types@0.3.0-rc-2026-03-15",
            "wasi:http/outgoing-handler@0.3.0",
            "wasi:http/client@0.2.0",
            "wasi:http/handler@0.3.0",
            "wasi:http/types@0.2.0-rc-2023-11-10",
            "wasi:http/types@0.2",
            "wasi:http/types",
            "wasi:http/types@0.20.1",
            "wasi:clocks/timezone@0.2.0",
            "wasi:keyvalue/watcher@0.2.0-draft2",
            "wasi:keyvalue/store@0.2.0",
            "wasi:blobstore/container@0.2.0",
            "fermyon:spin/key-value@2.0.1",
            "spin:key-value/key-value",
            "fermyon:spin/config@2.0.0",
            "fermyon:spin/variables",
            "fermyon:spin/sqlite@3.0.0",
            "spin:sqlite/sqlite",
            "spin:sqlite/sqlite@4.0.0",
            "wasi:config/runtime@0.2.0-draft-2024-09-27",
            "wasi:config/store@0.2.0-draft",
            "log",
            "",
            "a/b",
            "@",
        ] {
            assert!(!is_supported(import), "{import}");
        }
    }

    #[test]
    fn only_the_handlers_of_releases_are_served() {
        assert!(is_handler("wasi:http/incoming-handler@0.2.0"));
        assert!(is_handler("wasi:http/incoming-handler@0.2.9"));
        assert!(!is_handler(
            "wasi:http/incoming-handler@0.2.0-rc-2023-11-10"
        ));
        assert!(is_handler("wasi:http/handler@0.3.0"));
        assert!(is_handler("wasi:http/handler@0.3.0+rc-2026-03-15"));
        assert!(!is_handler("wasi:http/handler@0.2.0"));
        assert!(!is_handler("wasi:http/incoming-handler@0.3.0"));
        assert!(!is_handler("wasi:http/handler@0.3.0-rc-2026-03-15"));
        assert!(is_other_entry_point(
            "wasi:http/handler@0.3.0-rc-2026-03-15"
        ));
    }
}
