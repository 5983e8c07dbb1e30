use super::*;

fn good() -> v1::Assignment {
    v1::Assignment {
        app: Some(v1::AppRef {
            namespace: "shop".into(),
            name: "hello".into(),
            uid: "u".into(),
        }),
        revision: "r1".into(),
        generation: "g1".into(),
        port: 10_000,
        components: vec![v1::Component {
            name: "hello".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            routes: vec!["/...".into()],
            env: [("A".to_owned(), "b".to_owned())].into(),
            variables: Default::default(),
            stores: vec![v1::StoreBinding {
                label: "default".into(),
                interface: "KeyValue".into(),
                store_id: shoal_stores::StoreId::random().to_string(),
                class: "embedded".into(),
                nodes: 2,
            }],
        }],
        limits: Some(v1::Limits {
            memory_bytes: 1,
            instance_memory_bytes: u64::MAX,
            concurrency: 1,
            request_body_bytes: 1,
            response_start_ms: 1,
            idle_ms: 1,
            cpu_millis: 1,
        }),
        role: v1::assignment::Role::Serve.into(),
    }
}

#[test]
fn a_message_within_its_bounds_is_an_assignment() {
    let assignment = parse(good(), &PortRange::cluster()).unwrap();
    assert_eq!(assignment.app.to_string(), "shop/hello");
    assert_eq!(
        assignment.limits.instance_memory,
        4 << 30,
        "more than Wasm can address is capped"
    );
}

#[test]
fn what_is_out_of_bounds_is_refused_by_its_name() {
    type Spoil = fn(&mut v1::Assignment);
    let cases: [(&str, Spoil); 17] = [
        ("app.name", |a| a.app = None),
        ("app.namespace", |a| {
            a.app.as_mut().unwrap().namespace = "a/b".into()
        }),
        ("role", |a| a.role = 77),
        ("revision", |a| a.revision = String::new()),
        ("generation", |a| a.generation = "g".repeat(1000)),
        ("port 80", |a| a.port = 80),
        ("port 15001", |a| a.port = 15_001),
        ("port 75536", |a| a.port = 75_536),
        ("components", |a| a.components.clear()),
        ("listed twice", |a| {
            a.components.push(a.components[0].clone())
        }),
        ("digest", |a| {
            a.components[0].digest = "sha256:../../etc".into()
        }),
        ("route", |a| {
            a.components[0].routes = vec!["no-slash".into()]
        }),
        ("env", |a| {
            a.components[0].env = [("A=B".to_owned(), String::new())].into()
        }),
        ("store `default`", |a| {
            a.components[0].stores[0].store_id = "x".into()
        }),
        ("interface `Llm`", |a| {
            a.components[0].stores[0].interface = "Llm".into()
        }),
        ("component name", |a| a.components[0].name = String::new()),
        ("129 components", |a| {
            let numbered = |n: usize| v1::Component {
                name: n.to_string(),
                ..a.components[0].clone()
            };
            a.components = (0..129).map(numbered).collect();
        }),
    ];
    for (name, spoil) in cases {
        let mut message = good();
        spoil(&mut message);
        let error = parse(message, &PortRange::cluster()).unwrap_err();
        let found = error.message.contains(name) || name == "app.name";
        assert!(found, "{name} is not named in: {error}");
    }
}

#[test]
fn what_was_built_is_taken() {
    let mut message = good();
    let numbered = |n: usize| v1::Component {
        name: format!("a component / number {n}"),
        routes: (0..8).map(|m| format!("/{n}/{m}/:id/...")).collect(),
        ..message.components[0].clone()
    };
    message.components = (0..shoal_artifact::limits::COMPONENTS)
        .map(numbered)
        .collect();
    let variable = |n: usize| (format!("{}{n}", "N".repeat(300)), "v".repeat(64 << 10));
    message.components[0].env = (0..32).map(variable).collect();
    parse(message, &PortRange::cluster()).unwrap();
}

#[test]
fn a_limit_that_an_operator_does_not_know_has_its_default() {
    let mut message = good();
    message.limits = None;
    message.components[0].stores[0].class = String::new();
    message.components[0].stores[0].nodes = 0;
    let assignment = parse(message, &PortRange::cluster()).unwrap();
    assert_eq!(assignment.limits, Limits::default());
    let store = &assignment.components[0].stores[0];
    assert_eq!((store.class.as_str(), store.nodes), ("embedded", 1));
}

#[test]
fn a_huge_name_makes_a_small_report() {
    let mut message = good();
    message.app.as_mut().unwrap().name = "ä".repeat(1 << 20);
    let error = parse(message, &PortRange::cluster()).unwrap_err();
    assert!(error.app.name.len() <= 253 && error.message.len() < 1000);
}
