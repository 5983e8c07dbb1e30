//! What errors of the server and of the network mean to a guest, and to whoever looks after the class.
//!
//! Their own texts name hosts, keys and sometimes credentials: none of them goes any further.

use std::{error::Error as StdError, io};

use object_store::{Error, client::HttpError};

use crate::{Health, KeyValueError, Reason, blob::BlobError};

const NO_BUCKET: &str = "its bucket does not exist";
const NO_ROOM: &str = "it has no more room";

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no such object.
    NotFound,
    /// The class cannot be used: a reason, and words for guests.
    Failing(Reason, &'static str),
}

impl Fault {
    /// It has no more room for what was to be written.
    pub(super) fn full() -> Self {
        Self::Failing(Reason::ReadOnly, NO_ROOM)
    }

    fn refused() -> Self {
        Self::Failing(Reason::CredentialsRefused, "it refuses its credentials")
    }

    pub(super) fn late() -> Self {
        Self::Failing(Reason::Unreachable, "it did not answer in time")
    }

    pub(super) fn health(&self) -> Health {
        match self {
            // What is written does not have to be there.
            Self::NotFound => Self::Failing(Reason::InvalidConfiguration, NO_BUCKET).health(),
            Self::Failing(reason, why) => {
                Health::of(*reason, &KeyValueError::Unavailable((*why).to_owned()))
            }
        }
    }
}

impl From<Fault> for BlobError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotFound => Self::NotFound,
            Fault::Failing(_, why) => Self::unavailable(why),
        }
    }
}

/// Codes of servers that have no more room.
const FULL: [&str; 4] = [
    "QuotaExceeded",
    "StorageFull",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
];

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let failing = Self::Failing;
        // The crate tells the answers to some requests (to list objects, above all) by their text alone. It holds the
        // object's key as well, in which nobody writes `<` or a space.
        let text = error.to_string();
        let has_code = |code: &str| text.contains(&format!("<Code>{code}</Code>"));
        let has_status = |status: &str| text.contains(status);
        match &error {
            _ if has_code("NoSuchBucket") => failing(Reason::InvalidConfiguration, NO_BUCKET),
            Error::NotFound { .. } => Self::NotFound,
            _ if FULL.into_iter().any(has_code) || has_status("507 Insufficient Storage") => {
                Self::full()
            }
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::refused(),
            _ if has_status("403 Forbidden") || has_status("401 Unauthorized") => Self::refused(),
            _ if has_cause(&error, |cause| cause.is::<rustls::Error>()) => {
                failing(Reason::TlsFailed, "there is no trusted TLS with it")
            }
            _ if has_cause(&error, |cause| cause.is::<HttpError>()) => {
                failing(Reason::Unreachable, "it cannot be reached")
            }
            _ => failing(Reason::Unreachable, "it cannot serve now"),
        }
    }
}

/// Whether an error says that there is no more room.
pub(super) fn is_full(error: &BlobError) -> bool {
    matches!(error, BlobError::Unavailable(why) if why == NO_ROOM)
}

/// Whether an error comes from one that is as asked.
fn has_cause(error: &Error, is_it: impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(one) = cause {
        if is_it(one) {
            return true;
        }
        // What an I/O error wraps is not its source, but what it says itself.
        cause = match one.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as _),
            None => one.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_server_reaches_a_guest() {
        let source = || "GET http://10.0.0.7/apps?AKID: NoSuchKey".into();
        let errors = [
            Error::NotFound {
                path: "x".into(),
                source: source(),
            },
            Error::PermissionDenied {
                path: "x".into(),
                source: source(),
            },
            Error::Generic {
                store: "S3",
                source: source(),
            },
        ];
        for error in errors {
            let told = BlobError::from(Fault::from(error)).to_string();
            assert!(
                !told.contains("10.0.0.7") && !told.contains("AKID"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_bucket_that_is_missing_is_no_missing_object() {
        let missing = |code: &str| {
            Fault::from(Error::NotFound {
                path: "x".into(),
                source: code.to_owned().into(),
            })
        };
        assert_eq!(missing("<Code>NoSuchKey</Code>"), Fault::NotFound);
        assert_eq!(
            missing("GET http://10.0.0.7/apps/shoal/NoSuchBucket"),
            Fault::NotFound,
            "a tenant's object may have that name"
        );
        let bucket = missing("<Code>NoSuchBucket</Code>");
        assert!(matches!(
            bucket,
            Fault::Failing(Reason::InvalidConfiguration, _)
        ));
    }

    #[test]
    fn an_answer_that_the_crate_does_not_tell_apart_is_told_by_its_status_and_code() {
        let of = |answer: &str| {
            Fault::from(Error::Generic {
                store: "S3",
                source: format!("Server returned non-2xx status code: {answer}").into(),
            })
        };
        let refused = of("403 Forbidden: <Code>InvalidAccessKeyId</Code>");
        assert_eq!(refused, Fault::refused());
        for full in [
            "403 Forbidden: <Code>QuotaExceeded</Code>",
            "507 Insufficient Storage: <Code>InsufficientStorage</Code>",
            "400 Bad Request: <Code>XMinioAdminBucketQuotaExceeded</Code>",
        ] {
            assert_eq!(of(full), Fault::full(), "{full}");
        }
        let bucket = of("404 Not Found: <Code>NoSuchBucket</Code>");
        assert!(matches!(
            bucket,
            Fault::Failing(Reason::InvalidConfiguration, _)
        ));
        assert!(matches!(
            of("500 Internal Server Error: "),
            Fault::Failing(Reason::Unreachable, _)
        ));
    }

    #[test]
    fn a_certificate_that_nobody_vouches_for_is_found_under_what_wraps_it() {
        let tls = io::Error::other(rustls::Error::DecryptError);
        let error = Error::Generic {
            store: "S3",
            source: Box::new(io::Error::other(tls)),
        };
        let fault = Fault::from(error);
        assert!(matches!(fault, Fault::Failing(Reason::TlsFailed, _)));
    }
}
