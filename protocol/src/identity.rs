//! Who a part is: what stands in its certificate.

use std::{fmt, str::FromStr};

/// Longest part of an identity: a Kubernetes node name is a DNS subdomain.
const MAX_PART_BYTES: usize = 253;

/// The name that the API server verifies the operator by when it hands requests on to it: the Service
/// `shoal-api`.
const AGGREGATED_API: &str = "shoal-api.shoal-system.svc";

/// What a part of Shoal is, and so what it may ask of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Hosts the apps of one node.
    Runtime,
    /// Pulls and compiles artifacts.
    Builder,
    /// Serves the embedded stores.
    Store,
    /// Plans, and signs everyone's certificates.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Runtime, Role::Builder, Role::Store, Role::Operator];

    /// The role as it is written in an identity.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Runtime => "runtime",
            Role::Builder => "builder",
            Role::Store => "store",
            Role::Operator => "operator",
        }
    }

    /// The name that clients verify a server of this role by, whatever address they dialled; `None`:
    /// parts of this role serve nobody.
    pub fn server_name(self) -> Option<&'static str> {
        match self {
            Role::Runtime => None,
            Role::Builder => Some("shoal-builder"),
            Role::Store => Some("shoal-store"),
            Role::Operator => Some("shoal-operator"),
        }
    }

    /// DNS names of a certificate of this role.
    pub fn dns_names(self) -> Vec<String> {
        let mut names = self.server_name().map_or_else(Vec::new, |name| {
            vec![name.to_owned(), format!("{name}.shoal-system.svc")]
        });
        if self == Role::Operator {
            names.push(AGGREGATED_API.to_owned());
        }
        names
    }
}

impl FromStr for Role {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| InvalidIdentity::new(text, "no such role"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who a part is, as the URI name of its certificate says:
/// `shoal://<role>/<pool>/<node>/<pod-uid>`, parts that are empty written as `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    role: Role,
    pool: String,
    node: String,
    pod_uid: String,
}

impl Identity {
    /// An identity of these parts; `""` leaves one out, which a runtime may not.
    ///
    /// # Errors
    /// A part that is no DNS name (lower-case letters, digits, `-` and `.`, at most 253 bytes).
    pub fn new(role: Role, pool: &str, node: &str, pod_uid: &str) -> Result<Self, InvalidIdentity> {
        for part in [pool, node, pod_uid] {
            if part.is_empty() && role != Role::Runtime {
                continue;
            }
            if !is_name(part) {
                return Err(InvalidIdentity::new(part, "a part that is no DNS name"));
            }
        }
        Ok(Self {
            role,
            pool: pool.to_owned(),
            node: node.to_owned(),
            pod_uid: pod_uid.to_owned(),
        })
    }

    /// What kind of part this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Name of its RuntimePool; empty but for runtimes.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// Name of the node it runs on; never empty for a runtime.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// UID of its pod; never empty for a runtime.
    pub fn pod_uid(&self) -> &str {
        &self.pod_uid
    }
}

fn is_name(part: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    part.len() <= MAX_PART_BYTES
        && part
            .bytes()
            .all(|byte| inner(byte) || byte == b'-' || byte == b'.')
        && part.bytes().next().is_some_and(inner)
        && part.bytes().last().is_some_and(inner)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |part: &str| {
            if part.is_empty() {
                "-".to_owned()
            } else {
                part.to_owned()
            }
        };
        write!(
            f,
            "shoal://{}/{}/{}/{}",
            self.role,
            or_dash(&self.pool),
            or_dash(&self.node),
            or_dash(&self.pod_uid)
        )
    }
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |what| InvalidIdentity::new(text, what);
        let rest = text
            .strip_prefix("shoal://")
            .ok_or_else(|| invalid("not a `shoal://` URI"))?;
        let mut parts = rest.split('/');
        let mut next = || parts.next().ok_or_else(|| invalid("fewer than four parts"));
        let role: Role = next()?.parse()?;
        let [pool, node, pod_uid] = [next()?, next()?, next()?].map(|part| {
            if part == "-" {
                Some("")
            } else {
                (!part.is_empty()).then_some(part)
            }
        });
        if parts.next().is_some() {
            return Err(invalid("more than four parts"));
        }
        match (pool, node, pod_uid) {
            (Some(pool), Some(node), Some(pod_uid)) => {
                Identity::new(role, pool, node, pod_uid).map_err(|_| invalid("a part is no name"))
            }
            _ => Err(invalid("an empty part is written as `-`")),
        }
    }
}

/// A text or part that makes no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the identity of a part of Shoal: {what}")]
pub struct InvalidIdentity {
    text: String,
    what: &'static str,
}

impl InvalidIdentity {
    fn new(text: &str, what: &'static str) -> Self {
        Self {
            text: text.chars().take(300).collect(),
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for identity in [
            Identity::new(Role::Runtime, "default", "node1.example", "0a1b-2c").unwrap(),
            Identity::new(Role::Operator, "", "node1", "0a1b-2c").unwrap(),
            Identity::new(Role::Store, "", "", "").unwrap(),
        ] {
            assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
        }
        assert_eq!(
            Identity::new(Role::Store, "", "n", "u")
                .unwrap()
                .to_string(),
            "shoal://store/-/n/u"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "shoal://",
            "shoal://runtime",
            "shoal://runtime/default/node1",
            "shoal://runtime/default/node1/uid/more",
            "shoal://runtime/default/node1/uid/",
            "shoal://runtime/-/node1/uid",
            "shoal://runtime/default/-/uid",
            "shoal://runtime/default/node1/-",
            "shoal://runtime//node1/uid",
            "shoal://Runtime/default/node1/uid",
            "shoal://admin/default/node1/uid",
            "spiffe://runtime/default/node1/uid",
            "shoal://runtime/default/node 1/uid",
            "shoal://runtime/default/node1/u%69d",
            "shoal://runtime/default/../uid",
            "shoal://runtime/default/Node1/uid",
            "shoal://runtime/default/node1/uid\n",
            "shoal://runtime/default/node1/uid?x",
            "shoal://runtime/default/nödé/uid",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text:?} was accepted");
        }
        let long = format!(
            "shoal://runtime/default/{}/uid",
            "n".repeat(MAX_PART_BYTES + 1)
        );
        assert!(long.parse::<Identity>().is_err());
    }

    #[test]
    fn no_two_roles_share_a_server_name() {
        let mut names: Vec<_> = Role::ALL
            .into_iter()
            .filter_map(Role::server_name)
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 3);
    }
}
