//! Which interfaces guests may import, which export makes a component an app, and how a version is
//! compared with the one that is served.

/// Which versions of an interface are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Any release of the 0.2 series (`0.2.0`, `0.2.7`): WASI adds to it and changes nothing.
    Wasi02,
    /// This version and no other. Drafts are compatible with nothing else.
    Exactly(&'static str),
    /// The name without a version: Spin's first interfaces have none.
    None,
}

struct Served {
    package: &'static str,
    interfaces: &'static [&'static str],
    versions: &'static [Version],
}

/// Every interface that the runtime links, by package.
///
/// WASI 0.2: <https://github.com/WebAssembly/WASI/tree/main/wasip2>. Key-value: the drafts of
/// `wasi:keyvalue` that toolchains use, and Spin's own second version.
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
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:clocks",
        interfaces: &["monotonic-clock", "wall-clock"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:random",
        interfaces: &["random", "insecure", "insecure-seed"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:io",
        interfaces: &["error", "poll", "streams"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:http",
        interfaces: &["types", "outgoing-handler"],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:sockets",
        interfaces: &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
        versions: &[Version::Wasi02],
    },
    Served {
        package: "wasi:filesystem",
        interfaces: &["types", "preopens"],
        versions: &[Version::Wasi02],
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
        versions: &[Version::Exactly("2.0.0")],
    },
    Served {
        package: "fermyon:spin",
        interfaces: &["sqlite"],
        versions: &[Version::Exactly("2.0.0"), Version::None],
    },
];

/// Packages and interfaces that open key-value stores by label.
const KEY_VALUE: &[(&str, &str)] = &[("wasi:keyvalue", "store"), ("fermyon:spin", "key-value")];

/// Packages and interfaces that open SQL databases by label.
const SQL: &[(&str, &str)] = &[("fermyon:spin", "sqlite")];

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

fn is_one_of(list: &[(&str, &str)], import: &str) -> bool {
    InterfaceName::parse(import).is_some_and(|name| {
        list.iter()
            .any(|(package, interface)| name.is(package, interface))
    })
}

/// Whether this export is the HTTP handler that is served: `wasi:http/incoming-handler@0.2.x`.
pub fn is_handler(export: &str) -> bool {
    InterfaceName::parse(export).is_some_and(|name| {
        name.is("wasi:http", "incoming-handler") && Version::Wasi02.serves(name.version)
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
        let Some(version) = version else {
            return self == Self::None;
        };
        match self {
            Self::None => false,
            Self::Exactly(own) => own == version,
            Self::Wasi02 => {
                let release = version.split('+').next().unwrap_or("");
                release.strip_prefix("0.2.").is_some_and(|patch| {
                    (1..=6).contains(&patch.len()) && patch.bytes().all(|b| b.is_ascii_digit())
                })
            }
        }
    }
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
            "fermyon:spin/key-value@2.0.0",
            "fermyon:spin/sqlite@2.0.0",
            "fermyon:spin/sqlite",
        ] {
            assert!(is_supported(import), "{import}");
        }
    }

    #[test]
    fn other_interfaces_versions_and_drafts_are_not() {
        for import in [
            "spin:mqtt/mqtt@3.0.0",
            "wasi:http/types@0.3.0",
            "wasi:http/types@0.2.0-rc-2023-11-10",
            "wasi:http/types@0.2",
            "wasi:http/types",
            "wasi:http/types@0.20.1",
            "wasi:clocks/timezone@0.2.0",
            "wasi:keyvalue/watcher@0.2.0-draft2",
            "wasi:keyvalue/store@0.2.0",
            "fermyon:spin/key-value",
            "fermyon:spin/key-value@2.0.1",
            "fermyon:spin/sqlite@3.0.0",
            "spin:sqlite/sqlite@3.0.0",
            "wasi:http/types",
            "log",
            "",
            "a/b",
            "@",
        ] {
            assert!(!is_supported(import), "{import}");
        }
    }

    #[test]
    fn only_the_handler_of_wasi_0_2_is_one() {
        assert!(is_handler("wasi:http/incoming-handler@0.2.0"));
        assert!(is_handler("wasi:http/incoming-handler@0.2.9"));
        assert!(!is_handler(
            "wasi:http/incoming-handler@0.2.0-rc-2023-11-10"
        ));
        assert!(!is_handler("wasi:http/handler@0.3.0"));
        assert!(is_other_entry_point(
            "wasi:http/handler@0.3.0-rc-2026-03-15"
        ));
    }
}
