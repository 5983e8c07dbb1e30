//! How a component is called: by the handler that it exports.

use wasmtime::component::InstancePre;
use wasmtime_wasi_http::{p2::bindings::ProxyPre, p3::bindings::ServicePre};

use crate::host::InstanceState;

/// Makes instances, by the version of WASI that their handler is of.
pub enum Handler {
    /// `wasi:http/incoming-handler@0.2`
    Wasi02(ProxyPre<InstanceState>),
    /// `wasi:http/handler@0.3`
    Wasi03(ServicePre<InstanceState>),
}

impl Handler {
    /// The handler of a component; of one that has both the newer.
    ///
    /// # Errors
    /// It has none of them, or one that is not as WASI has it.
    pub(super) fn of(pre: InstancePre<InstanceState>) -> Result<Self, String> {
        let newer = match ServicePre::new(pre.clone()) {
            Ok(service) => return Ok(Self::Wasi03(service)),
            Err(error) => error,
        };
        ProxyPre::new(pre).map(Self::Wasi02).map_err(|older| {
            format!(
                "it exports neither `wasi:http/handler@0.3` ({newer:#}) nor \
                 `wasi:http/incoming-handler@0.2` ({older:#})"
            )
        })
    }
}
