//! PersistentVolumes made beforehand: folders of the machine, owned by the user that Restricted
//! pods run as.
//!
//! Every node sees the same folder, as it would a network disk, so a pod finds its volume again
//! wherever it is scheduled.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::layout::{Layout, make_folder};

/// The owner of the volumes: the usual user and group of non-root images.
pub const OWNER: u32 = 65532;
/// The default StorageClass. It provisions nothing: claims bind to the volumes made here, once
/// a pod uses them.
pub const STORAGE_CLASS: &str = "local";
/// The sizes in GiB, a volume each. A claim takes the smallest that is large enough.
const SIZES: [u32; 16] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 5, 5, 5, 10, 10, 10];

/// Makes the folders and returns the objects for them: the StorageClass and the volumes.
///
/// # Errors
/// A folder cannot be made or given to its owner.
pub fn create(layout: &Layout) -> Result<Vec<Value>> {
    let mut objects = vec![json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
    })];
    for (name, size) in names().zip(SIZES) {
        let folder = layout.volumes().join(&name);
        make_empty(&folder)?;
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "storageClassName": STORAGE_CLASS,
                "capacity": {"storage": format!("{size}Gi")},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": folder, "type": "Directory"},
            },
        }));
    }
    Ok(objects)
}

/// Makes the folder of a volume as it was at first: empty, and its owner's.
///
/// # Errors
/// It cannot be removed or made.
pub fn make_empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    make_folder(folder)?;
    chown(folder, Some(OWNER), Some(OWNER))
        .with_context(|| format!("cannot give {} to user {OWNER}", folder.display()))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o770))
        .with_context(|| format!("cannot set the mode of {}", folder.display()))
}

/// The volumes of a `PersistentVolumeList` that no claim uses any more.
pub fn released(list: &Value) -> Vec<String> {
    let items = list.get("items").and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter(|volume| volume.pointer("/status/phase") == Some(&json!("Released")))
        .filter_map(|volume| volume.pointer("/metadata/name")?.as_str())
        .filter(|name| names().any(|ours| ours == *name))
        .map(str::to_owned)
        .collect()
}

fn names() -> impl Iterator<Item = String> {
    (1..=SIZES.len()).map(|number| format!("local-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_released_volumes_are_found() {
        let volume = |name: &str, phase: &str| json!({"metadata": {"name": name}, "status": {"phase": phase}});
        let list = json!({"items": [
            volume("local-1", "Bound"),
            volume("local-2", "Released"),
            volume("somebody-elses", "Released"),
        ]});
        assert_eq!(released(&list), ["local-2"]);
        assert!(released(&json!({})).is_empty());
    }
}
