//! Guests that do what they should not: a plain error in time, and neighbours that notice nothing.

use serde_json::json;
use shoal_e2e::{Namespace, get, image};

#[test]
fn a_guest_that_misbehaves_gets_a_5xx_in_time_and_its_neighbours_answer() {
    let namespace = Namespace::new("hostile");
    let hostile = namespace
        .app("hostile", &image("hostile"))
        .with("replicas", json!(3))
        .with("limits", json!({"responseStart": "3s", "idle": "2s", "instanceMemory": "64Mi", "memory": "128Mi"}));
    let neighbour = namespace
        .app("neighbour", &image("hello-v1"))
        .with("replicas", json!(3));
    hostile.apply();
    neighbour.apply();
    hostile.ready();
    neighbour.ready();

    for path in [
        "/spin",
        "/alloc",
        "/trap",
        "/panic",
        "/recurse",
        "/never",
        "/no-response",
    ] {
        std::thread::scope(|scope| {
            // Eight at once, so that a runtime whose threads can be occupied is caught.
            let misdeeds: Vec<_> = (0..8)
                .map(|n| {
                    let hostile = &hostile;
                    scope.spawn(move || hostile.get(n % 3 + 1, path))
                })
                .collect();
            for _ in 0..3 {
                for (node, address) in neighbour.ready_endpoints() {
                    let answer = get(1, &format!("http://{address}:{}/", neighbour.port()));
                    assert_eq!(answer.body.trim(), "v1", "{node} during {path}: {answer:?}");
                }
            }
            for misdeed in misdeeds {
                let answer = misdeed.join().expect("the request ended");
                assert!((500..600).contains(&answer.status), "{path}: {answer:?}");
            }
        });
    }
}

#[test]
fn a_body_that_is_not_what_its_head_said_ends_the_connection() {
    let namespace = Namespace::new("broken");
    let app = namespace
        .app("broken", &image("hostile"))
        .with("limits", json!({"responseStart": "3s", "idle": "2s"}));
    app.apply().ready();
    for path in ["/broken", "/broken/drop", "/broken/trap", "/silent-body"] {
        let answer = app.get(1, path);
        let honest = answer.status == 0 || answer.status >= 500;
        assert!(honest, "{path} seemed to be whole: {answer:?}");
    }
    assert_eq!(app.get(1, "/").status, 200, "the app itself goes on");
}

#[test]
fn a_body_over_its_limit_is_413_and_what_is_denied_is_an_error_of_its_interface() {
    let namespace = Namespace::new("denied");
    let echo = namespace
        .app("echo", &image("echo"))
        .with("limits", json!({"requestBody": "1k"}));
    let denied = namespace.app("denied", &image("denied"));
    echo.apply();
    denied.apply();
    echo.ready();
    denied.ready();
    let large = "x".repeat(2000);
    assert_eq!(
        shoal_e2e::request(1, &["-d", &large, &echo.url("/")]).status,
        413
    );
    assert_eq!(
        shoal_e2e::request(1, &["-d", "small", &echo.url("/")]).body,
        "small"
    );

    let answer = denied.get(2, "/");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.body.to_lowercase().contains("denied"),
        "{}",
        answer.body
    );
}
