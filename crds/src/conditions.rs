//! The words of a status: every condition type and every reason, in one list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One condition, with the meaning of its namesake in `metav1`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// `metadata.generation` that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When its status last changed (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, in one word of the documented list.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// What is so, with the exact names, and what to do about it.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known now.
    Unknown,
}

impl ConditionStatus {
    /// As `metav1` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Makes an enum of words, each with what it means.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $text:literal])+ $word:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $text])+ $word,)+ }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$word,)+];

            /// The word as it stands in a status.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)+ }
            }

            /// What it means and what to do, for the reference page.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$word => concat!($($text,)+).trim_ascii(),)+ }
            }

            /// The word that stands in a status as `text`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Types of conditions.
    ConditionType {
        /// The image reference was resolved to a digest with this App's own credentials.
        ImageResolved,
        /// The image was pulled, inspected and compiled.
        Built,
        /// Every store label of the app has a Store.
        StoresBound,
        /// At least one node serves the app.
        Available,
        /// The current revision was served on all wanted nodes.
        Ready,
        /// The operator is at work on the current generation (kstatus).
        Reconciling,
        /// Nothing more happens until someone changes something (kstatus).
        Stalled,
        /// A Store's id is taken by an older Store, or a StoreClass is the default for a label
        /// with no more right than another.
        Conflict,
        /// A StoreClass is to be deleted and waits for its last Store.
        InUse,
        /// The data of a Store goes, or waits to: its App was deleted, or the Store is. See
        /// `spec.reclaimPolicy` and `status.deleteAt`.
        Deleting,
    }
}

words! {
    /// Reasons of conditions, of nodes in `status.nodes`, and of Events.
    Reason {
        /// The image was resolved.
        Resolved,
        /// The image was built.
        BuildSucceeded,
        /// Every label has its Store.
        Bound,
        /// The app needs no store.
        NoStoresNeeded,
        /// Nodes serve the app.
        EndpointsReady,
        /// The current revision is served on all wanted nodes.
        AllNodesReady,
        /// Ready before, served on fewer nodes than wanted now.
        Degraded,
        /// `spec.replicas` is 0.
        Suspended,
        /// Work is under way.
        Progressing,
        /// The image is being resolved.
        Resolving,
        /// The image is being pulled and compiled.
        Building,
        /// An earlier step has not succeeded yet.
        Waiting,
        /// No node serves the app.
        NoEndpoints,
        /// No node may serve the app: none runs a runtime, or `nodeSelector` matches none.
        NoEligibleNodes,
        /// The new revision failed; the one before it goes on serving.
        RevisionFailed,
        /// The image reference is not a valid OCI reference.
        InvalidImageReference,
        /// The registry does not have the image.
        ImageNotFound,
        /// The registry refuses the App's credentials, or asks for some. See `imagePullSecrets`.
        ImagePullUnauthorized,
        /// A pull secret does not exist, or is not of type kubernetes.io/dockerconfigjson.
        PullSecretInvalid,
        /// The registry cannot be reached, or answers with an error. Tried again by itself.
        RegistryUnavailable,
        /// The image is none of the formats that are served, or larger than its bounds.
        UnsupportedArtifact,
        /// The app needs something that this version does not serve; the message names it.
        UnsupportedFeature,
        /// A component's bytes are no valid WebAssembly.
        InvalidWasm,
        /// A component imports an interface that this version does not implement.
        UnsupportedImport,
        /// A component exports no HTTP handler that is served.
        NoHandler,
        /// A route is not valid, or two components have the same one.
        InvalidRoute,
        /// The compiler ended abnormally on a component.
        CompilerCrashed,
        /// Compiling a component took longer than allowed.
        CompileTimeout,
        /// Compiling a component took more memory or processor time than allowed.
        CompileLimitExceeded,
        /// The builder cannot be reached. Tried again by itself.
        BuilderUnavailable,
        /// The store pod has no volume: no StorageClass is the cluster's default. Make one, or install with
        /// manifests/install-ephemeral.yaml. Apps that are bound already are not concerned.
        NoPersistentStorage,
        /// No class answers a label that a component opens.
        NoStoreForLabel,
        /// The Store for a label is not usable; the message says why.
        StoreUnusable,
        /// The Store that `spec.stores` names does not exist in the App's namespace.
        StoreNotFound,
        /// Every label has its Store; the built-in class `embedded` cannot be reached or written to, as the message says.
        /// Over by itself once it can. Other classes say it themselves.
        StoreClassNotReady,
        /// The StoreClass that a Store or an App names does not exist.
        StoreClassNotFound,
        /// The StoreClass is not for this namespace, see its `namespaceSelector`.
        StoreClassNotAllowed,
        /// The StoreClass is being deleted: nothing new is bound to it.
        StoreClassDeleting,
        /// The StoreClass or Store is of another interface, or the Store is of another class.
        StoreMismatch,
        /// Two StoreClasses are the default for one label with equal right. Change one of them.
        AmbiguousDefault,
        /// Every node that uses the StoreClass reaches its backend; where none does, the store pod.
        Reachable,
        /// No node uses the StoreClass, and the store pod has said nothing of it.
        Unused,
        /// The backend of a StoreClass does not answer.
        Unreachable,
        /// The backend of a StoreClass refuses the credentials.
        CredentialsRefused,
        /// The backend of a StoreClass does not prove by its certificate that it is the one.
        TlsFailed,
        /// The backend of a StoreClass takes no writes.
        ReadOnly,
        /// The settings of a StoreClass are of no use: an URL that is none, or one that leads to where its data is not.
        InvalidConfiguration,
        /// A Secret that a StoreClass names does not exist in Shoal's namespace.
        SecretNotFound,
        /// A Secret that a StoreClass names does not have the key, or not as text.
        SecretInvalid,
        /// A Secret that a StoreClass names cannot be read. Tried again by itself.
        SecretUnreadable,
        /// Stores name the StoreClass that is to be deleted.
        StoresRemain,
        /// A variable that the app declares has neither a default nor a value. See `variables`.
        VariableMissing,
        /// A Secret, a ConfigMap or a key of one that the App refers to is not there. Looked for again
        /// by itself.
        ValueNotFound,
        /// A Secret or ConfigMap that the App refers to cannot be read. Tried again by itself.
        ValueUnreadable,
        /// A value of the environment or of a variable is none that guests can be given.
        ValueInvalid,
        /// Ready before; a value is not there any more, and the app serves on with those that it had.
        LastValuesKept,
        /// A Service of the App's name exists and is not the App's. It was left as it is.
        ServiceNameTaken,
        /// The API server refused the App's Service; the message says why.
        ServiceRejected,
        /// The API server refused the App's EndpointSlices; the message says why.
        EndpointsRejected,
        /// A selector was removed from the App's Service.
        SelectorRemoved,
        /// The pool has no free port.
        NoFreePort,
        /// The node is fetching the app's code.
        Fetching,
        /// The node could not fetch the app's code. Tried again by itself.
        CodeUnavailable,
        /// The code that a node fetched does not carry the builder's signature.
        BadSignature,
        /// The node could not load or link the app's code.
        LinkFailed,
        /// What the app needs of the node has no room there: all of a budget is in use. The message names it.
        NodeFull,
        /// The node could not listen on the app's port.
        PortUnavailable,
        /// The assignment that a node got is not valid.
        InvalidAssignment,
        /// A Store with the same id is older.
        DuplicateId,
        /// A key, value or Store of the app would go over a limit of its class; the message names the limit.
        StoreLimitReached,
        /// The app used a Store more often than `limits.opsPerSecond` of its class allows.
        StoreRateExceeded,
        /// The App was deleted. The Store's data goes at `status.deleteAt`, unless an App of that
        /// name is made again before.
        AppDeleted,
        /// Apps still use the Store that is to be deleted.
        StillUsed,
        /// The data of the Store is being removed; then the Store goes.
        Purging,
        /// The data of the Store cannot be removed now; the message says why. Tried again by itself.
        PurgeFailed,
        /// A person read the Store's entries; the message says who, and how many.
        Exported,
        /// A person wrote entries into the Store; the message says who, and how many.
        Imported,
        /// A person gave the Store data whose own Store was gone; the message says who.
        Adopted,
        /// A person removed data whose Store was gone; the message says who.
        Purged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_says_what_it_means() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
            assert!(
                reason.meaning().ends_with('.'),
                "{reason}: {}",
                reason.meaning()
            );
        }
        assert_eq!(Reason::parse("Unheard"), None);
    }
}
