//! Reading from the API server, fast and without a TLS library: `curl` has one.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::address::API_PORT;
use crate::command;
use crate::pki::Pki;

/// Reads `path` (such as `/api/v1/nodes`) as the administrator.
///
/// # Errors
/// The API server does not answer within 5 s, or with another status than 2xx.
pub fn get(pki: &Pki, path: &str) -> Result<String> {
    let admin = pki.pair("admin");
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--max-time",
        "5",
        "--noproxy",
        "*",
    ])
    .arg("--cacert")
    .arg(pki.pair("ca").certificate)
    .arg("--cert")
    .arg(admin.certificate)
    .arg("--key")
    .arg(admin.key)
    .arg(format!("https://127.0.0.1:{API_PORT}{path}"))
    .stdin(Stdio::null());
    command::finish(&mut curl)
}

/// Reads an object or a list.
///
/// # Errors
/// As [`get`]; or the answer is no JSON.
pub fn get_json(pki: &Pki, path: &str) -> Result<Value> {
    let text = get(pki, path)?;
    serde_json::from_str(&text).with_context(|| format!("{path} answers no JSON"))
}

/// Whether every item of a `NodeList` is Ready, and there are `wanted` of them; if not, why.
///
/// # Errors
/// Names the nodes that are not there or not Ready.
pub fn nodes_ready(list: &Value, wanted: &[String]) -> std::result::Result<(), String> {
    let items = list
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let ready: Vec<_> = items
        .iter()
        .filter(|node| is_ready(node))
        .filter_map(|node| node.pointer("/metadata/name")?.as_str())
        .collect();
    let absent: Vec<_> = wanted
        .iter()
        .filter(|name| !ready.contains(&name.as_str()))
        .map(String::as_str)
        .collect();
    if absent.is_empty() {
        Ok(())
    } else {
        Err(format!("not Ready: {}", absent.join(", ")))
    }
}

fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(name: &str, ready: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    #[test]
    fn nodes_that_are_absent_or_not_ready_are_named() {
        let list = json!({"items": [node("node1", "True"), node("node2", "Unknown")]});
        let wanted = ["node1", "node2", "node3"].map(str::to_owned);
        assert_eq!(
            nodes_ready(&list, &wanted),
            Err("not Ready: node2, node3".to_owned())
        );
        assert_eq!(nodes_ready(&list, &wanted[..1]), Ok(()));
    }
}
