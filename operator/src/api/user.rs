//! Who sends a request, as the API server says.

use std::collections::BTreeMap;

/// As `authentication.k8s.io` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    /// Name; never empty.
    pub(super) name: String,
    /// UID, if it has one.
    pub(super) uid: Option<String>,
    /// Groups.
    pub(super) groups: Vec<String>,
    /// What else authenticators say.
    pub(super) extra: BTreeMap<String, Vec<String>>,
}
