//! One read of one object.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use shoal_crds::SourceKind;
use shoal_plan::{SourceRead, SourceRef};

use crate::api_error::in_words;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads an object. What went wrong is said in words that name no value.
pub(super) async fn object(client: &kube::Client, source: &SourceRef) -> SourceRead {
    let (namespace, name) = (&*source.key.namespace, &*source.key.name);
    let reading = async {
        match source.kind {
            SourceKind::Secret => {
                let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
                Ok(api.get_opt(name).await?.map_or(SourceRead::Missing, secret))
            }
            SourceKind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
                Ok(api
                    .get_opt(name)
                    .await?
                    .map_or(SourceRead::Missing, config_map))
            }
        }
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => SourceRead::Failed(in_words(&error)),
        Err(_) => SourceRead::Failed("the API server did not answer in time".into()),
    }
}

fn secret(secret: Secret) -> SourceRead {
    let data = secret.data.unwrap_or_default();
    SourceRead::Found {
        resource_version: secret.metadata.resource_version.unwrap_or_default(),
        data: data
            .into_iter()
            .map(|(key, value)| (key, value.0))
            .collect(),
    }
}

fn config_map(config_map: ConfigMap) -> SourceRead {
    let data = config_map.data.unwrap_or_default();
    SourceRead::Found {
        resource_version: config_map.metadata.resource_version.unwrap_or_default(),
        data: data
            .into_iter()
            .map(|(key, value)| (key, value.into_bytes()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_both_kinds_are_read_as_bytes() {
        let found = SourceRead::Found {
            resource_version: "7".into(),
            data: BTreeMap::from([("key".to_owned(), b"value".to_vec())]),
        };
        let metadata = json!({"name": "a", "resourceVersion": "7"});
        let of_secret = json!({"metadata": metadata, "data": {"key": "dmFsdWU="}});
        assert_eq!(secret(serde_json::from_value(of_secret).unwrap()), found);
        let of_map =
            json!({"metadata": metadata, "data": {"key": "value"}, "binaryData": {"b": "/w=="}});
        assert_eq!(config_map(serde_json::from_value(of_map).unwrap()), found);
    }
}
