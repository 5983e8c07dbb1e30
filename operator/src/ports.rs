//! The record of port blocks: read when this replica begins to lead, written before a new block is used.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use shoal_crds::FIELD_MANAGER;
use shoal_plan::{PORT_RECORD_NAME, PortRecord};

const REQUEST_TIMEOUT: Duration = crate::write::execute::TIMEOUT;

/// Why the record was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// The API server refused.
    #[error("ConfigMap `{PORT_RECORD_NAME}`: {0}")]
    Api(#[from] kube::Error),
    /// No answer.
    #[error("the API server did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
}

/// Reads and writes the record.
#[derive(Clone)]
pub struct Ports(Api<ConfigMap>);

impl Ports {
    /// The record of the installation in `namespace`.
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// What is recorded; empty when nothing is.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn read(&self) -> Result<PortRecord, PortsError> {
        let map = timely(self.0.get_opt(PORT_RECORD_NAME)).await?;
        let data = map.and_then(|map| map.data).unwrap_or_default();
        Ok(PortRecord::from_data(&data))
    }

    /// Records this.
    ///
    /// # Errors
    /// The API server refuses or does not answer.
    pub async fn write(&self, record: &PortRecord) -> Result<(), PortsError> {
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": PORT_RECORD_NAME},
            "data": record.to_data(),
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        timely(
            self.0
                .patch(PORT_RECORD_NAME, &parameters, &Patch::Apply(&map)),
        )
        .await?;
        Ok(())
    }
}

async fn timely<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, PortsError> {
    Ok(tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| PortsError::Timeout)??)
}
