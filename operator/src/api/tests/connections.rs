//! Whom a rotated authority lets in.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::world::{FRONT, FrontAuthority, World};

/// A client that remembers sessions, as far as the server lets it.
struct Proxy(TlsConnector);

impl Proxy {
    fn of(world: &World, authority: &FrontAuthority) -> Self {
        let (certificate, key) = authority.client(FRONT);
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(world.parts.ca.certificate_pem().as_bytes());
        roots.add(ca.unwrap()).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.resumption = Resumption::in_memory_sessions(8);
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// How hands were shaken, and the answer.
    async fn ask(&self, world: &World) -> std::io::Result<(Option<HandshakeKind>, String)> {
        let address = world.url.trim_start_matches("https://");
        let name = "shoal-api.shoal-system.svc".try_into().unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut stream = self.0.connect(name, stream).await?;
        let request =
            "GET /apis HTTP/1.1\r\nhost: a\r\nx-remote-user: ada\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok((stream.get_ref().1.handshake_kind(), answer))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_before_does_not_outlive_the_authority_that_vouched_for_it() {
    let world = World::start().await;
    let proxy = Proxy::of(&world, &world.authority);
    for _ in 0..2 {
        let (kind, answer) = proxy.ask(&world).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(kind, Some(HandshakeKind::Full));
    }
    let next = FrontAuthority::new();
    world.trust(&next);
    let refused = proxy.ask(&world).await;
    assert!(refused.is_err(), "{refused:?}");
    let (_, answer) = Proxy::of(&world, &next).ask(&world).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
