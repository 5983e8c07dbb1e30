//! Where a class has its data, at work.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use shoal_crds::Reason;
use shoal_stores::{
    Backend, Blobs, Health, Postgres, Reason as Failing, Redis, S3, postgres::ReconfigureError,
};

use super::{
    description::ClassBackend,
    health::{ClassFault, Standing},
};

/// The way to the data of a class.
pub(super) enum Way {
    /// Never anything else than what it was opened as.
    Fixed(Arc<dyn Backend>),
    /// What the node was started with.
    Embedded(Embedded),
    Postgres(Arc<Postgres>),
    Redis(Arc<Redis>),
    /// Objects, and nothing else.
    S3(Arc<S3>),
    /// What is wrong.
    Unusable(String),
}

/// Keys and objects beside each other.
pub(super) struct Embedded {
    keys: Arc<dyn Backend>,
    objects: Arc<dyn Blobs>,
    /// Somebody has opened objects of the class here: how they do is how it does.
    holds_objects: AtomicBool,
}

/// The backends that every class may share.
pub(super) struct BuiltIn {
    pub(super) embedded: Arc<dyn Backend>,
    pub(super) memory: Arc<dyn Backend>,
    /// Objects of backend `embedded`.
    pub(super) blobs: Arc<dyn Blobs>,
}

impl Way {
    /// Opens nothing yet: connections come with the first calls.
    pub(super) fn new(described: &ClassBackend, built_in: &BuiltIn) -> Self {
        match described {
            ClassBackend::Embedded => Self::Embedded(Embedded {
                keys: Arc::clone(&built_in.embedded),
                objects: Arc::clone(&built_in.blobs),
                holds_objects: AtomicBool::new(false),
            }),
            ClassBackend::Memory => Self::Fixed(Arc::clone(&built_in.memory)),
            ClassBackend::Own(stores) => Self::Fixed(Arc::clone(stores)),
            ClassBackend::Unusable(problem) => Self::Unusable(problem.clone()),
            ClassBackend::Postgres(options) => match Postgres::new(options) {
                Ok(postgres) => Self::Postgres(Arc::new(postgres)),
                Err(error) => Self::Unusable(error.to_string()),
            },
            ClassBackend::Redis(options) => match Redis::new(options) {
                Ok(redis) => Self::Redis(Arc::new(redis)),
                Err(error) => Self::Unusable(error.to_string()),
            },
            ClassBackend::S3(options) => match S3::new(options) {
                Ok(s3) => Self::S3(Arc::new(s3)),
                Err(error) => Self::Unusable(error.to_string()),
            },
        }
    }

    /// What calls are made to; or what is wrong.
    pub(super) fn backend(&self) -> Result<Arc<dyn Backend>, &str> {
        match self {
            Self::Fixed(stores) => Ok(Arc::clone(stores)),
            Self::Embedded(embedded) => Ok(Arc::clone(&embedded.keys)),
            Self::Postgres(postgres) => Ok(Arc::clone(postgres) as _),
            Self::Redis(redis) => Ok(Arc::clone(redis) as _),
            Self::S3(_) => Err("it holds objects alone (interface Blob)"),
            Self::Unusable(problem) => Err(problem),
        }
    }

    /// What calls on objects are made to; or what is wrong.
    pub(super) fn blobs(&self) -> Result<Arc<dyn Blobs>, &str> {
        match self {
            Self::Embedded(embedded) => {
                embedded.holds_objects.store(true, Ordering::Relaxed);
                Ok(Arc::clone(&embedded.objects))
            }
            Self::S3(s3) => Ok(Arc::clone(s3) as _),
            Self::Unusable(problem) => Err(problem),
            Self::Fixed(_) | Self::Postgres(_) | Self::Redis(_) => {
                Err("its backend holds no objects (interface Blob): only `embedded` and `s3` do")
            }
        }
    }

    /// Whether it can be used at all.
    pub(super) fn is_usable(&self) -> bool {
        !matches!(self, Self::Unusable(_))
    }

    /// Serves no other place than `described` says, from the next call on.
    pub(super) fn keep_to(&self, described: &ClassBackend) {
        match (self, described) {
            (Self::Postgres(postgres), ClassBackend::Postgres(options)) => {
                postgres.keep_to(options.place);
            }
            (Self::Redis(redis), ClassBackend::Redis(options)) => redis.keep_to(options.place),
            // They have no other.
            _ => {}
        }
    }

    /// Reaches the same data as `described` says from the next call on. Where that does not work (yet) all
    /// stays as it was.
    pub(super) async fn change(&self, described: &ClassBackend) -> Result<(), ClassFault> {
        match (self, described) {
            (Self::Postgres(postgres), ClassBackend::Postgres(options)) => {
                try_out(Postgres::new(options)).await?;
                let changed = postgres.reconfigure(options).await;
                changed.map_err(|error| match error {
                    ReconfigureError::Options(error) => invalid(&error.to_string()),
                    ReconfigureError::Refused(error) => {
                        not_yet(fault(Reason::Unreachable, error.to_string()))
                    }
                })
            }
            (Self::Redis(redis), ClassBackend::Redis(options)) => {
                try_out(Redis::new(options)).await?;
                let changed = redis.reconfigure(options);
                changed.map_err(|error| invalid(&error.to_string()))
            }
            (Self::S3(s3), ClassBackend::S3(options)) => {
                let tried = S3::new(options).map_err(|error| invalid(&error.to_string()))?;
                told(tried.health().await).map_err(not_yet)?;
                let changed = s3.reconfigure(options);
                changed.map_err(|error| invalid(&error.to_string()))
            }
            // Nothing else can change.
            _ => Ok(()),
        }
    }

    /// Asks the backend how it does.
    pub(super) async fn look(&self) -> Standing {
        match self {
            Self::S3(s3) => told(s3.health().await).map(|()| None),
            Self::Embedded(embedded) => {
                look(&*embedded.keys).await?;
                if embedded.holds_objects.load(Ordering::Relaxed) {
                    told(embedded.objects.health().await)?;
                }
                Ok(None)
            }
            _ => look(&*self.backend().map_err(invalid)?).await,
        }
    }
}

async fn look(backend: &dyn Backend) -> Standing {
    told(backend.health().await)?;
    Ok(backend.place())
}

fn told(health: Health) -> Result<(), ClassFault> {
    match health {
        Health::Reachable => Ok(()),
        Health::Failing { reason, message } => Err(fault(word(reason), message)),
    }
}

/// Whether other settings would do; says in the backend's own words why not.
async fn try_out<B: Backend>(opened: Result<B, impl Display>) -> Result<(), ClassFault> {
    let backend = opened.map_err(|error| invalid(&error.to_string()))?;
    look(&backend).await.map(drop).map_err(not_yet)
}

fn word(reason: Failing) -> Reason {
    match reason {
        Failing::Unreachable => Reason::Unreachable,
        Failing::CredentialsRefused => Reason::CredentialsRefused,
        Failing::TlsFailed => Reason::TlsFailed,
        Failing::ReadOnly => Reason::ReadOnly,
        Failing::InvalidConfiguration => Reason::InvalidConfiguration,
    }
}

/// What is wrong with settings that are not in use yet.
fn not_yet(ClassFault { reason, message }: ClassFault) -> ClassFault {
    fault(
        reason,
        format!("{message}, with what the class says now; what it said before is still in use"),
    )
}

fn invalid(problem: &str) -> ClassFault {
    fault(Reason::InvalidConfiguration, problem.to_owned())
}

/// A backend that does not even say how it does.
pub(super) fn silent() -> ClassFault {
    fault(Reason::Unreachable, "it does not answer".to_owned())
}

fn fault(reason: Reason, message: String) -> ClassFault {
    ClassFault { reason, message }
}
