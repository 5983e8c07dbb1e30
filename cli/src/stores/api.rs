//! Requests to the aggregated API `runtime.shoal.dev`.

use anyhow::{Context as _, Result};
use http::{Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shoal_crds::{RUNTIME_GROUP, RUNTIME_VERSION};

use crate::cluster::Cluster;

/// A request; each piece of `path` is one step of it.
pub(super) fn request(
    method: Method,
    path: &[&str],
    query: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>> {
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut uri = format!("/apis/{RUNTIME_GROUP}/{RUNTIME_VERSION}");
    for step in path {
        uri = format!("{uri}/{}", escaped(step));
    }
    for (number, (name, value)) in query.iter().enumerate() {
        let mark = if number == 0 { '?' } else { '&' };
        uri = format!("{uri}{mark}{name}={}", escaped(value));
    }
    Request::builder()
        .method(method)
        .uri(uri)
        .body(body)
        .context("cannot make the request")
}

/// What went wrong.
pub(super) fn explained(cluster: &Cluster, error: kube::Error) -> anyhow::Error {
    cluster.explained(
        error,
        "the API runtime.shoal.dev, which is optional: apply the APIService of manifests/install.yaml, \
         and see `kubectl get apiservice v1alpha1.runtime.shoal.dev`",
    )
}

/// Whether the same request may do better in a moment.
pub(super) fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_stay_one_step_and_one_value() {
        let path = ["namespaces", "a/../b", "stores", "x?y", "export"];
        let request = request(Method::GET, &path, &[("after", "k&é=#")], Vec::new()).unwrap();
        assert_eq!(
            request.uri(),
            "/apis/runtime.shoal.dev/v1alpha1/namespaces/a%2F%2E%2E%2Fb/stores/x%3Fy/export\
             ?after=k%26%C3%A9%3D%23"
        );
    }
}
