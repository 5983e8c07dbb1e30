//! All that this node was told to run, as it was told.

use std::collections::{BTreeMap, BTreeSet};

use shoal_protocol::v1;

use crate::assignment::{AppRef, Assignments, PortRange, app_ref, parse};

/// The sum of all assignments that were obeyed.
#[derive(Clone, Default)]
pub(super) struct Desired {
    apps: BTreeMap<AppRef, v1::Assignment>,
    code_keys: Vec<bytes::Bytes>,
}

impl Desired {
    /// Takes a message in; gives what the node is to do.
    pub(super) fn apply(&mut self, message: v1::Assignments) -> Assignments {
        let v1::Assignments {
            full,
            set,
            removed,
            code_keys,
            keep,
        } = message;
        if !code_keys.is_empty() {
            self.code_keys = code_keys;
        }
        let keep: Vec<AppRef> = keep.into_iter().map(app_ref).collect();
        let removed: Vec<AppRef> = removed.into_iter().map(app_ref).collect();
        if full {
            let keep: BTreeSet<&AppRef> = keep.iter().collect();
            self.apps.retain(|app, _| keep.contains(app));
        }
        for app in &removed {
            self.apps.remove(app);
        }
        let changes = Assignments {
            full,
            set: set
                .iter()
                .map(|a| parse(a.clone(), &PortRange::cluster()))
                .collect(),
            removed,
            keep,
            code_keys: self.keys(),
        };
        for assignment in set {
            let app = app_ref(assignment.app.clone().unwrap_or_default());
            self.apps.insert(app, assignment);
        }
        changes
    }

    /// Everything, for a node that runs nothing yet.
    pub(super) fn all(&self) -> Assignments {
        let parsed = self
            .apps
            .values()
            .map(|a| parse(a.clone(), &PortRange::cluster()));
        Assignments {
            full: true,
            set: parsed.collect(),
            code_keys: self.keys(),
            ..Assignments::default()
        }
    }

    /// Everything as one message.
    pub(super) fn message(&self) -> v1::Assignments {
        v1::Assignments {
            full: true,
            set: self.apps.values().cloned().collect(),
            code_keys: self.code_keys.clone(),
            ..v1::Assignments::default()
        }
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        self.code_keys.iter().map(|key| key.to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(full: bool, set: &[&str], removed: &[&str], keep: &[&str]) -> v1::Assignments {
        let app = |name: &&str| v1::AppRef {
            name: (*name).into(),
            ..v1::AppRef::default()
        };
        let assignment = |name| v1::Assignment {
            app: Some(app(name)),
            ..v1::Assignment::default()
        };
        v1::Assignments {
            full,
            set: set.iter().map(assignment).collect(),
            removed: removed.iter().map(app).collect(),
            code_keys: Vec::new(),
            keep: keep.iter().map(app).collect(),
        }
    }

    fn names(desired: &Desired) -> String {
        desired.apps.keys().map(|app| app.name.as_str()).collect()
    }

    #[test]
    fn full_messages_replace_and_others_change() {
        let mut desired = Desired::default();
        desired.apply(message(true, &["a", "b"], &[], &[]));
        desired.apply(message(false, &["c"], &["a"], &[]));
        assert_eq!(names(&desired), "bc");
        desired.apply(message(true, &["d"], &[], &["c", "unknown"]));
        assert_eq!(
            names(&desired),
            "cd",
            "what is to be kept stays, and nothing is made up"
        );
    }

    #[test]
    fn keys_stay_until_others_come() {
        let mut desired = Desired::default();
        let keys = v1::Assignments {
            code_keys: vec!["k".into()],
            ..message(true, &[], &[], &[])
        };
        desired.apply(keys);
        assert_eq!(
            desired.apply(message(true, &[], &[], &[])).code_keys,
            [b"k".to_vec()]
        );
        let again = desired.message();
        let mut restored = Desired::default();
        restored.apply(again);
        assert_eq!(restored.all().code_keys, [b"k".to_vec()]);
    }
}
