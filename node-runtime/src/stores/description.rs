//! What a node is told of a class.

use std::{fmt, num::NonZeroU32, sync::Arc};

use shoal_protocol::v1::{self, store_class::Backend as Message};
use shoal_stores::{
    Backend, RedisOptions, StoreLimits,
    blob::{OBJECT_BYTES, s3::S3Options},
    limits_from_wire,
    postgres::PostgresOptions,
};

/// Longest name that is taken, in bytes: that of a Kubernetes object.
const NAME_BYTES: usize = 253;

/// One class of stores. It may hold credentials; its `Debug` shows none.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassDescription {
    /// Name of the StoreClass, or `embedded`; assignments refer to it.
    pub name: String,
    /// Where the data is.
    pub backend: ClassBackend,
    /// Bounds of each Store of the class.
    pub limits: StoreLimits,
    /// Bytes of the largest object, where the class holds objects.
    pub object_bytes: u64,
    /// Operations per second on one Store, of all nodes together; `None`: no bound.
    pub ops_per_second: Option<NonZeroU32>,
}

/// Where the data of a class is.
#[derive(Clone)]
pub enum ClassBackend {
    /// The embedded stores that the node was started with.
    Embedded,
    /// The stores in memory that the node was started with.
    Memory,
    /// A database of the class's own.
    Postgres(PostgresOptions),
    /// A server of the class's own.
    Redis(RedisOptions),
    /// A bucket of the class's own, for objects.
    S3(S3Options),
    /// Stores that were opened for this class alone.
    Own(Arc<dyn Backend>),
    /// Nowhere: what is wrong, without credentials.
    Unusable(String),
}

impl ClassDescription {
    /// A class without bounds beyond the defaults.
    pub fn new(name: impl Into<String>, backend: ClassBackend) -> Self {
        Self {
            name: name.into(),
            backend,
            limits: StoreLimits::default(),
            object_bytes: OBJECT_BYTES,
            ops_per_second: None,
        }
    }
}

impl fmt::Debug for ClassBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "Embedded",
            Self::Memory => "Memory",
            Self::Postgres(_) => "Postgres",
            Self::Redis(_) => "Redis",
            Self::S3(_) => "S3",
            Self::Own(_) => "Own",
            Self::Unusable(_) => "Unusable",
        })
    }
}

impl PartialEq for ClassBackend {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Embedded, Self::Embedded) | (Self::Memory, Self::Memory) => true,
            (Self::Postgres(one), Self::Postgres(other)) => one == other,
            (Self::Redis(one), Self::Redis(other)) => one == other,
            (Self::S3(one), Self::S3(other)) => one == other,
            (Self::Own(one), Self::Own(other)) => Arc::ptr_eq(one, other),
            (Self::Unusable(one), Self::Unusable(other)) => one == other,
            _ => false,
        }
    }
}

impl ClassBackend {
    /// Whether the data is where it is with `other`, however it is reached.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Postgres(one), Self::Postgres(other)) => one.prefix == other.prefix,
            (Self::Redis(one), Self::Redis(other)) => one.prefix == other.prefix,
            (Self::S3(one), Self::S3(other)) => one.is_same_place(other),
            _ => self == other,
        }
    }

    /// Whether `other` differs in nothing but that it knows the place, which this does not.
    pub(super) fn is_told_its_place_by(&self, other: &Self) -> bool {
        let told = match (self.clone(), other) {
            (Self::Postgres(one), Self::Postgres(other)) if one.place.is_none() => {
                let place = other.place;
                Self::Postgres(PostgresOptions { place, ..one })
            }
            (Self::Redis(one), Self::Redis(other)) if one.place.is_none() => {
                let place = other.place;
                Self::Redis(RedisOptions { place, ..one })
            }
            _ => return false,
        };
        told == *other
    }
}

impl From<v1::StoreClass> for ClassDescription {
    fn from(message: v1::StoreClass) -> Self {
        let v1::StoreClass {
            mut name,
            backend,
            limits,
            ops_per_second,
        } = message;
        name.truncate(name.floor_char_boundary(NAME_BYTES));
        let object_bytes = limits.as_ref().map(|limits| limits.value_bytes);
        Self {
            name,
            backend: self::backend(backend),
            object_bytes: object_bytes
                .filter(|bytes| *bytes > 0)
                .unwrap_or(OBJECT_BYTES),
            limits: limits_from_wire(limits),
            ops_per_second: NonZeroU32::new(ops_per_second),
        }
    }
}

fn backend(message: Option<Message>) -> ClassBackend {
    match message {
        Some(Message::Embedded(v1::EmbeddedBackend {})) => ClassBackend::Embedded,
        Some(Message::Memory(v1::MemoryBackend {})) => ClassBackend::Memory,
        Some(Message::Postgres(message)) => ClassBackend::Postgres(message.into()),
        Some(Message::Redis(message)) => ClassBackend::Redis(message.into()),
        Some(Message::S3(message)) => ClassBackend::S3(message.into()),
        None => ClassBackend::Unusable(
            "its backend is none that this version of the runtime knows; upgrade the runtime"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use shoal_stores::postgres::Secret;

    use super::*;

    fn postgres(url: &str, prefix: &str) -> v1::StoreClass {
        v1::StoreClass {
            name: "pg".into(),
            backend: Some(Message::Postgres(v1::PostgresBackend {
                url: url.into(),
                prefix: prefix.into(),
                ..v1::PostgresBackend::default()
            })),
            ..v1::StoreClass::default()
        }
    }

    #[test]
    fn what_a_message_does_not_say_is_the_default() {
        let class = ClassDescription::from(postgres("postgres://u:secret@h/d", ""));
        assert_eq!(class.limits, StoreLimits::default());
        assert_eq!(class.object_bytes, OBJECT_BYTES);
        assert_eq!(class.ops_per_second, None);
        let ClassBackend::Postgres(options) = &class.backend else {
            panic!("{class:?}");
        };
        let default = PostgresOptions::new(Secret::new(""));
        assert_eq!(
            (options.max_connections, &options.prefix, &options.ca_pem),
            (default.max_connections, &default.prefix, &default.ca_pem)
        );
        assert!(!format!("{class:?}").contains("secret"));
    }

    #[test]
    fn other_credentials_are_the_same_place_and_another_prefix_is_another() {
        let class = |url, prefix| ClassDescription::from(postgres(url, prefix)).backend;
        let first = class("postgres://u:one@h/d", "a");
        assert!(first.is_same_place(&class("postgres://u:two@h/d", "a")));
        assert_ne!(first, class("postgres://u:two@h/d", "a"));
        assert!(!first.is_same_place(&class("postgres://u:one@h/d", "b")));
        assert!(!first.is_same_place(&ClassBackend::Embedded));
    }

    #[test]
    fn a_backend_of_a_later_version_is_no_backend() {
        let class = ClassDescription::from(v1::StoreClass {
            name: "x".repeat(1000),
            ..v1::StoreClass::default()
        });
        assert!(matches!(class.backend, ClassBackend::Unusable(_)));
        assert_eq!(class.name.len(), NAME_BYTES);
    }
}
