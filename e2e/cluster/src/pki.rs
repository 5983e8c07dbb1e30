//! The cluster's own certificate authorities and what they sign.
//!
//! The names and groups are those that Kubernetes' authorizers know
//! (<https://kubernetes.io/docs/setup/best-practices/certificates/>).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::address::{BRIDGE_V4, BRIDGE_V6, KUBERNETES_SERVICE, NodeNumber};
use crate::layout::write;

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The key, PKCS #8 PEM.
    pub key: PathBuf,
}

/// Who a client certificate speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The user (the common name).
    pub user: &'a str,
    /// Its group (the organisation).
    pub group: Option<&'a str>,
}

/// The files of all certificates; which of them exist is up to [`Pki::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// The certificates in `folder`.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Makes both authorities and everything they sign.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn create(&self) -> Result<()> {
        restrict(&self.folder)?;
        let cluster = self.authority("ca", "shoal-cluster")?;
        self.server(&cluster, "apiserver", &api_server_names())?;
        self.client(
            &cluster,
            "admin",
            Subject {
                user: "admin",
                group: Some("system:masters"),
            },
        )?;
        for user in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
            let subject = Subject {
                user: &format!("system:{user}"),
                group: None,
            };
            self.client(&cluster, user, subject)?;
        }
        self.client(
            &cluster,
            "coredns",
            Subject {
                user: "system:coredns",
                group: None,
            },
        )?;
        let kubelets = Subject {
            user: "kube-apiserver-kubelet-client",
            group: None,
        };
        self.client(&cluster, "apiserver-kubelet-client", kubelets)?;
        for node in NodeNumber::all() {
            let (name, user) = (node.name(), format!("system:node:{}", node.name()));
            let subject = Subject {
                user: &user,
                group: Some("system:nodes"),
            };
            self.client(&cluster, &name, subject)?;
            let names = [name.clone(), node.v4().to_string(), node.v6().to_string()];
            self.server(&cluster, &format!("{name}-serving"), &names)?;
        }
        let front = self.authority("front-proxy-ca", "shoal-front-proxy")?;
        let subject = Subject {
            user: "front-proxy-client",
            group: None,
        };
        self.client(&front, "front-proxy-client", subject)?;
        let service_accounts = KeyPair::generate().context("cannot make a key")?;
        write(
            &self.pair("sa").certificate,
            service_accounts.public_key_pem(),
        )?;
        write(&self.pair("sa").key, service_accounts.serialize_pem())
    }

    /// A certificate and its key: `ca`, `apiserver`, `admin`, `kube-scheduler`, `node1`,
    /// `node1-serving` and so on. Of `sa` the first is the bare public key.
    pub fn pair(&self, name: &str) -> Pair {
        Pair {
            certificate: self.folder.join(format!("{name}.crt")),
            key: self.folder.join(format!("{name}.key")),
        }
    }

    fn authority(&self, name: &str, common_name: &str) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params
            .self_signed(&key)
            .with_context(|| format!("cannot make {name}"))?;
        self.save(name, &certificate.pem(), &key)?;
        Ok(Issuer::new(params, key))
    }

    fn client(&self, issuer: &Issuer<'_, KeyPair>, name: &str, subject: Subject<'_>) -> Result<()> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, subject.user);
        if let Some(group) = subject.group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(issuer, name, params)
    }

    fn server(&self, issuer: &Issuer<'_, KeyPair>, name: &str, names: &[String]) -> Result<()> {
        let mut params = CertificateParams::new(names)
            .with_context(|| format!("{} are no names for a certificate", names.join(", ")))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(issuer, name, params)
    }

    fn sign(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        name: &str,
        mut params: CertificateParams,
    ) -> Result<()> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params
            .signed_by(&key, issuer)
            .with_context(|| format!("cannot sign {name}"))?;
        self.save(name, &certificate.pem(), &key)
    }

    fn save(&self, name: &str, certificate: &str, key: &KeyPair) -> Result<()> {
        let pair = self.pair(name);
        write(&pair.certificate, certificate)?;
        write(&pair.key, key.serialize_pem())
    }
}

fn restrict(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot restrict {}", folder.display()))
}

fn api_server_names() -> Vec<String> {
    let mut names: Vec<_> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    ]
    .map(str::to_owned)
    .into();
    names.extend([BRIDGE_V4.to_string(), BRIDGE_V6.to_string()]);
    names.extend(KUBERNETES_SERVICE.map(|address| address.to_string()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_known_by_every_address_it_is_called_at() {
        let names = api_server_names();
        for name in [
            "10.250.0.1",
            "fd00:250::1",
            "10.96.0.1",
            "fd00:96::1",
            "127.0.0.1",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn every_certificate_that_a_component_is_given_is_made() {
        let folder = std::env::temp_dir().join(format!("shoal-pki-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pki = Pki::at(&folder);
        pki.create().unwrap();
        for name in [
            "ca",
            "apiserver",
            "admin",
            "kube-proxy",
            "node3",
            "node3-serving",
            "sa",
        ] {
            let pair = pki.pair(name);
            assert!(pair.certificate.is_file() && pair.key.is_file(), "{name}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
