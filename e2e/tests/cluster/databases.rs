//! Databases fail, and their passwords change: apps go on.

use serde_json::json;
use shoal_e2e::{LONG, Load, Namespace, Postgres, Target, image, kubectl, until};

use crate::classes::{self, PASSWORD};

#[test]
fn a_database_that_is_away_fails_calls_and_nothing_else() {
    let namespace = Namespace::new("away");
    let (mut server, class) = classes::postgres("fragile");
    let class = class.default_of(&[&namespace]);
    let neighbour = namespace.app("neighbour", &image("kv"));
    neighbour.apply().ready();
    class.apply();
    let app = namespace.app("victim", &image("kv"));
    app.apply().ready();
    assert_eq!(app.get(1, "/set/kept/precious").status, 200);
    class.wait_for("Ready", "True", &[]);

    server.kill();
    let refused = app.get(1, "/get/kept");
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(
        !refused.body.contains(PASSWORD) && !refused.body.contains("10.250"),
        "{refused:?}"
    );
    class.wait_for("Ready", "False", &[]);
    assert_eq!(neighbour.get(1, "/set/a/1").status, 200);
    app.wait_for("Ready", "True", LONG);

    server.start_again();
    until("the value to be there again", LONG, || {
        let answer = app.get(2, "/get/kept");
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(answer)
        }
    });
    class.wait_for("Ready", "True", &[]);
    classes::nobody_tells(PASSWORD);
}

#[test]
fn credentials_change_under_load_without_a_failed_call() {
    let namespace = Namespace::new("rotation");
    let (server, class) = classes::postgres("rotated");
    let class = class.default_of(&[&namespace]);
    class.apply();
    let app = namespace
        .app("counter", &image("kv"))
        .with("replicas", json!(3));
    app.apply().ready();
    let load = Load::start(2, &[Target::service(&app, "/incr/visits")]);

    server.sql("CREATE ROLE successor LOGIN PASSWORD 'another-password' IN ROLE shoal");
    class.set_secret(
        &server.url("successor", "another-password"),
        Some(server.ca()),
    );
    until("only the new role to be connected", LONG, || {
        let users = server.sql(
            "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity \
             WHERE usename IN ('shoal', 'successor')",
        );
        if users == "successor" {
            Ok(())
        } else {
            Err(users)
        }
    });
    server.sql("ALTER ROLE shoal NOLOGIN");

    let reports = load.stop();
    assert_eq!(reports[0].failed, 0, "{:?}", reports[0].failures);
    let counted: u64 = app
        .get(1, "/get/visits")
        .body
        .trim()
        .parse()
        .expect("a number");
    assert!(
        counted >= reports[0].requests,
        "{counted} of {}",
        reports[0].requests
    );
    classes::nobody_tells("another-password");
}

#[test]
fn a_secret_that_leads_to_another_database_hides_no_data() {
    let namespace = Namespace::new("elsewhere");
    let (_server, class) = classes::postgres("steady");
    let class = class.default_of(&[&namespace]);
    class.apply();
    let app = namespace.app("keeper", &image("kv"));
    app.apply().ready();
    assert_eq!(app.get(1, "/set/kept/precious").status, 200);
    let recorded = || {
        let status = class.object()["status"].clone();
        let place = status["place"].as_str().map(str::to_owned);
        place.ok_or(status)
    };
    let place = until("its place to be recorded", LONG, recorded);
    class.wait_for("Ready", "True", &[]);

    let other = Postgres::start();
    other.role("shoal", PASSWORD);
    class.set_secret(&other.url("shoal", PASSWORD), Some(other.ca()));
    class.wait_for("Ready", "False", &[&place, "holds none"]);
    let kept = app.get(1, "/get/kept");
    assert_eq!((kept.status, kept.body.trim()), (200, "precious"));
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'shoal%'";
    assert_eq!(other.sql(tables).trim(), "0");
    app.wait_for("Ready", "True", LONG);

    // On purpose: the data is given up.
    let forget = r#"{"status":{"place":null}}"#;
    let name = class.name();
    let patch = [
        "patch",
        "storeclasses.shoal.dev",
        name,
        "--subresource=status",
        "--type=merge",
    ];
    kubectl(&[&patch[..], &["-p", forget]].concat());
    until("the other one to be used", LONG, || {
        let answer = app.get(1, "/get/kept");
        if answer.status == 404 {
            Ok(())
        } else {
            Err(answer)
        }
    });
    class.wait_for("Ready", "True", &[]);
    assert_ne!(until("its place to be recorded", LONG, recorded), place);
}
