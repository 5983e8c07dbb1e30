//! Two container registries on the bridge, over one storage: one for everybody, one that asks
//! for a user and a password, so that what is pushed to the first is pulled from the second
//! with credentials, rightly or wrongly.

use anyhow::Result;
use serde_json::json;

use crate::address::{private_registry, registry};
use crate::command;
use crate::layout::{Layout, make_folder, write};
use crate::process::Daemon;

/// The daemon's name of the registry that needs no credentials.
pub const NAME: &str = "registry";
/// The daemon's name of the registry that asks for credentials.
pub const PRIVATE_NAME: &str = "registry-private";

/// The user that the private registry knows.
pub const USER: &str = "puller";
/// That user's password. It opens nothing but a test registry on this machine.
pub const PASSWORD: &str = "pull-secret";
/// bcrypt of [`PASSWORD`], the one form that the registry reads.
const PASSWORD_HASH: &str = "$2b$05$abcdefghijklmnopqrstuuiuhH7Ikupt0NZBlrLOsxuBkm7D98a7C";

/// Writes the configuration of both registries and returns the daemons.
///
/// # Errors
/// A file cannot be written, or the program is not installed.
pub fn daemons(layout: &Layout) -> Result<[Daemon; 2]> {
    make_folder(&layout.registry())?;
    let users = layout.config("registry.htpasswd");
    write(&users, format!("{USER}:{PASSWORD_HASH}\n"))?;
    let auth = json!({"htpasswd": {"realm": "shoal", "path": users}});
    Ok([
        daemon(layout, NAME, &registry(), None)?,
        daemon(layout, PRIVATE_NAME, &private_registry(), Some(auth))?,
    ])
}

fn daemon(
    layout: &Layout,
    name: &str,
    address: &str,
    auth: Option<serde_json::Value>,
) -> Result<Daemon> {
    let mut config = json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": layout.registry()},
            "delete": {"enabled": true},
        },
        "http": {"addr": address},
    });
    if let (Some(auth), Some(fields)) = (auth, config.as_object_mut()) {
        fields.insert("auth".to_owned(), auth);
    }
    let path = layout.config(&format!("{name}.json"));
    write(&path, serde_json::to_vec_pretty(&config)?)?;
    Ok(Daemon {
        name: name.to_owned(),
        program: command::find("docker-registry").unwrap_or_else(|| "docker-registry".into()),
        args: vec!["serve".to_owned(), path.display().to_string()],
        namespace: None,
        log: layout.logs().join(format!("{name}.log")),
    })
}
