//! A token service, as registries of the big clouds have one.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};

use crate::registry::{PASSWORD, USER};

/// Gives tokens to the one user there is.
pub struct TokenService {
    signer: Arc<Signer>,
    realm: String,
}

struct Signer {
    key: EcdsaKeyPair,
    certificate_der: Vec<u8>,
    certificate: String,
    asked: Arc<Mutex<Vec<String>>>,
}

const ISSUER: &str = "issuer.example";
const SERVICE: &str = "registry.example";

impl TokenService {
    pub async fn start() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let parameters = rcgen::CertificateParams::new(vec![ISSUER.to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let pkcs8 = key.serialize_der();
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let signer = Arc::new(Signer {
            key: EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random).unwrap(),
            certificate_der: certificate.der().to_vec(),
            certificate: certificate.pem(),
            asked: Arc::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let realm = format!("http://{}/token", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/token", get(answer))
            .with_state(signer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { signer, realm }
    }

    /// Scopes that tokens were given for.
    pub fn asked(&self) -> Arc<Mutex<Vec<String>>> {
        self.signer.asked.clone()
    }

    /// Certificate of the key that signs tokens.
    pub fn certificate(&self) -> &str {
        &self.signer.certificate
    }

    /// What the registry has to know of it.
    pub fn registry_config(&self, bundle: PathBuf) -> Value {
        let realm = &self.realm;
        json!({"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle})
    }
}

async fn answer(
    State(signer): State<Arc<Signer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    if headers
        .get("authorization")
        .is_none_or(|value| value != basic.as_str())
    {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let url = reqwest::Url::parse(&format!("http://x/?{}", query.unwrap_or_default())).unwrap();
    let parameter = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let (scope, service) = (parameter("scope").unwrap(), parameter("service"));
    assert_eq!(service.as_deref(), Some(SERVICE));
    let token = signer.token(&scope);
    signer.asked.lock().unwrap().push(scope);
    Ok(json!({"token": token}).to_string())
}

impl Signer {
    fn token(&self, scope: &str) -> String {
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else {
            panic!("{scope}")
        };
        let actions: Vec<&str> = actions.split(',').collect();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let header = json!({
            "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate_der)],
        });
        let claims = json!({
            "iss": ISSUER, "sub": USER, "aud": SERVICE, "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 300,
            "access": [{"type": kind, "name": name, "actions": actions}],
        });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), message.as_bytes())
            .unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
