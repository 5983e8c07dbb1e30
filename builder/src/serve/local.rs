//! The services on a Unix socket, for a runtime without a cluster.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        net::UnixListener as StdListener,
    },
    path::Path,
};

use shoal_protocol::server;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

use super::service::{Access, ServeError, Service};
use crate::BuilderHandle;

/// Serves whoever can open the socket at `path`, until `shutdown`. Its folder must be its owner's
/// only; it is made where it is missing. Plain gRPC, no TLS.
///
/// # Errors
/// The socket cannot be made, its folder is open to others, or the server fails.
pub async fn serve_local(
    builder: BuilderHandle,
    path: &Path,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let failed = |source| ServeError::Socket {
        path: path.display().to_string(),
        source,
    };
    let listener = listen(path).map_err(failed)?;
    let service = Service::new(builder, Access::Local);
    let served = server::builder()
        .add_service(service.builder_server())
        .add_service(service.code_server())
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), shutdown)
        .await;
    let _ = fs::remove_file(path);
    Ok(served?)
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mode = folder.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let message = format!("its folder has mode {mode:o}; it must be its owner's only (700)");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    // Left behind by a crash: nobody else can have made it in this folder.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}
