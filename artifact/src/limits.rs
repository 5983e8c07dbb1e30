//! Bounds on what is read. An artifact past one of them is refused with its name.
//!
//! None is wider than what a runtime takes: an app that is built is one that can be served.

/// An OCI manifest or index, in bytes.
pub const MANIFEST_BYTES: u64 = 4 << 20;
/// A config blob, a locked app or a `spin.toml`, in bytes.
pub const CONFIG_BYTES: u64 = 4 << 20;
/// A component or core module, in bytes.
pub const COMPONENT_BYTES: u64 = 256 << 20;
/// A layer of a container image as it is pulled, in bytes.
pub const LAYER_BYTES: u64 = 512 << 20;
/// All layers of a container image together once unpacked, in bytes.
pub const UNPACKED_BYTES: u64 = 2 << 30;
/// Entries in all layers of a container image together.
pub const ARCHIVE_ENTRIES: u64 = 100_000;
/// Layers of an image. Spin itself packs files into archives past 499.
pub const LAYERS: usize = 512;
/// Components of an app.
pub const COMPONENTS: usize = 64;
/// The name of a component, in bytes.
pub const COMPONENT_NAME_BYTES: usize = 253;
/// Routes of an app.
pub const ROUTES: usize = 1024;
/// A route, in bytes.
pub const ROUTE_BYTES: usize = 1024;
/// Segments of a route.
pub const ROUTE_SEGMENTS: usize = 64;
/// A label, or the name of an import or export, in bytes.
pub const NAME_BYTES: usize = 256;
/// Imports or exports of a component.
pub const EXTERNS: usize = 1024;
/// Variables in a component's environment.
pub const ENV_ENTRIES: usize = 1024;
/// The name of a variable, in bytes.
pub const ENV_NAME_BYTES: usize = 256;
/// All names and values of a component's environment together, in bytes.
pub const ENV_BYTES: usize = 1 << 20;
/// Store labels of a component.
pub const LABELS: usize = 64;
