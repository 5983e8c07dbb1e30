//! The part of an `App` that reaches its Service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::validation;

/// What the App's Service looks like. Nothing else of the App reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Port of the Service.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,

    /// Type of the Service, as in core/v1.
    #[serde(rename = "type")]
    pub type_: ServiceType,

    /// Which IP families the Service has, as in core/v1.
    pub ip_family_policy: IpFamilyPolicy,

    /// Labels of the Service, mirrored onto its EndpointSlices.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "validation::service_labels_schema")]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the Service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "validation::service_annotations_schema")]
    pub annotations: BTreeMap<String, String>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            port: 80,
            type_: ServiceType::default(),
            ip_family_policy: IpFamilyPolicy::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}

/// Types of Service that an App can have. ExternalName and headless Services have no place for
/// endpoints of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ServiceType {
    /// Reachable in the cluster.
    #[default]
    ClusterIP,
    /// Reachable on a port of every node too.
    NodePort,
    /// Reachable through the provider's load balancer too.
    LoadBalancer,
}

impl ServiceType {
    /// As core/v1 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// IP families of a Service, as in core/v1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum IpFamilyPolicy {
    /// The cluster's first family.
    SingleStack,
    /// Both families where the cluster has both.
    #[default]
    PreferDualStack,
    /// Both families, or the Service is refused.
    RequireDualStack,
}

impl IpFamilyPolicy {
    /// As core/v1 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleStack => "SingleStack",
            Self::PreferDualStack => "PreferDualStack",
            Self::RequireDualStack => "RequireDualStack",
        }
    }
}
