//! Watches that feed the index.

pub mod follow;
mod observe;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::watcher::Config;
use shoal_crds::{App, RuntimePool, Store, StoreClass};
use shoal_plan::{Index, ObjectKey, STORE_CLAIM, Watched};

use crate::health::Health;
use crate::world::World;
use follow::{Change, follow, follow_guarded};
use observe::Observe;

/// Label that runtime pods carry.
const RUNTIME_PODS: &str = "app.kubernetes.io/name=shoal-runtime";
const WATCHES: usize = 10;

/// Everything that is watched, for as long as the future is polled.
///
/// Services and slices are watched whole, not by a label of ours: a Service with an App's name that is not ours and
/// slices that a foreign selector left behind must be seen. The index keeps a few words of each.
pub async fn all(client: kube::Client, namespace: &str, world: Arc<World>, health: Arc<Health>) {
    let sources = Sources {
        world,
        warm: Arc::new(Warm {
            lists: AtomicUsize::new(0),
            health,
        }),
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    tokio::join!(
        follow_guarded::<App>(Api::all(client.clone()), Config::default(), sources.sink()),
        follow_guarded::<Store>(Api::all(client.clone()), Config::default(), sources.sink()),
        follow_guarded::<StoreClass>(Api::all(client.clone()), Config::default(), sources.sink()),
        follow_guarded::<RuntimePool>(Api::all(client.clone()), Config::default(), sources.sink()),
        follow(
            Api::<Service>::all(client.clone()),
            Config::default(),
            sources.sink()
        ),
        follow(
            Api::<EndpointSlice>::all(client.clone()),
            Config::default(),
            sources.sink()
        ),
        follow(
            Api::<Node>::all(client.clone()),
            Config::default(),
            sources.sink()
        ),
        follow(pods, Config::default().labels(RUNTIME_PODS), sources.sink()),
        // By name, as the Role allows it.
        follow(
            claims,
            Config::default().fields(&format!("metadata.name={STORE_CLAIM}")),
            sources.sink()
        ),
        namespaces_by_metadata(namespaces, sources.sink()),
    );
}

fn namespaces_by_metadata(
    api: Api<PartialObjectMeta<Namespace>>,
    mut sink: impl FnMut(Change<Namespace>),
) -> impl Future<Output = ()> {
    let whole = |partial: PartialObjectMeta<Namespace>| Namespace {
        metadata: partial.metadata,
        ..Namespace::default()
    };
    follow(api, Config::default(), move |change| {
        sink(match change {
            Change::Apply(object) => Change::Apply(whole(object)),
            Change::Delete(object) => Change::Delete(whole(object)),
            Change::Reset(objects, left) => {
                Change::Reset(objects.into_iter().map(whole).collect(), left)
            }
            Change::Unreadable(metadata) => Change::Unreadable(metadata),
            Change::Gone(metadata) => Change::Gone(metadata),
        });
    })
}

/// Counts the kinds whose first list is in.
struct Warm {
    lists: AtomicUsize,
    health: Arc<Health>,
}

struct Sources {
    world: Arc<World>,
    warm: Arc<Warm>,
}

impl Sources {
    fn sink<K: Watched + Observe>(&self) -> impl FnMut(Change<K>) + use<K> {
        let (world, warm) = (self.world.clone(), self.warm.clone());
        let mut listed = false;
        move |change| {
            let reset = matches!(change, Change::Reset(..));
            feed(&world, change);
            if reset && !std::mem::replace(&mut listed, true) {
                let lists = warm.lists.fetch_add(1, Ordering::AcqRel) + 1;
                if lists == WATCHES {
                    warm.health.set_warm();
                    world.wake();
                }
            }
        }
    }
}

fn feed<K: Watched + Observe>(world: &World, change: Change<K>) {
    match change {
        Change::Apply(mut object) => {
            trim(&mut object);
            object.observe(world);
            world.change(|index| index.apply(object));
        }
        Change::Delete(object) => {
            object.forget(world);
            world.change(|index| index.delete(&object));
        }
        Change::Unreadable(metadata) => {
            let (key, uid) = named(&metadata);
            world.change(|index| index.leave::<K>(&key, &uid));
        }
        Change::Gone(metadata) => {
            K::forget_named(ObjectKey::of(&metadata), world);
            world.change(|index| index.delete_by_metadata::<K>(&metadata));
        }
        Change::Reset(mut objects, left) => {
            K::reset(&objects, world);
            for object in &mut objects {
                trim(object);
                object.observe(world);
            }
            let left: Vec<_> = left.iter().map(named).collect();
            world.change(|index: &mut Index| index.reset(objects, &left));
        }
    }
}

fn named(metadata: &ObjectMeta) -> (ObjectKey, String) {
    let uid = metadata.uid.clone().unwrap_or_default();
    (ObjectKey::of(metadata), uid)
}

/// `managedFields` are the greater part of many objects, and nothing here reads them.
fn trim<K: Observe>(object: &mut K) {
    object.metadata_mut().managed_fields = None;
}
