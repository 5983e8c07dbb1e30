//! What guests are given to read, through each interface, and that it changes while they serve.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use shoal_runtime::{Assignment, Variables};

use crate::support::{TestNode, app, client::*};

/// Guest, and its path for one of its interfaces.
const INTERFACES: [(&str, &str); 5] = [
    ("variables", "config"),
    ("variables", "variables"),
    ("variables", "draft"),
    ("variables", "rc"),
    ("variables-v3", "v3"),
];

async fn text(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path).await;
    format!("{} {}", answer.status.as_u16(), answer.text())
}

/// The same app of each guest; another generation for each value.
fn with_token(token: &str) -> [Assignment; 2] {
    [("a", "variables"), ("b", "variables-v3")].map(|(name, guest)| given(app(name, guest), token))
}

/// The address of the app of that guest.
fn of([variables, v3]: [SocketAddr; 2], guest: &str) -> SocketAddr {
    if guest == "variables" { variables } else { v3 }
}

fn given(mut app: Assignment, token: &str) -> Assignment {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables: Variables = [pair("token", token), pair("db.url", "db://")]
        .into_iter()
        .collect();
    app.components[0].variables = variables;
    app.components[0].env = vec![pair("TOKEN", token)];
    app.generation = format!("generation-of-{token}");
    app
}

#[tokio::test]
async fn every_interface_gives_the_same_values() {
    let node = TestNode::start();
    let addresses = node.serve(with_token("one")).await;
    for (guest, interface) in INTERFACES {
        let address = of(addresses, guest);
        assert_eq!(
            text(address, &format!("/{interface}/token")).await,
            "200 one"
        );
        assert_eq!(
            text(address, &format!("/{interface}/db.url")).await,
            "200 db://"
        );
    }
    let address = of(addresses, "variables");
    for all in ["draft", "rc"] {
        assert_eq!(
            text(address, &format!("/{all}")).await,
            "200 db.url=db://\ntoken=one"
        );
    }
    assert_eq!(text(address, "/env/TOKEN").await, "200 one");
}

#[tokio::test]
async fn what_is_not_there_has_the_interfaces_own_error() {
    let node = TestNode::start();
    let [address, v3] = node.serve(with_token("one")).await;
    for (path, expected) in [
        (
            "/config/other",
            "404 provider: the component has no variable `other`",
        ),
        (
            "/variables/other",
            "404 undefined: the component has no variable `other`",
        ),
        ("/draft/other", "404 none"),
        ("/rc/Not%20a%20name", "404 none"),
    ] {
        assert_eq!(text(address, path).await, expected);
    }
    assert_eq!(
        text(v3, "/v3/other").await,
        "404 undefined: the component has no variable `other`"
    );
    for (address, interface, error) in [
        (address, "config", "invalid-key"),
        (address, "variables", "invalid-name"),
        (v3, "v3", "invalid-name"),
    ] {
        let answer = text(address, &format!("/{interface}/Not%20a%20name")).await;
        let expected = format!("404 {error}: `Not a name` is no name of a variable: ");
        assert!(answer.starts_with(&expected), "{answer}");
    }
}

#[tokio::test]
async fn values_change_without_new_code_and_without_a_failed_request() {
    let node = TestNode::start();
    let addresses = node.serve(with_token("v0")).await;
    let fetches = node.guests.fetches.load(Ordering::SeqCst);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = INTERFACES
        .map(|(guest, interface)| {
            let address = of(addresses, guest);
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let path = format!("/{interface}/token");
                let mut seen = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let answer = get(address, &path).await;
                    assert!(answer.status == 200 && !answer.broken, "{answer:?}");
                    seen.push(answer.text());
                }
                seen.push(get(address, &path).await.text());
                seen
            })
        })
        .into();
    for version in 1..=10 {
        let same = node.serve(with_token(&format!("v{version}"))).await;
        assert_eq!(same, addresses, "the ports stay open");
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        let seen = client.await.unwrap();
        let version = |text: &String| text[1..].parse::<u32>().unwrap();
        assert!(seen.is_sorted_by_key(version), "{seen:?}");
        assert_eq!(seen.last().unwrap(), "v10");
    }
    assert_eq!(
        node.guests.fetches.load(Ordering::SeqCst),
        fetches,
        "the code is that which was there"
    );
}
