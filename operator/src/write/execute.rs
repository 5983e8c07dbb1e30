//! Sends one request to the API server.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;
use shoal_crds::{App, CLASS_FINALIZER, FIELD_MANAGER, Store, StoreClass};
use shoal_plan::{ObjectKey, WriteAction};

/// A request that has no answer by then is given up. Shorter than the lease by what a renewal takes.
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// What the API server answered.
#[derive(Debug)]
pub enum Answer {
    /// The App as it is now.
    App(Box<App>),
    /// The Store as it is now.
    Store(Box<Store>),
    /// The StoreClass as it is now.
    Class(Box<StoreClass>),
    /// The Service as it is now.
    Service(Box<Service>),
    /// The slice as it is now.
    Slice(Box<EndpointSlice>),
    /// The slice is gone.
    SliceGone(ObjectKey, String),
    /// Nothing that the index holds.
    Nothing,
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object is not as it was when the plan was made.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The API server is busy, down or slow.
    #[error("not now: {0}")]
    Busy(String),
    /// It refuses what was sent; sending it again does not help.
    #[error("refused: {0}")]
    Refused(String),
}

/// Sends writes.
pub trait Executor: Send + Sync + 'static {
    /// Sends one write and waits for the answer, at most [`TIMEOUT`].
    fn execute(
        &self,
        action: &WriteAction,
    ) -> impl Future<Output = Result<Answer, WriteError>> + Send;
}

/// What a write does to its object, for metrics.
pub fn op(action: &WriteAction) -> &'static str {
    match action {
        WriteAction::CreateStore(_)
        | WriteAction::CreateService(_)
        | WriteAction::CreateSlice(_) => "create",
        WriteAction::UpdateSlice(_) => "update",
        WriteAction::DeleteStore { .. }
        | WriteAction::DeleteSlice { .. }
        | WriteAction::DeleteEndpoints { .. } => "delete",
        WriteAction::SetStoreId { .. }
        | WriteAction::PatchStoreStatus { .. }
        | WriteAction::HoldStore { .. }
        | WriteAction::HoldClass { .. }
        | WriteAction::PatchClassStatus { .. }
        | WriteAction::PatchService { .. }
        | WriteAction::PatchAppStatus { .. } => "patch",
    }
}

/// Sends writes to the API server.
#[derive(Clone)]
pub struct ApiServer(pub kube::Client);

impl Executor for ApiServer {
    async fn execute(&self, action: &WriteAction) -> Result<Answer, WriteError> {
        match tokio::time::timeout(TIMEOUT, self.send(action)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => self.judge(action, error).await,
            Err(_) => Err(WriteError::Busy(format!(
                "no answer within {} s",
                TIMEOUT.as_secs()
            ))),
        }
    }
}

impl ApiServer {
    fn api<K>(&self, key: &ObjectKey) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.0.clone(), &key.namespace)
    }

    async fn send(&self, action: &WriteAction) -> kube::Result<Answer> {
        let create = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        let merge = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        match action {
            WriteAction::CreateStore(store) => {
                let mut store = Store::clone(store);
                store.spec.id = Some(uuid::Uuid::new_v4().to_string());
                let api = self.api(&ObjectKey::of(&store.metadata));
                Ok(Answer::Store(Box::new(api.create(&create, &store).await?)))
            }
            WriteAction::SetStoreId {
                key,
                resource_version,
                finalizers,
            } => {
                let patch = json!({
                    "metadata": {"resourceVersion": resource_version, "finalizers": finalizers},
                    "spec": {"id": uuid::Uuid::new_v4().to_string()},
                });
                let api = self.api::<Store>(key);
                let store = api.patch(&key.name, &merge, &Patch::Merge(&patch)).await?;
                Ok(Answer::Store(Box::new(store)))
            }
            WriteAction::PatchStoreStatus { key, uid, status } => {
                let store = self
                    .apply_status::<Store>(key, uid, "Store", status)
                    .await?;
                Ok(Answer::Store(Box::new(store)))
            }
            WriteAction::HoldStore {
                key,
                resource_version,
                finalizers,
            } => {
                let patch = json!({
                    "metadata": {"resourceVersion": resource_version, "finalizers": finalizers},
                });
                let api = self.api::<Store>(key);
                let store = api.patch(&key.name, &merge, &Patch::Merge(&patch)).await?;
                Ok(Answer::Store(Box::new(store)))
            }
            WriteAction::DeleteStore {
                key,
                uid,
                resource_version,
            } => {
                let parameters = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(uid.clone()),
                        resource_version: Some(resource_version.clone()),
                    }),
                    ..DeleteParams::default()
                };
                let deleted = self
                    .api::<Store>(key)
                    .delete(&key.name, &parameters)
                    .await?;
                Ok(deleted
                    .left()
                    .map_or(Answer::Nothing, |store| Answer::Store(Box::new(store))))
            }
            WriteAction::HoldClass { name, uid, holds } => {
                let held: &[&str] = if *holds { &[CLASS_FINALIZER] } else { &[] };
                let object = class(json!({"name": name, "uid": uid, "finalizers": held}));
                let api: Api<StoreClass> = Api::all(self.0.clone());
                let class = api.patch(name, &applied(), &Patch::Apply(&object)).await?;
                Ok(Answer::Class(Box::new(class)))
            }
            WriteAction::PatchClassStatus { name, uid, status } => {
                let mut object = class(json!({"name": name, "uid": uid}));
                object["status"] = json!(status);
                let api: Api<StoreClass> = Api::all(self.0.clone());
                let patch = Patch::Apply(&object);
                let class = api.patch_status(name, &applied(), &patch).await?;
                Ok(Answer::Class(Box::new(class)))
            }
            WriteAction::PatchAppStatus { key, uid, status } => {
                let app = self.apply_status::<App>(key, uid, "App", status).await?;
                Ok(Answer::App(Box::new(app)))
            }
            WriteAction::CreateService(service) => {
                let api = self.api::<Service>(&ObjectKey::of(&service.metadata));
                Ok(Answer::Service(Box::new(
                    api.create(&create, service).await?,
                )))
            }
            WriteAction::PatchService { key, patch } => {
                let api = self.api::<Service>(key);
                let service = api.patch(&key.name, &merge, &Patch::Merge(patch)).await?;
                Ok(Answer::Service(Box::new(service)))
            }
            WriteAction::CreateSlice(slice) => {
                let api = self.api::<EndpointSlice>(&ObjectKey::of(&slice.metadata));
                Ok(Answer::Slice(Box::new(api.create(&create, slice).await?)))
            }
            WriteAction::UpdateSlice(slice) => {
                let key = ObjectKey::of(&slice.metadata);
                let api = self.api::<EndpointSlice>(&key);
                Ok(Answer::Slice(Box::new(
                    api.replace(&key.name, &create, slice).await?,
                )))
            }
            WriteAction::DeleteSlice { key, uid } => {
                let parameters = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(uid.clone()),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                self.api::<EndpointSlice>(key)
                    .delete(&key.name, &parameters)
                    .await?;
                Ok(Answer::SliceGone(key.clone(), uid.clone()))
            }
            WriteAction::DeleteEndpoints { key } => {
                self.api::<Endpoints>(key)
                    .delete(&key.name, &DeleteParams::default())
                    .await?;
                Ok(Answer::Nothing)
            }
        }
    }

    async fn apply_status<K>(
        &self,
        key: &ObjectKey,
        uid: &str,
        kind: &str,
        status: &impl serde::Serialize,
    ) -> kube::Result<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + serde::de::DeserializeOwned
            + Debug,
    {
        let object = json!({
            "apiVersion": format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION),
            "kind": kind,
            "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": uid},
            "status": status,
        });
        self.api::<K>(key)
            .patch_status(&key.name, &applied(), &Patch::Apply(&object))
            .await
    }

    /// What an error means: some are as good as success, and after a conflict the object as it is is fetched.
    async fn judge(&self, action: &WriteAction, error: kube::Error) -> Result<Answer, WriteError> {
        let kube::Error::Api(status) = error else {
            return Err(WriteError::Busy(error.to_string()));
        };
        match status.code {
            404 => Ok(self.gone(action)),
            409 => match self.existing(action).await {
                Some(answer) => Ok(answer),
                None => Err(WriteError::Conflict(status.message)),
            },
            408 | 429 | 500..=599 => Err(WriteError::Busy(status.message)),
            _ => Err(WriteError::Refused(status.message)),
        }
    }

    fn gone(&self, action: &WriteAction) -> Answer {
        match action {
            WriteAction::DeleteSlice { key, uid } => Answer::SliceGone(key.clone(), uid.clone()),
            // The namespace or the object went away: the watch says so, and the App is planned again then.
            _ => Answer::Nothing,
        }
    }

    /// The object that was in the way of a creation: the index may never hear of it otherwise.
    async fn existing(&self, action: &WriteAction) -> Option<Answer> {
        match action {
            WriteAction::CreateStore(store) => {
                let key = ObjectKey::of(&store.metadata);
                let found = timely(self.api(&key).get_opt(&key.name)).await?;
                Some(Answer::Store(Box::new(found)))
            }
            WriteAction::CreateService(service) => {
                let key = ObjectKey::of(&service.metadata);
                let found = timely(self.api(&key).get_opt(&key.name)).await?;
                Some(Answer::Service(Box::new(found)))
            }
            WriteAction::CreateSlice(slice) => {
                let key = ObjectKey::of(&slice.metadata);
                let found = timely(self.api(&key).get_opt(&key.name)).await?;
                Some(Answer::Slice(Box::new(found)))
            }
            _ => None,
        }
    }
}

fn applied() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// A StoreClass of which only this is said.
fn class(metadata: serde_json::Value) -> serde_json::Value {
    json!({
        "apiVersion": format!("{}/{}", shoal_crds::GROUP, shoal_crds::VERSION),
        "kind": "StoreClass",
        "metadata": metadata,
    })
}

async fn timely<T>(request: impl Future<Output = kube::Result<Option<T>>>) -> Option<T> {
    tokio::time::timeout(TIMEOUT, request).await.ok()?.ok()?
}
