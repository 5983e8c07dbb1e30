//! Requests and responses.

use shoal_runtime::Assignment;

use crate::support::{TestNode, app, client::*, component};

fn two_components() -> Assignment {
    let mut app = app("shop", "hello");
    app.components = vec![
        component("front", "hello-v1", "/"),
        component("api", "echo", "/api/..."),
        component("item", "echo", "/items/:id/..."),
    ];
    app
}

#[tokio::test]
async fn a_guest_answers() {
    let node = TestNode::start();
    let [hello] = node.serve([app("hello", "hello")]).await;
    let answer = get(hello, "/").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.broken && !answer.body.is_empty());
    assert!(!answer.header("date").is_empty());
    assert_eq!(
        answer.header("proxy-status"),
        "",
        "only responses of the runtime have it"
    );
}

#[tokio::test]
async fn each_route_reaches_its_component_and_others_none() {
    let node = TestNode::start();
    let [shop] = node.serve([two_components()]).await;
    assert_eq!(get(shop, "/").await.text(), "v1");
    assert_eq!(post(shop, "/api/x", "body").await.text(), "body");
    let nowhere = get(shop, "/nowhere").await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(
        nowhere.header("proxy-status"),
        "shoal; error=destination_not_found"
    );
    assert_eq!(nowhere.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn a_guest_learns_how_it_was_reached_and_clients_cannot_pretend() {
    let node = TestNode::start();
    let [shop] = node.serve([two_components()]).await;
    let spoofed = [
        ("spin-client-addr", "9.9.9.9"),
        ("spin-component-route", "/admin"),
        ("x-own", "1"),
    ];
    let answer = send(shop, request("GET", "/api/headers?q=1", &spoofed), "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let [plain] = node.serve([app("plain", "echo")]).await;
    let answer = send(plain, request("GET", "/headers?q=1", &spoofed), "")
        .await
        .json();
    let headers = answer["headers"].as_array().unwrap();
    let all = |name: &str| -> Vec<String> {
        let found = headers.iter().filter(|pair| pair[0] == name);
        found
            .map(|pair| pair[1].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(all("spin-path-info"), ["/headers"]);
    assert_eq!(all("spin-full-url"), ["http://app.test/headers?q=1"]);
    assert_eq!(all("spin-matched-route"), ["/..."]);
    assert_eq!(all("spin-raw-component-route"), ["/..."]);
    assert_eq!(all("spin-component-route"), [""]);
    assert_eq!(all("spin-base-path"), ["/"]);
    assert_eq!(all("x-own"), ["1"]);
    let client = all("spin-client-addr");
    assert!(
        client.len() == 1 && client[0].starts_with("127.0.0.1:"),
        "{client:?}"
    );
    assert_eq!(answer["authority"], "app.test");
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let node = TestNode::start();
    let [echo] = node.serve([app("echo", "echo")]).await;
    let mut client = Raw::connect(echo).await;
    client
        .write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for part in ["one", "two", "three"] {
        client
            .write(&format!("{:x}\r\n{part}\r\n", part.len()))
            .await;
        // It comes back before the next part is sent.
        assert!(client.read_until(part).await.contains(part));
    }
    client.write("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_large_body_comes_back_whole() {
    let node = TestNode::start();
    let [echo] = node.serve([app("echo", "echo")]).await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let answer = post(echo, "/", body.clone()).await;
    assert!(!answer.broken && answer.body == body);
}

#[tokio::test]
async fn many_requests_share_a_connection_and_each_gets_its_own_answer() {
    let node = TestNode::start();
    let [echo] = node.serve([app("echo", "echo")]).await;
    let mut client = Raw::connect(echo).await;
    for n in 0..20 {
        let body = format!("number {n}!");
        let length = body.len();
        client
            .write(&format!(
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert!(client.read_until(&body).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let node = TestNode::start();
    let [hello] = node.serve([app("hello", "hello")]).await;
    let answer = send(hello, request("HEAD", "/", &[]), "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.len(), answer.broken),
        (200, 0, false)
    );
}

#[tokio::test]
async fn http2_without_tls_is_served_on_the_same_port() {
    let node = TestNode::start();
    let [hello] = node.serve([app("hello", "hello")]).await;
    let stream = tokio::net::TcpStream::connect(hello).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let uri = format!("http://{hello}/");
        let request = http::Request::get(uri).body(String::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, http::Version::HTTP_2)
        );
    }
}

#[tokio::test]
async fn apps_with_the_same_code_share_it_and_not_their_settings() {
    let node = TestNode::start();
    let with = |name: &str, value: &str| {
        let mut app = app(name, "env");
        app.components[0].env = vec![("WHO".into(), value.into())];
        app
    };
    let [a, b] = node.serve([with("a", "first"), with("b", "second")]).await;
    assert_eq!(get(a, "/").await.json()["environment"]["WHO"], "first");
    assert_eq!(get(b, "/").await.json()["environment"]["WHO"], "second");
    assert_eq!(
        node.guests
            .fetches
            .load(std::sync::atomic::Ordering::SeqCst),
        1
    );
}
