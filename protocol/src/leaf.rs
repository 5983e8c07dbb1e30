//! What a certificate says about its holder.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{Identity, TlsError};

/// The parts of a leaf certificate that Shoal reads. Trust in it is decided elsewhere.
pub(crate) struct Leaf {
    pub(crate) identity: Identity,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Leaf {
    /// Reads a DER certificate; it must name exactly one identity.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, TlsError> {
        let unreadable = |what: &str| TlsError::Certificate(what.to_owned());
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| unreadable("it is no X.509 certificate"))?;
        if !rest.is_empty() {
            return Err(unreadable("bytes follow after it"));
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| unreadable("its alternative names are broken or repeated"))?
            .ok_or_else(|| unreadable("it has no alternative names"))?;
        let mut uris = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            });
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(unreadable("it must hold exactly one URI name"));
        };
        let identity = uri
            .parse()
            .map_err(|error| TlsError::Certificate(format!("{error}")))?;
        let validity = certificate.validity();
        Ok(Self {
            identity,
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
        })
    }
}

fn time(seconds: i64) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}
