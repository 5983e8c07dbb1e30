//! `docker-registry`, started on a free port in a folder of its own.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use oci_client::{
    Client, Reference, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use serde_json::json;
use shoal_artifact::{oci, write::Artifact};
use shoal_builder::Source;

use crate::{tokens::TokenService, waiting::until};

/// A user of the registry with passwords, and what it is in `htpasswd` (bcrypt).
pub const USER: &str = "ann";
pub const PASSWORD: &str = "open sesame";
const HTPASSWD: &str = "ann:$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n";

/// A running registry. Ends when it is dropped.
pub struct Registry {
    folder: tempfile::TempDir,
    port: u16,
    kind: Kind,
    process: Option<Child>,
}

/// Whom a registry gives to, and how it is spoken to.
pub enum Kind {
    /// To anybody.
    Open,
    /// To a user with a password.
    Password,
    /// To whoever shows a token of this service.
    Token(TokenService),
    /// To anybody, over TLS with this certificate and key (PEM).
    Tls(String, String),
}

impl Registry {
    /// One that gives to anybody.
    pub async fn start() -> Self {
        Self::of(Kind::Open).await
    }

    /// One of a kind.
    pub async fn of(kind: Kind) -> Self {
        let port = shoal_ports::free_port();
        let folder = tempfile::tempdir().unwrap();
        let mut registry = Self {
            folder,
            port,
            kind,
            process: None,
        };
        registry.run().await;
        registry
    }

    /// Starts it (again), with what it held.
    pub async fn run(&mut self) {
        let folder = self.folder.path();
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": folder.join("data")}},
            "http": {"addr": self.host()},
        });
        let write = |name: &str, content: &str| {
            std::fs::write(folder.join(name), content).unwrap();
            folder.join(name)
        };
        match &self.kind {
            Kind::Open => {}
            Kind::Password => {
                let path = write("htpasswd", HTPASSWD);
                config["auth"] = json!({"htpasswd": {"realm": "here", "path": path}});
            }
            Kind::Token(service) => {
                let bundle = write("bundle", service.certificate());
                let token = service.registry_config(bundle);
                config["auth"] = json!({"token": token});
            }
            Kind::Tls(certificate, key) => {
                let (certificate, key) = (write("certificate", certificate), write("key", key));
                config["http"]["tls"] = json!({"certificate": certificate, "key": key});
            }
        }
        // JSON is YAML.
        let path = folder.join("config.yml");
        std::fs::write(&path, config.to_string()).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("docker-registry (a Debian package)");
        self.process = Some(process);
        until("the registry", async || {
            std::net::TcpStream::connect(self.host()).ok()
        })
        .await;
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where blobs and manifests are kept.
    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// An image of this registry, with the right password where it wants one.
    pub fn source(&self, image: &str) -> Source {
        let mut source = self.anonymous(image);
        if matches!(self.kind, Kind::Password | Kind::Token(_)) {
            source.pull_secrets = vec![self.secret(PASSWORD)];
        }
        source
    }

    pub fn anonymous(&self, image: &str) -> Source {
        let mut source = Source::public(format!("{}/{image}", self.host()));
        match &self.kind {
            Kind::Tls(certificate, _) => source.ca = certificate.clone(),
            _ => source.insecure = vec![self.host()],
        }
        source
    }

    /// A pull secret for this registry.
    pub fn secret(&self, password: &str) -> Vec<u8> {
        let auths = json!({self.host(): {"username": USER, "password": password}});
        json!({"auths": auths}).to_string().into_bytes()
    }

    /// Pushes an artifact.
    pub async fn push(&self, image: &str, artifact: &Artifact) {
        let (client, reference) = self.client(image).await;
        for blob in artifact.layers.iter().chain([&artifact.config]) {
            let digest = blob.digest.as_str();
            client
                .push_blob(&reference, blob.bytes.clone(), digest)
                .await
                .unwrap();
        }
        self.push_manifest(image, artifact.manifest.clone()).await;
    }

    pub async fn push_blob(&self, image: &str, bytes: &[u8]) {
        let (client, reference) = self.client(image).await;
        let digest = shoal_artifact::Digest::of(bytes);
        client
            .push_blob(&reference, bytes.to_vec(), digest.as_str())
            .await
            .unwrap();
    }

    pub async fn push_manifest(&self, image: &str, manifest: Vec<u8>) {
        let (client, reference) = self.client(image).await;
        let media_type = oci::IMAGE_MANIFEST.parse().unwrap();
        client
            .push_manifest_raw(&reference, manifest, media_type)
            .await
            .unwrap();
    }

    async fn client(&self, image: &str) -> (Client, Reference) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = ClientConfig {
            protocol: ClientProtocol::Http,
            ..ClientConfig::default()
        };
        if let Kind::Tls(certificate, _) = &self.kind {
            config.protocol = ClientProtocol::Https;
            let data = certificate.clone().into_bytes();
            config.extra_root_certificates = vec![Certificate {
                encoding: CertificateEncoding::Pem,
                data,
            }];
        }
        let client = Client::new(config);
        let reference: Reference = format!("{}/{image}", self.host()).parse().unwrap();
        let auth = match self.kind {
            Kind::Password | Kind::Token(_) => RegistryAuth::Basic(USER.into(), PASSWORD.into()),
            Kind::Open | Kind::Tls(..) => RegistryAuth::Anonymous,
        };
        client
            .auth(&reference, &auth, RegistryOperation::Push)
            .await
            .unwrap();
        (client, reference)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Overwrites every blob of this content below a folder of the registry.
pub fn alter_blob(data: &Path, digest: &shoal_artifact::Digest, content: &[u8]) {
    let hex = digest.hex();
    let blob = data
        .join("docker/registry/v2/blobs/sha256")
        .join(&hex[..2])
        .join(hex)
        .join("data");
    std::fs::write(blob, content).unwrap();
}
