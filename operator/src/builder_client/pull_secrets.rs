//! Pull secrets: read by name when they are needed, handed over, and dropped.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::Api;
use shoal_crds::Reason;
use shoal_plan::Refusal;

use crate::api_error::in_words;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const TYPE: &str = "kubernetes.io/dockerconfigjson";
const KEY: &str = ".dockerconfigjson";
/// Most secrets of a default service account that are looked at.
const MOST: usize = 16;

/// Reads pull secrets.
pub(super) struct PullSecrets {
    client: kube::Client,
}

impl PullSecrets {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Contents of the secrets that an App names, and of those of its namespace's default service account. The App's
    /// must exist; of the others those count that do, as kubelet has it.
    pub(super) async fn read(
        &self,
        namespace: &str,
        named: &[String],
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let mut contents = Vec::new();
        for name in named {
            let secret = timely(api.get_opt(name), &format!("Secret `{name}`")).await?;
            contents.push(content(secret.as_ref(), name)?);
        }
        for name in self.of_default_account(namespace).await? {
            if named.contains(&name) {
                continue;
            }
            let secret = timely(api.get_opt(&name), &format!("Secret `{name}`")).await?;
            contents.extend(content(secret.as_ref(), &name).ok());
        }
        Ok(contents)
    }

    async fn of_default_account(&self, namespace: &str) -> Result<Vec<String>, Refusal> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let account = timely(api.get_opt("default"), "ServiceAccount `default`").await?;
        let secrets = account
            .and_then(|account| account.image_pull_secrets)
            .unwrap_or_default();
        Ok(secrets
            .into_iter()
            .map(|secret| secret.name)
            .take(MOST)
            .collect())
    }
}

fn content(secret: Option<&Secret>, name: &str) -> Result<Vec<u8>, Refusal> {
    let Some(secret) = secret else {
        return Err(invalid(format!(
            "Secret `{name}` of `imagePullSecrets` does not exist"
        )));
    };
    let kind = secret.type_.as_deref().unwrap_or_default();
    let bytes = secret.data.as_ref().and_then(|data| data.get(KEY));
    match bytes {
        Some(bytes) if kind == TYPE => Ok(bytes.0.clone()),
        _ => Err(invalid(format!(
            "Secret `{name}` of `imagePullSecrets` is of type `{kind}`, not `{TYPE}`"
        ))),
    }
}

fn invalid(message: String) -> Refusal {
    Refusal {
        reason: Reason::PullSecretInvalid.to_string(),
        message,
        retry_after_seconds: 5,
    }
}

async fn timely<T>(
    request: impl Future<Output = kube::Result<T>>,
    what: &str,
) -> Result<T, Refusal> {
    let why = match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => in_words(&error),
        Err(_) => "the API server did not answer in time".into(),
    };
    Err(invalid(format!("{what} cannot be read: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(kind: &str) -> Secret {
        serde_json::from_value(json!({"type": kind, "data": {KEY: "e30="}})).unwrap()
    }

    #[test]
    fn a_docker_config_is_handed_over_as_it_is() {
        assert_eq!(content(Some(&secret(TYPE)), "pull").unwrap(), b"{}");
    }

    #[test]
    fn a_secret_that_is_missing_or_of_another_type_is_named() {
        for found in [None, Some(secret("Opaque"))] {
            let refusal = content(found.as_ref(), "pull").unwrap_err();
            assert_eq!(refusal.reason, "PullSecretInvalid");
            assert!(refusal.message.contains("`pull`"), "{}", refusal.message);
        }
    }
}
