//! Services: those of Apps, and that there are others.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::Service,
    apimachinery::pkg::{apis::meta::v1::OwnerReference, util::intstr::IntOrString},
};

use super::{Index, version::is_old};
use crate::ObjectKey;

/// A Service, as far as it matters.
#[derive(Clone, Debug)]
pub(crate) enum ServiceEntry {
    /// An App of this uid controls it.
    OfApp {
        /// uid of that App.
        owner: String,
        /// The Service.
        service: Arc<Service>,
    },
    /// No App does.
    Foreign {
        /// Who controls it, as `Kind name`, if anything does.
        controller: Option<String>,
        /// Its uid.
        uid: Option<String>,
    },
}

/// Services by name.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_key: HashMap<ObjectKey, ServiceEntry>,
}

fn controller(service: &Service) -> Option<&OwnerReference> {
    service
        .metadata
        .owner_references
        .as_ref()?
        .iter()
        .find(|owner| owner.controller == Some(true))
}

fn is_app(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split_once('/').map(|(group, _)| group);
    owner.kind == "App" && group == Some(shoal_crds::GROUP)
}

impl ServiceEntry {
    fn of(service: Service) -> Self {
        match controller(&service) {
            Some(owner) if is_app(owner) => Self::OfApp {
                owner: owner.uid.clone(),
                service: Arc::new(service),
            },
            other => Self::Foreign {
                controller: other.map(|owner| format!("{} {}", owner.kind, owner.name)),
                uid: service.metadata.uid,
            },
        }
    }

    fn uid(&self) -> Option<&str> {
        match self {
            Self::OfApp { service, .. } => service.metadata.uid.as_deref(),
            Self::Foreign { uid, .. } => uid.as_deref(),
        }
    }
}

impl Services {
    /// The Service of this name.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&ServiceEntry> {
        self.by_key.get(key)
    }

    /// The target port of the Service that the App of this uid controls.
    pub(super) fn target_port(&self, key: &ObjectKey, app_uid: Option<&str>) -> Option<i32> {
        let ServiceEntry::OfApp { owner, service } = self.get(key)? else {
            return None;
        };
        let port = service.spec.as_ref()?.ports.as_ref()?.first()?;
        match port.target_port {
            Some(IntOrString::Int(number)) if Some(owner.as_str()) == app_uid => Some(number),
            _ => None,
        }
    }
}

impl Index {
    pub(super) fn apply_service(&mut self, service: Service) {
        let key = ObjectKey::of(&service.metadata);
        if let Some(ServiceEntry::OfApp { service: known, .. }) = self.services.get(&key)
            && is_old(&service.metadata, &known.metadata)
        {
            return;
        }
        let entry = ServiceEntry::of(service);
        self.services.by_key.insert(key.clone(), entry);
        self.touch_known(&key);
    }

    pub(super) fn delete_service(&mut self, key: &ObjectKey, uid: Option<&str>) {
        let known = self.services.get(key).and_then(ServiceEntry::uid);
        if uid.is_some() && uid != known {
            return;
        }
        self.services.by_key.remove(key);
        self.touch_known(key);
    }

    pub(super) fn known_services(&self) -> Vec<ObjectKey> {
        self.services.by_key.keys().cloned().collect()
    }

    /// Marks the App of this name, if there is one: most Services of a cluster are no App's.
    pub(super) fn touch_known(&mut self, key: &ObjectKey) {
        if self.apps.contains_key(key) {
            self.dirty.insert(key.clone());
        }
    }
}
