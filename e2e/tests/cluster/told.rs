//! All that Shoal tells people: where no secret may stand.

use shoal_e2e::{SYSTEM, json, kubectl, try_kubectl};

/// What every part logs, logged before its last restart, and counts in its metrics, each with where it is
/// from.
pub(crate) fn by_the_parts() -> Vec<(String, String)> {
    let list = json(&["-n", SYSTEM, "pods"]).unwrap_or_default();
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    assert!(!pods.is_empty(), "Shoal has pods");
    let names = pods
        .iter()
        .filter_map(|pod| pod["metadata"]["name"].as_str());
    names.flat_map(by).collect()
}

fn by(pod: &str) -> Vec<(String, String)> {
    let logs = ["-n", SYSTEM, "logs", pod, "--all-containers"];
    let metrics = format!("/api/v1/namespaces/{SYSTEM}/pods/{pod}:9090/proxy/metrics");
    let metrics = kubectl(&["get", "--raw", &metrics]);
    assert!(
        metrics.contains("# TYPE shoal_"),
        "metrics of {pod}: {metrics}"
    );
    let mut told = vec![
        (format!("the log of {pod}"), kubectl(&logs)),
        (format!("metrics of {pod}"), metrics),
    ];
    let previous = try_kubectl(&[&logs[..], &["--previous"]].concat(), "");
    // Most containers were never started again.
    if previous.ok {
        told.push((format!("the former log of {pod}"), previous.stdout));
    }
    told
}
