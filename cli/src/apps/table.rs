//! Apps as a table.

use k8s_openapi::jiff::Timestamp;

use super::row::{Node, Row};
use crate::table::{age, aligned, visible};

/// Nodes that are named before the rest is counted.
const NODES_SHOWN: usize = 3;

/// The table, and below it the full reason of every app that has one.
pub fn text(rows: &[Row], with_namespace: bool, now: Timestamp) -> String {
    let mut titles = vec!["NAME", "READY", "STATUS", "NODES", "IMAGE", "URL", "AGE"];
    if with_namespace {
        titles.insert(0, "NAMESPACE");
    }
    let mut lines = vec![titles.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let mut line = cells(row, now);
        if with_namespace {
            line.insert(0, row.namespace.clone());
        }
        lines.push(line);
    }
    let mut text = aligned(&lines);
    for row in rows {
        if let (Some(reason), Some(message)) = (&row.reason, &row.message) {
            let place = if with_namespace {
                format!("{}/", row.namespace)
            } else {
                String::new()
            };
            text.push_str(&format!("\n{place}{}: {reason}\n", row.name));
            for line in message.lines() {
                text.push_str(&format!("  {}\n", visible(line)));
            }
            for node in row.nodes.iter().filter(|node| !node.ready) {
                let reason = node.reason.as_deref().unwrap_or("not ready");
                text.push_str(&format!("  {}: {reason}\n", node.name));
            }
        }
    }
    text
}

fn cells(row: &Row, now: Timestamp) -> Vec<String> {
    let status = match (&row.reason, row.is_ready) {
        (Some(reason), _) => reason.clone(),
        (None, true) => "Ready".into(),
        (None, false) => "NotReady".into(),
    };
    vec![
        row.name.clone(),
        row.ready.clone(),
        status,
        nodes(&row.nodes),
        row.images.join(","),
        row.url.clone().unwrap_or_else(|| "-".into()),
        row.created.map_or("-".into(), |created| age(created, now)),
    ]
}

/// Nodes that serve the app.
fn nodes(nodes: &[Node]) -> String {
    let mut names: Vec<&str> = nodes
        .iter()
        .filter(|node| node.ready)
        .map(|node| node.name.as_str())
        .collect();
    names.sort_unstable();
    let rest = names.len().saturating_sub(NODES_SHOWN);
    names.truncate(NODES_SHOWN);
    match (names.is_empty(), rest) {
        (true, _) => "-".into(),
        (false, 0) => names.join(","),
        (false, rest) => format!("{} +{rest}", names.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Row {
        Row {
            namespace: "shop".into(),
            name: name.into(),
            ready: "2/2".into(),
            is_ready: true,
            images: vec!["registry.example/hello:1".into()],
            url: Some("http://hello.shop".into()),
            nodes: vec![
                Node {
                    name: "node3".into(),
                    ready: true,
                    reason: None,
                },
                Node {
                    name: "node1".into(),
                    ready: true,
                    reason: None,
                },
            ],
            stores: vec![],
            reason: None,
            message: None,
            created: Some(now() - k8s_openapi::jiff::SignedDuration::from_secs(300)),
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn columns_line_up() {
        let text = text(&[row("hello"), row("a-longer-name")], false, now());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("NAME            READY   STATUS"));
        assert!(lines[1].starts_with("hello           2/2     Ready    node1,node3"));
        assert!(lines[2].ends_with("5m"));
    }

    #[test]
    fn why_an_app_is_not_ready_stands_below_with_its_nodes() {
        let mut broken = row("broken");
        broken.is_ready = false;
        broken.reason = Some("LinkFailed".into());
        broken.message = Some("component `a` does not link".into());
        broken.nodes[0] = Node {
            name: "node3".into(),
            ready: false,
            reason: Some("LinkFailed".into()),
        };
        let text = text(&[broken], true, now());
        assert!(text.contains(
            "\nshop/broken: LinkFailed\n  component `a` does not link\n  node3: LinkFailed\n"
        ));
    }

    #[test]
    fn an_object_cannot_steer_the_terminal() {
        let mut row = row("hello");
        row.images = vec!["\u{1b}[2J".into()];
        assert!(!text(&[row], false, now()).contains('\u{1b}'));
    }

    #[test]
    fn many_nodes_are_counted() {
        let list: Vec<Node> = (1..=5)
            .map(|n| Node {
                name: format!("n{n}"),
                ready: true,
                reason: None,
            })
            .collect();
        assert_eq!(nodes(&list), "n1,n2,n3 +2");
        assert_eq!(nodes(&[]), "-");
    }
}
