//! The certificate authority of all parts. Its key is the operator's alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, date_time_ymd,
};

use crate::Identity;

/// How long a part's certificate is valid.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Clocks of nodes may differ by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Largest signing request that is read; one of a P-256 key has some 300 bytes.
const MAX_CSR_BYTES: usize = 8 * 1024;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The authority's own certificate or key cannot be read.
    #[error("the certificate authority cannot be read: {0}")]
    Authority(rcgen::Error),
    /// The request is broken, too large, badly signed, or not of a P-256 key.
    #[error("the certificate signing request is refused: {0}")]
    Request(String),
    /// Signing failed.
    #[error("the certificate cannot be signed: {0}")]
    Sign(rcgen::Error),
}

/// A certificate and its private key, both PEM.
pub struct Issued {
    /// Leaf first.
    pub certificate_chain: String,
    /// PKCS#8.
    pub key: String,
}

/// Signs the certificates of parts.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl CertificateAuthority {
    /// A new authority with a fresh key, valid for ten years.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate() -> Result<Self, IssueError> {
        let key = new_key().map_err(IssueError::Sign)?;
        let mut params = params(AUTHORITY_LIFE);
        let id: String = key
            .public_key_raw()
            .iter()
            .rev()
            .take(4)
            .map(|b| format!("{b:02x}"))
            .collect();
        params.distinguished_name = common_name(&format!("shoal-ca {id}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key).map_err(IssueError::Sign)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_pem,
        })
    }

    /// An authority that [`certificate_pem`](Self::certificate_pem) and [`key_pem`](Self::key_pem) gave.
    ///
    /// # Errors
    /// Either is broken, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key).map_err(IssueError::Authority)?;
        if !certifies(certificate, &key) {
            return Err(IssueError::Authority(
                rcgen::Error::CouldNotParseCertificate,
            ));
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(IssueError::Authority)?;
        Ok(Self {
            issuer,
            certificate_pem: certificate.to_owned(),
        })
    }

    /// What the others trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// PKCS#8 of the private key.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate (PEM, leaf first) for the public key of a signing request (PKCS#10, DER). Nothing
    /// else of the request counts: names come from `identity`.
    ///
    /// # Errors
    /// A request that is broken, too large, not signed by its key, or not of a P-256 key.
    pub fn sign(&self, csr: &[u8], identity: &Identity) -> Result<String, IssueError> {
        self.sign_for(csr, identity, CERTIFICATE_LIFE)
    }

    /// As [`sign`](Self::sign), valid for `life`.
    ///
    /// # Errors
    /// As there.
    pub fn sign_for(
        &self,
        csr: &[u8],
        identity: &Identity,
        life: Duration,
    ) -> Result<String, IssueError> {
        if csr.len() > MAX_CSR_BYTES {
            return Err(IssueError::Request(format!(
                "it has more than {MAX_CSR_BYTES} bytes"
            )));
        }
        let request = CertificateSigningRequestParams::from_der(&csr.into())
            .map_err(|error| IssueError::Request(error.to_string()))?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(IssueError::Request("its key is not of P-256".to_owned()));
        }
        self.certify(&request.public_key, identity, life)
    }

    /// A fresh key and certificate: the operator's own.
    ///
    /// # Errors
    /// No randomness.
    pub fn issue(&self, identity: &Identity) -> Result<Issued, IssueError> {
        let key = new_key().map_err(IssueError::Sign)?;
        let certificate_chain = self.certify(&key, identity, CERTIFICATE_LIFE)?;
        Ok(Issued {
            certificate_chain,
            key: key.serialize_pem(),
        })
    }

    fn certify(
        &self,
        key: &impl PublicKeyData,
        identity: &Identity,
        life: Duration,
    ) -> Result<String, IssueError> {
        let ia5 = |name: String| name.try_into().map_err(IssueError::Sign);
        let mut params = params(life);
        params.distinguished_name = common_name(&format!("shoal-{}", identity.role()));
        params
            .subject_alt_names
            .push(SanType::URI(ia5(identity.to_string())?));
        for name in identity.role().dns_names() {
            params.subject_alt_names.push(SanType::DnsName(ia5(name)?));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if identity.role().server_name().is_some() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        Ok(params
            .signed_by(key, &self.issuer)
            .map_err(IssueError::Sign)?
            .pem())
    }
}

/// A fresh P-256 key.
pub(crate) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn certifies(certificate_pem: &str, key: &KeyPair) -> bool {
    x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
        .ok()
        .and_then(|(_, pem)| {
            let certificate = pem.parse_x509().ok()?;
            Some(certificate.public_key().raw == key.subject_public_key_info())
        })
        .unwrap_or(false)
}

fn params(life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW.min(life / 4));
    params.not_after = epoch + now + life;
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}
