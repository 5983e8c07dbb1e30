//! What the WIT says.

#![allow(missing_docs, reason = "generated; the WIT documents it")]

wasmtime::component::bindgen!({
    path: "../stores/wit/blobstore",
    world: "blobstore",
    imports: { default: async | trappable },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:blobstore/types@0.2.0-draft.incoming-value": crate::host::blobstore::IncomingValue,
        "wasi:blobstore/types@0.2.0-draft.outgoing-value": crate::host::blobstore::OutgoingValue,
        "wasi:blobstore/container@0.2.0-draft.container": crate::host::blobstore::Container,
        "wasi:blobstore/container@0.2.0-draft.stream-object-names": crate::host::blobstore::ObjectNames,
    },
});

pub use self::wasi::blobstore::{blobstore, container, types};
