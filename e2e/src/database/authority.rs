//! A certificate for a database, and the authority that vouches for it.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// All in PEM.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) ca: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A fresh authority and what it signed for `address`.
pub(super) fn certify(address: &str) -> Certified {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::new()).expect("no names are valid names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate of its own");
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec![address.to_owned()]).expect("an address is a name");
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");
    Certified {
        ca: ca_certificate.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}
