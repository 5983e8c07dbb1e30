//! What the errors of a server, or of the way to it, mean to a guest and to the next attempt.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use super::cluster::Node;
use crate::{
    Health, KeyValueError, Reason,
    place::{self, Misplaced},
};

const CREDENTIALS: &str = "it refuses our credentials";
const NOT_PERMITTED: &str = "it does not permit this operation";
const READ_ONLY: &str = "it is read-only";
const NO_MEMORY: &str = "it is out of memory";
const DISK_FAILS: &str = "its disk fails";
const FEW_REPLICAS: &str = "it has too few replicas";
const DAMAGED: &str = "its data is damaged";
const NO_DATABASE: &str = "it has no such database";
/// It gave no answer, or there was no time left to connect to it.
pub(crate) const LATE: &str = "it did not answer within 5 s";
/// What the certificate of the server says is wrong.
pub(crate) const UNVERIFIED: &str = "its identity cannot be verified";

/// Why a call got no answer. The texts are for guests: no host, no user, nothing of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It was not done, but may be soon: the server is not there, starts, or is busy.
    NotYet(&'static str),
    /// It was not done: this server does not take writes. Its name may lead to another one by now.
    Elsewhere(&'static str),
    /// It was not done: the server does not know us, on this connection.
    LockedOut(&'static str),
    /// It was not done, and will not be until somebody changes something.
    Refused(&'static str),
    /// It was not done: the data of the class is not there.
    Misplaced(Misplaced),
    /// It was not done: that server of the cluster has the Store.
    Moved(Node),
    /// It was not done: that server of the cluster is about to have the Store, and takes this one call.
    Asked(Node),
    /// The connection broke before the answer. It may have been done.
    Lost,
    /// There was no answer in time. It may have been done, or yet be.
    Late,
}

/// Codes of a server's errors. In a script, older servers put their own words before the code.
const CODES: [(&str, Fault); 20] = {
    use Fault::{Elsewhere, LockedOut, NotYet, Refused};
    [
        ("LOADING", NotYet("it is starting")),
        ("MASTERDOWN", NotYet("it has lost its primary")),
        ("CLUSTERDOWN", NotYet("its cluster is down")),
        ("TRYAGAIN", NotYet("its cluster is moving data")),
        ("BUSY", NotYet("it is busy")),
        (
            "max number of clients",
            NotYet("it takes no more connections"),
        ),
        ("READONLY", Elsewhere(READ_ONLY)),
        ("NOAUTH", LockedOut(CREDENTIALS)),
        ("WRONGPASS", LockedOut(CREDENTIALS)),
        // A call of many words, before a login.
        ("unauthenticated", LockedOut(CREDENTIALS)),
        ("invalid password", LockedOut(CREDENTIALS)),
        ("without any password configured", LockedOut(CREDENTIALS)),
        ("ACL failure in script", Refused(NOT_PERMITTED)),
        ("can't run this command", Refused(NOT_PERMITTED)),
        ("NOPERM", Refused(NOT_PERMITTED)),
        ("OOM", Refused(NO_MEMORY)),
        ("MISCONF", Refused(DISK_FAILS)),
        ("NOREPLICAS", Refused(FEW_REPLICAS)),
        ("WRONGTYPE", Refused(DAMAGED)),
        ("DB index is out of range", Refused(NO_DATABASE)),
    ]
};

impl Fault {
    /// What an error means for the call that got it.
    pub(crate) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(kind @ (ServerErrorKind::Moved | ServerErrorKind::Ask)) => {
                let node = error
                    .redirect_node()
                    .and_then(|(address, _)| Node::parse(address));
                match node {
                    Some(node) if kind == ServerErrorKind::Moved => Self::Moved(node),
                    Some(node) => Self::Asked(node),
                    None => Self::Refused("the operation failed"),
                }
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Self::of_answer(
                error.code().unwrap_or_default(),
                error.detail().unwrap_or_default(),
            ),
            // Whatever else happens on a connection (it ends, or holds no protocol of ours) ends it.
            _ => Self::Lost,
        }
    }

    fn of_answer(code: &str, detail: &str) -> Self {
        if let Some((_, fault)) = CODES.iter().find(|(known, _)| *known == code) {
            return fault.clone();
        }
        let in_detail = |known: &str| {
            detail.contains(known)
                && (known.contains(' ')
                    || detail
                        .split(|c: char| !c.is_ascii_alphanumeric())
                        .any(|word| word == known))
        };
        CODES
            .iter()
            .find(|(known, _)| in_detail(known))
            .map_or(Self::Refused("the operation failed"), |(_, fault)| {
                fault.clone()
            })
    }

    /// The text for guests, but for what it names.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotYet(reason)
            | Self::Elsewhere(reason)
            | Self::LockedOut(reason)
            | Self::Refused(reason) => reason,
            Self::Moved(_) | Self::Asked(_) => "its cluster is moving data",
            Self::Misplaced(_) => "its data is in another place",
            Self::Lost => "the connection broke before it answered",
            Self::Late => LATE,
        }
    }
}

impl From<Fault> for KeyValueError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Misplaced(misplaced) => misplaced.into(),
            fault => Self::Unavailable(fault.reason().to_owned()),
        }
    }
}

/// What the failure of a probe says of the server.
pub(crate) fn health(error: &KeyValueError) -> Health {
    if let Some(elsewhere) = place::health(error) {
        return elsewhere;
    }
    let reason = match error {
        KeyValueError::Unavailable(why) => match why.as_str() {
            CREDENTIALS | NOT_PERMITTED => Reason::CredentialsRefused,
            UNVERIFIED => Reason::TlsFailed,
            READ_ONLY | NO_MEMORY | DISK_FAILS | FEW_REPLICAS => Reason::ReadOnly,
            DAMAGED | NO_DATABASE => Reason::InvalidConfiguration,
            _ => Reason::Unreachable,
        },
        _ => Reason::InvalidConfiguration,
    };
    Health::of(reason, error)
}

#[cfg(test)]
mod tests {
    use ::redis::parse_redis_value;

    use super::*;

    fn fault(answer: &str) -> Fault {
        let value = parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
        Fault::of(&value.extract_error().unwrap_err())
    }

    #[test]
    fn a_cluster_says_who_has_the_store() {
        let node = Node::parse("10.0.0.7:7001").unwrap();
        assert_eq!(
            fault("MOVED 3999 10.0.0.7:7001"),
            Fault::Moved(node.clone())
        );
        assert_eq!(fault("ASK 3999 10.0.0.7:7001"), Fault::Asked(node));
        assert_eq!(
            fault("MOVED 3999 nonsense"),
            Fault::Refused("the operation failed")
        );
    }

    #[test]
    fn errors_of_every_age_of_server_are_understood() {
        for (answer, reason) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:1.",
                "it is out of memory",
            ),
            (
                "ERR Error running script (call to f_ab): @user_script:9: @user_script: 9: -OOM command not allowed",
                "it is out of memory",
            ),
            (
                "READONLY You can't write against a read only replica.",
                "it is read-only",
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots, but",
                "its disk fails",
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                "it is starting",
            ),
            (
                "NOAUTH Authentication required.",
                "it refuses our credentials",
            ),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                "it refuses our credentials",
            ),
            ("ERR invalid password", "it refuses our credentials"),
            (
                "ERR Protocol error: unauthenticated multibulk length",
                "it refuses our credentials",
            ),
            (
                "ERR max number of clients reached",
                "it takes no more connections",
            ),
            (
                "NOPERM User alice has no permissions to run the 'hset' command",
                "it does not permit this operation",
            ),
            (
                "ERR ACL failure in script: User alice has no permissions to run the 'hset' command",
                "it does not permit this operation",
            ),
            ("BUSY Redis is busy running a script.", "it is busy"),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                "its data is damaged",
            ),
            ("ERR TASKS are not BUSYWORK", "the operation failed"),
        ] {
            assert_eq!(fault(answer).reason(), reason, "{answer}");
        }
    }
}
