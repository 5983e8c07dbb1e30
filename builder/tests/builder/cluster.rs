//! The services over mutual TLS: who may ask for what.

use shoal_builder::serve::serve_cluster;
use shoal_protocol::{
    CertificateAuthority, Grants, Identity, LiveIdentity, Role, Trust, client,
    server::Listener,
    v1::{
        self, GrantSet, PodGrants, build_response::Outcome, builder_client::BuilderClient,
        code_client::CodeClient,
    },
};
use tonic::{Code, transport::Channel};

use crate::{host, images::component, open, registry::Registry};

const GRANTED: &str = "11111111-1111-1111-1111-111111111111";
const OTHER: &str = "22222222-2222-2222-2222-222222222222";

struct Cluster {
    ca: CertificateAuthority,
    target: String,
}

impl Cluster {
    async fn start(folder: &std::path::Path, grants: GrantSet) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = CertificateAuthority::generate().unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let cluster = Self { ca, target };
        let identity = cluster.part(Role::Builder, OTHER);
        let (builder, grants) = (open(folder), Grants::fixed(grants));
        let forever = std::future::pending();
        tokio::spawn(async move {
            serve_cluster(builder, grants, &identity, listener, forever)
                .await
                .unwrap();
        });
        cluster
    }

    fn part(&self, role: Role, pod_uid: &str) -> LiveIdentity {
        let identity = Identity::new(role, "default", "node1", pod_uid).unwrap();
        let live = LiveIdentity::new(Trust::from_pem(self.ca.certificate_pem()).unwrap());
        let issued = self.ca.issue(&identity).unwrap();
        live.set_certificate(&issued.certificate_chain, &issued.key)
            .unwrap();
        live
    }

    fn channel(&self, role: Role, pod_uid: &str) -> Channel {
        client::channel(&self.target, Role::Builder, &self.part(role, pod_uid)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_builds_and_only_a_pod_with_a_grant_fetches() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let wasm = component("a", &[]);
    registry
        .push(
            "a:1",
            &shoal_artifact::write::component(wasm.clone()).unwrap(),
        )
        .await;
    let digest = shoal_artifact::Digest::of(&wasm).to_string();
    let pods = vec![PodGrants {
        pod_uid: GRANTED.into(),
        digests: vec![digest.clone()],
        ..PodGrants::default()
    }];
    let cluster = Cluster::start(folder.path(), GrantSet { epoch: 1, pods }).await;
    let source = Some(v1::ImageSource {
        image: format!("{}/a:1", registry.host()),
        registries: Some(v1::RegistryPolicy {
            insecure: vec![registry.host()],
            ca: String::new(),
        }),
        ..v1::ImageSource::default()
    });

    let mut operator = BuilderClient::new(cluster.channel(Role::Operator, OTHER));
    let request = v1::ResolveRequest {
        source: source.clone(),
    };
    let resolved = operator
        .resolve(request.clone())
        .await
        .unwrap()
        .into_inner();
    let build = v1::BuildRequest {
        source,
        digest: resolved.digest,
        engine_keys: vec![host().to_string()],
    };
    let built = operator
        .build(build.clone())
        .await
        .unwrap()
        .into_inner()
        .outcome;
    assert!(matches!(built, Some(Outcome::Description(_))), "{built:?}");

    for role in [Role::Runtime, Role::Store, Role::Builder] {
        let mut client = BuilderClient::new(cluster.channel(role, GRANTED));
        let codes = [
            client.resolve(request.clone()).await.unwrap_err().code(),
            client.build(build.clone()).await.unwrap_err().code(),
            client
                .code_keys(v1::CodeKeysRequest {})
                .await
                .unwrap_err()
                .code(),
        ];
        assert_eq!(codes, [Code::PermissionDenied; 3], "{role}");
    }
    let fetch = async |role, pod: &str| {
        let request = v1::FetchRequest {
            digest: digest.clone(),
            engine_key: host().to_string(),
        };
        let fetched = CodeClient::new(cluster.channel(role, pod))
            .fetch(request)
            .await;
        fetched.map(drop).map_err(|status| status.code())
    };
    assert_eq!(fetch(Role::Runtime, GRANTED).await, Ok(()));
    assert_eq!(
        fetch(Role::Runtime, OTHER).await,
        Err(Code::PermissionDenied)
    );
    assert_eq!(
        fetch(Role::Operator, GRANTED).await,
        Err(Code::PermissionDenied)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn local_files_are_not_read_for_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let options = shoal_builder::Options {
        local_files: false,
        ..crate::options(folder.path())
    };
    let builder = shoal_builder::BuilderHandle::open(options).unwrap();
    let source = shoal_builder::Source::public("file:/etc/passwd");
    let refusal = builder.resolve(&source).await.unwrap_err();
    assert_eq!(
        refusal.reason,
        shoal_artifact::Reason::InvalidImageReference
    );
}
