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

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let failing = Self::Failing;
        let text = || error.to_string();
        match &error {
            Error::NotFound { .. } if text().contains("NoSuchBucket") => {
                failing(Reason::InvalidConfiguration, NO_BUCKET)
            }
            Error::NotFound { .. } => Self::NotFound,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                let full = ["QuotaExceeded", "StorageFull", "XMinioStorageFull"];
                if full.iter().any(|word| text().contains(word)) {
                    return failing(Reason::ReadOnly, NO_ROOM);
                }
                failing(Reason::CredentialsRefused, "it refuses its credentials")
            }
            _ if has_cause(&error, |cause| cause.is::<rustls::Error>()) => {
                failing(Reason::TlsFailed, "there is no trusted TLS with it")
            }
            _ if text().contains("507 Insufficient Storage") => failing(Reason::ReadOnly, NO_ROOM),
            _ if has_cause(&error, |cause| cause.is::<HttpError>()) => {
                failing(Reason::Unreachable, "it cannot be reached")
            }
            _ => failing(Reason::Unreachable, "it cannot serve now"),
        }
    }
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
        assert_eq!(missing("NoSuchKey"), Fault::NotFound);
        let bucket = missing("<Code>NoSuchBucket</Code>");
        assert!(matches!(
            bucket,
            Fault::Failing(Reason::InvalidConfiguration, _)
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
