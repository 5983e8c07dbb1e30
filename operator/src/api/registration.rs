//! The APIService that leads here: it has to name our authority.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use shoal_crds::FIELD_MANAGER;
use shoal_protocol::CertificateAuthority;
use tracing::{info, warn};

use super::failure::Failure;
use super::{REQUEST_TIMEOUT, timely};
use crate::lease::Leadership;
use crate::metrics::Metrics;

const NAME: &str = "v1alpha1.runtime.shoal.dev";
const CHECK_EVERY: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_secs(15);

/// Keeps the `caBundle` of the APIService while this replica leads.
pub struct Registration {
    /// Reads and writes it.
    pub client: kube::Client,
    /// What is to stand there.
    pub authority: Arc<CertificateAuthority>,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// Counts writes.
    pub metrics: Arc<Metrics>,
}

impl Registration {
    /// Looks again and again. Where there is no such object, nobody wants the API: nothing is to be done.
    pub async fn keep(self) {
        let mut epoch = self.leadership.watch();
        loop {
            let mut pause = CHECK_EVERY;
            if self.leadership.epoch().is_some() {
                match self.check().await {
                    // It may be on its way.
                    Ok(false) => pause = RETRY_EVERY,
                    Ok(true) => {}
                    Err(failure) => {
                        warn!(
                            problem = failure.message,
                            "APIService {NAME} could not be checked"
                        );
                        pause = RETRY_EVERY;
                    }
                }
            }
            tokio::select! {
                changed = epoch.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Whether it is there, and right now.
    async fn check(&self) -> Result<bool, Failure> {
        let api: Api<APIService> = Api::all(self.client.clone());
        let Some(service) = timely(api.get_opt(NAME)).await? else {
            return Ok(false);
        };
        let wanted = ByteString(self.authority.certificate_pem().as_bytes().to_vec());
        let spec = service.spec.unwrap_or_default();
        if spec.ca_bundle.as_ref() == Some(&wanted) {
            return Ok(true);
        }
        if self.leadership.may_start(REQUEST_TIMEOUT).is_none() {
            return Ok(false);
        }
        let patch = json!({"spec": {"caBundle": wanted}});
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        timely(api.patch(NAME, &parameters, &Patch::Merge(&patch))).await?;
        self.metrics.wrote("APIService", "patch");
        info!("APIService {NAME} names the certificate authority");
        Ok(true)
    }
}
