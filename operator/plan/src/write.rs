//! What is to be written to the API server.

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use shoal_crds::{AppStatus, Store, StoreClassStatus, StoreStatus};

use crate::ObjectKey;

/// How urgent a write is; the least is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Takes an endpoint that does not answer out of a Service.
    Remove,
    /// Brings an app nearer to being served.
    Add,
    /// Tells about it.
    Cosmetic,
}

/// One request to the API server. Writes of one plan are in the order in which they are to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// How urgent it is.
    pub priority: Priority,
    /// What to send.
    pub action: WriteAction,
}

/// A request to the API server. "Gone" (404 or a changed uid) is success for deletions; a conflict (409) means
/// that a newer object is on its way through the watch, after which the App is planned again.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteAction {
    /// POST; the writer sets `spec.id` to a new random UUID first.
    CreateStore(Box<Store>),
    /// Merge patch `{metadata: {resourceVersion, finalizers}, spec: {id: <new random UUID>}}`.
    SetStoreId {
        /// The Store.
        key: ObjectKey,
        /// Version that was looked at: nobody may have set the id since.
        resource_version: String,
        /// All that it is to have: whoever has data has [`shoal_crds::DATA_FINALIZER`] before, if that is to go too.
        finalizers: Vec<String>,
    },
    /// Server-side apply of the whole status to the status subresource, forced.
    PatchStoreStatus {
        /// The Store.
        key: ObjectKey,
        /// Its uid.
        uid: String,
        /// The whole status.
        status: StoreStatus,
    },
    /// Merge patch `{metadata: {resourceVersion, finalizers}}`. It is no server-side apply, which would not take away
    /// what a creation or somebody else set.
    HoldStore {
        /// The Store.
        key: ObjectKey,
        /// Version that was looked at: nobody may have changed its finalizers since.
        resource_version: String,
        /// All that it is to have: those that it has, with [`shoal_crds::DATA_FINALIZER`] or without.
        finalizers: Vec<String>,
    },
    /// DELETE. Its finalizer holds it until its data is gone.
    DeleteStore {
        /// The Store.
        key: ObjectKey,
        /// Precondition.
        uid: String,
        /// Precondition: nobody may have asked for the data to stay since.
        resource_version: String,
    },
    /// Server-side apply of the finalizer [`shoal_crds::CLASS_FINALIZER`]; with `holds: false` of none, which takes
    /// ours away and nobody else's.
    HoldClass {
        /// Name of the StoreClass.
        name: String,
        /// Its uid.
        uid: String,
        /// Whether it is to have the finalizer.
        holds: bool,
    },
    /// Server-side apply of the whole status to the status subresource, forced.
    PatchClassStatus {
        /// Name of the StoreClass.
        name: String,
        /// Its uid.
        uid: String,
        /// The whole status.
        status: StoreClassStatus,
    },
    /// POST with our field manager.
    CreateService(Box<Service>),
    /// JSON merge patch with our field manager. Names the resourceVersion that was looked at.
    PatchService {
        /// The Service.
        key: ObjectKey,
        /// The patch.
        patch: serde_json::Value,
    },
    /// POST.
    CreateSlice(Box<EndpointSlice>),
    /// PUT; carries the resourceVersion that was looked at.
    UpdateSlice(Box<EndpointSlice>),
    /// DELETE.
    DeleteSlice {
        /// The EndpointSlice.
        key: ObjectKey,
        /// Precondition.
        uid: String,
    },
    /// DELETE of the (deprecated) Endpoints object; usually there is none.
    DeleteEndpoints {
        /// The Endpoints.
        key: ObjectKey,
    },
    /// Server-side apply of the whole status to the status subresource, forced.
    PatchAppStatus {
        /// The App.
        key: ObjectKey,
        /// Its uid: a later App of the same name is not meant.
        uid: String,
        /// The whole status.
        status: Box<AppStatus>,
    },
}

impl WriteAction {
    pub(crate) fn at(self, priority: Priority) -> Write {
        Write {
            priority,
            action: self,
        }
    }

    /// Kind that it writes, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateStore(_)
            | Self::SetStoreId { .. }
            | Self::PatchStoreStatus { .. }
            | Self::HoldStore { .. }
            | Self::DeleteStore { .. } => "Store",
            Self::HoldClass { .. } | Self::PatchClassStatus { .. } => "StoreClass",
            Self::CreateService(_) | Self::PatchService { .. } => "Service",
            Self::CreateSlice(_) | Self::UpdateSlice(_) | Self::DeleteSlice { .. } => {
                "EndpointSlice"
            }
            Self::DeleteEndpoints { .. } => "Endpoints",
            Self::PatchAppStatus { .. } => "App",
        }
    }
}
