//! From a message of the control stream to an [`Assignment`], or the reason why not.

use std::{collections::HashSet, time::Duration};

use shoal_protocol::v1;
use shoal_stores::ValueLimits;

use super::{AppRef, Assignment, ComponentSpec, Limits, PortRange, Role, StoreBinding, bounds};

/// An assignment that cannot be served as it is; its app is reported as failed with `message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidAssignment {
    /// Which app, cut to its bounds.
    pub app: AppRef,
    /// Its generation, cut likewise.
    pub generation: String,
    /// The field that is wrong, its value and what is allowed.
    pub message: String,
}

/// Checks a message against every bound.
///
/// # Errors
/// [`InvalidAssignment`] names the first field that is out of bounds.
pub fn parse(message: v1::Assignment, ports: &PortRange) -> Result<Assignment, InvalidAssignment> {
    let app = app_ref(message.app.clone().unwrap_or_default());
    let generation = cut(&message.generation, bounds::HASH);
    assignment(message, app.clone(), ports).map_err(|message| InvalidAssignment {
        app,
        generation,
        message,
    })
}

/// An app's names, cut to their bounds, so that reports about nonsense stay small.
pub(crate) fn app_ref(message: v1::AppRef) -> AppRef {
    AppRef {
        namespace: cut(&message.namespace, bounds::NAME),
        name: cut(&message.name, bounds::NAME),
        uid: cut(&message.uid, bounds::HASH),
    }
}

fn cut(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes))
        .unwrap_or_default()
        .to_owned()
}

fn assignment(
    message: v1::Assignment,
    app: AppRef,
    ports: &PortRange,
) -> Result<Assignment, String> {
    let given = message.app.clone().unwrap_or_default();
    check_name("app.namespace", &given.namespace)?;
    check_name("app.name", &given.name)?;
    check_length("app.uid", &given.uid, 0, bounds::HASH)?;
    let role = role(message.role())?;
    check_length("revision", &message.revision, 1, bounds::HASH)?;
    check_length("generation", &message.generation, 1, bounds::HASH)?;
    let port = u16::try_from(message.port)
        .ok()
        .filter(|port| ports.contains(*port))
        .ok_or_else(|| format!("port {} is none that apps are given", message.port))?;
    check_count(
        "components",
        message.components.len(),
        1,
        bounds::COMPONENTS,
    )?;
    let limits = limits(message.limits.unwrap_or_default())?;
    let components: Vec<_> = message
        .components
        .into_iter()
        .map(component)
        .collect::<Result<_, _>>()?;
    let mut names = HashSet::new();
    if let Some(twice) = components
        .iter()
        .find(|component| !names.insert(&component.name))
    {
        return Err(format!("component `{}` is listed twice", twice.name));
    }
    check_count(
        "routes",
        components.iter().map(|c| c.routes.len()).sum(),
        0,
        bounds::ROUTES,
    )?;
    let (revision, generation) = (message.revision, message.generation);
    let listen_address = None;
    Ok(Assignment {
        app,
        revision,
        generation,
        port,
        listen_address,
        components,
        limits,
        role,
    })
}

fn role(role: v1::assignment::Role) -> Result<Role, String> {
    match role {
        v1::assignment::Role::Serve => Ok(Role::Serve),
        v1::assignment::Role::Drain => Ok(Role::Drain),
        v1::assignment::Role::Standby => Ok(Role::Standby),
        v1::assignment::Role::Unspecified => {
            Err("the role is none that this version knows; upgrade the runtime".to_owned())
        }
    }
}

fn component(message: v1::Component) -> Result<ComponentSpec, String> {
    check_name("component name", &message.name)?;
    let name = message.name;
    let of = |what: String| format!("component `{name}`: {what}");
    let digest = message
        .digest
        .parse()
        .map_err(|error| of(format!("digest {error}")))?;
    let routes = message
        .routes
        .iter()
        .map(|route| route.parse().map_err(|error| of(format!("{error}"))))
        .collect::<Result<_, _>>()?;
    let env = environment(message.env.into_iter().collect()).map_err(of)?;
    check_count("stores", message.stores.len(), 0, bounds::STORES).map_err(of)?;
    let stores: Vec<StoreBinding> = message
        .stores
        .into_iter()
        .map(store)
        .collect::<Result<_, _>>()
        .map_err(of)?;
    Ok(ComponentSpec {
        name,
        digest,
        routes,
        env,
        stores,
    })
}

fn environment(mut env: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    env.sort_unstable();
    check_count("env", env.len(), 0, bounds::ENV_ENTRIES)?;
    check_count(
        "bytes of env",
        env.iter().map(|(n, v)| n.len() + v.len()).sum(),
        0,
        bounds::ENV_BYTES,
    )?;
    for (name, value) in &env {
        check_length("name in env", name, 1, bounds::ENV_NAME)?;
        if name.contains(['=', '\0']) || value.contains('\0') {
            let name = cut(name, 64);
            return Err(format!(
                "env `{name}`: a name holds no `=`, and no NUL is allowed"
            ));
        }
    }
    Ok(env)
}

fn store(message: v1::StoreBinding) -> Result<StoreBinding, String> {
    check_length("store label", &message.label, 1, bounds::LABEL)?;
    let label = message.label;
    if message.interface != "KeyValue" {
        let interface = cut(&message.interface, 64);
        return Err(format!(
            "store `{label}`: interface `{interface}` is none that this version serves"
        ));
    }
    let id = message
        .store_id
        .parse()
        .map_err(|error| format!("store `{label}`: {error}"))?;
    if message.key_bytes == 0 || message.value_bytes == 0 {
        return Err(format!("store `{label}`: a limit of 0 bytes"));
    }
    let limits = ValueLimits {
        key_bytes: message.key_bytes,
        value_bytes: message.value_bytes,
    };
    Ok(StoreBinding { label, id, limits })
}

fn limits(message: v1::Limits) -> Result<Limits, String> {
    let time = |what, milliseconds| {
        within(what, milliseconds, bounds::MILLISECONDS).map(Duration::from_millis)
    };
    let concurrency = within(
        "limits.concurrency",
        message.concurrency.into(),
        bounds::CONCURRENCY.into(),
    )?;
    Ok(Limits {
        memory: within("limits.memory", message.memory_bytes, bounds::MEMORY)?,
        instance_memory: within(
            "limits.instanceMemory",
            message.instance_memory_bytes,
            bounds::INSTANCE_MEMORY,
        )?,
        concurrency: u32::try_from(concurrency).unwrap_or(bounds::CONCURRENCY),
        request_body: within(
            "limits.requestBody",
            message.request_body_bytes,
            bounds::REQUEST_BODY,
        )?,
        response_start: time("limits.responseStart", message.response_start_ms)?,
        idle: time("limits.idle", message.idle_ms)?,
    })
}

/// Zero is refused; more than the largest counts as the largest.
fn within(what: &str, value: u64, largest: u64) -> Result<u64, String> {
    match value {
        0 => Err(format!("{what} is 0; it must be at least 1")),
        value => Ok(value.min(largest)),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    check_length(what, name, 1, bounds::NAME)?;
    if name
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '/')
    {
        return Err(format!(
            "{what} `{}` holds a space, `/` or control character",
            cut(name, 64)
        ));
    }
    Ok(())
}

fn check_length(what: &str, text: &str, least: usize, most: usize) -> Result<(), String> {
    if (least..=most).contains(&text.len()) {
        return Ok(());
    }
    Err(format!(
        "{what} is {} bytes long; allowed are {least} to {most}",
        text.len()
    ))
}

fn check_count(what: &str, count: usize, least: usize, most: usize) -> Result<(), String> {
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(format!("{count} {what}; allowed are {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> v1::Assignment {
        v1::Assignment {
            app: Some(v1::AppRef {
                namespace: "shop".into(),
                name: "hello".into(),
                uid: "u".into(),
            }),
            revision: "r1".into(),
            generation: "g1".into(),
            port: 10_000,
            components: vec![v1::Component {
                name: "hello".into(),
                digest: format!("sha256:{}", "0".repeat(64)),
                routes: vec!["/...".into()],
                env: [("A".to_owned(), "b".to_owned())].into(),
                stores: vec![v1::StoreBinding {
                    label: "default".into(),
                    interface: "KeyValue".into(),
                    store_id: shoal_stores::StoreId::random().to_string(),
                    key_bytes: 1,
                    value_bytes: 1,
                }],
            }],
            limits: Some(v1::Limits {
                memory_bytes: 1,
                instance_memory_bytes: u64::MAX,
                concurrency: 1,
                request_body_bytes: 1,
                response_start_ms: 1,
                idle_ms: 1,
            }),
            role: v1::assignment::Role::Serve.into(),
        }
    }

    #[test]
    fn a_message_within_its_bounds_is_an_assignment() {
        let assignment = parse(good(), &PortRange::cluster()).unwrap();
        assert_eq!(assignment.app.to_string(), "shop/hello");
        assert_eq!(
            assignment.limits.instance_memory,
            4 << 30,
            "more than Wasm can address is capped"
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_its_name() {
        type Spoil = fn(&mut v1::Assignment);
        let cases: [(&str, Spoil); 16] = [
            ("app.name", |a| a.app = None),
            ("app.namespace", |a| {
                a.app.as_mut().unwrap().namespace = "a/b".into()
            }),
            ("role", |a| a.role = 77),
            ("revision", |a| a.revision = String::new()),
            ("generation", |a| a.generation = "g".repeat(1000)),
            ("port 80", |a| a.port = 80),
            ("port 15001", |a| a.port = 15_001),
            ("port 75536", |a| a.port = 75_536),
            ("components", |a| a.components.clear()),
            ("listed twice", |a| {
                a.components.push(a.components[0].clone())
            }),
            ("digest", |a| {
                a.components[0].digest = "sha256:../../etc".into()
            }),
            ("route", |a| {
                a.components[0].routes = vec!["no-slash".into()]
            }),
            ("env", |a| {
                a.components[0].env = [("A=B".to_owned(), String::new())].into()
            }),
            ("store `default`", |a| {
                a.components[0].stores[0].store_id = "x".into()
            }),
            ("interface `Sql`", |a| {
                a.components[0].stores[0].interface = "Sql".into()
            }),
            ("limits.concurrency", |a| {
                a.limits.as_mut().unwrap().concurrency = 0
            }),
        ];
        for (name, spoil) in cases {
            let mut message = good();
            spoil(&mut message);
            let error = parse(message, &PortRange::cluster()).unwrap_err();
            let found = error.message.contains(name) || name == "app.name";
            assert!(found, "{name} is not named in: {error}");
        }
    }

    #[test]
    fn a_huge_name_makes_a_small_report() {
        let mut message = good();
        message.app.as_mut().unwrap().name = "ä".repeat(1 << 20);
        let error = parse(message, &PortRange::cluster()).unwrap_err();
        assert!(error.app.name.len() <= 253 && error.message.len() < 1000);
    }
}
