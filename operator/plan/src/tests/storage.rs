//! Whether an App is bound to the store pod, by what is known of that pod's volume: one row a case.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use shoal_crds::{AppStore, Store, StoreClassSpec};

use super::world::{World, component, memory, postgres, refusal};

type Made = fn() -> StoreClassSpec;

/// What there is when the App `hello`, which opens `default`, is applied.
#[derive(Default)]
struct Case {
    name: &'static str,
    /// Spec and phase of the claim; none: there is no claim.
    claim: Option<(&'static str, &'static str)>,
    /// The operator runs with `--embedded-store=ephemeral`.
    ephemeral: bool,
    class: Option<(&'static str, Made)>,
    /// Spec, without its App, of a Store `mine`.
    store: &'static str,
    /// Class that the App asks for.
    asks: &'static str,
    /// Of `StoresBound`.
    says: &'static str,
    /// What the message names.
    names: &'static [&'static str],
}

const WAITS: Option<(&str, &str)> = Some(("{}", "Pending"));
const BOUND: &str = "True/Bound";
const LACKS: &str = "False/NoPersistentStorage";
const ID: &str = "label: default, id: 00000000-0000-4000-8000-00000000aaaa";

fn files() -> StoreClassSpec {
    shoal_crds::yaml::from_str("{backend: {embedded: {}}, default: true}").unwrap()
}

fn table() -> Vec<Case> {
    let case = |name, claim, says| Case {
        name,
        claim,
        says,
        ..Case::default()
    };
    vec![
        Case {
            names: &[
                "component `api`",
                "`default`",
                "`embedded`",
                "`shoal-system/state-shoal-store-0`",
                "storageclass.kubernetes.io/is-default-class",
                "manifests/install-ephemeral.yaml",
                "StoreClass of a database",
            ],
            ..case("a claim that waits and names no class", WAITS, LACKS)
        },
        case(
            "a claim that wants no class and waits",
            Some(("{storageClassName: ''}", "Pending")),
            LACKS,
        ),
        case(
            "a claim that a class provides for, once a pod uses it",
            Some(("{storageClassName: local}", "Pending")),
            BOUND,
        ),
        case(
            "a claim for which somebody chose a volume",
            Some(("{volumeName: disk}", "Pending")),
            BOUND,
        ),
        case(
            "a claim of no class that has a volume",
            Some(("{storageClassName: ''}", "Bound")),
            BOUND,
        ),
        case("a claim that is not there yet", None, BOUND),
        Case {
            class: Some(("pg", || postgres("default: true"))),
            ..case("a database is the default", WAITS, BOUND)
        },
        Case {
            class: Some(("pg", || postgres("default: true"))),
            asks: "embedded",
            names: &["`embedded`"],
            ..case("the App asks for what is built in", WAITS, LACKS)
        },
        Case {
            class: Some(("files", files)),
            names: &["`files`"],
            ..case("a declared class of the same backend", WAITS, LACKS)
        },
        Case {
            class: Some(("fast", || memory("default: true"))),
            names: &["`fast`"],
            ..case("memory of a pod that does not start", WAITS, LACKS)
        },
        Case {
            store: "label: default",
            names: &["`mine`"],
            ..case("a Store made by hand that has no id", WAITS, LACKS)
        },
        Case {
            store: ID,
            ..case("a Store that has its id", WAITS, BOUND)
        },
        Case {
            ephemeral: true,
            names: &["`default`", "`shoal-store`", "`--embedded-store=ephemeral`"],
            ..case("none is wanted", WAITS, BOUND)
        },
    ]
}

fn claim(name: &str, spec: &str, phase: &str) -> PersistentVolumeClaim {
    let metadata = format!("{{name: {name}, namespace: shoal-system, uid: {name}}}");
    let text = format!("{{metadata: {metadata}, spec: {spec}, status: {{phase: {phase}}}}}");
    shoal_crds::yaml::from_str(&text).unwrap()
}

fn store_claim(spec: &str, phase: &str) -> PersistentVolumeClaim {
    claim(crate::STORE_CLAIM, spec, phase)
}

impl World {
    fn claim(&mut self, spec: &str, phase: &str) {
        let claim = store_claim(spec, phase);
        self.api.claims = vec![claim.clone()];
        self.index.apply(claim);
    }

    fn make_ephemeral(&mut self) {
        self.ephemeral = true;
        self.index.set_store_ephemeral(true);
    }
}

fn set(case: &Case) -> World {
    let mut world = World::new(1);
    if case.ephemeral {
        world.make_ephemeral();
    }
    if let Some((spec, phase)) = case.claim {
        world.claim(spec, phase);
    }
    if let Some((name, spec)) = case.class {
        world.class(name, spec());
    }
    if !case.store.is_empty() {
        let spec = format!("{{app: hello, {}}}", case.store);
        let store = Store::new("mine", shoal_crds::yaml::from_str(&spec).unwrap());
        let store = world.api.put_store(store, world.now);
        world.index.apply(store);
    }
    world
        .builder
        .image("hello:1", vec![component("api", &["default"])]);
    world.edit("hello", |app| {
        app.spec.image = Some("hello:1".to_owned());
        app.spec.stores = (!case.asks.is_empty()).then(|| {
            vec![AppStore {
                label: "default".to_owned(),
                class: Some(case.asks.to_owned()),
                ..AppStore::default()
            }]
        });
    });
    world.advance(30);
    world
}

#[test]
fn every_case_of_the_store_pods_volume() {
    for case in table() {
        let mut world = set(&case);
        let name = case.name;
        assert_eq!(world.says("hello", "StoresBound"), case.says, "{name}");
        let message = world.condition("hello", "StoresBound").unwrap().message;
        for part in case.names {
            assert!(message.contains(part), "{name}: {message}");
        }
        assert_eq!(world.is_ready("hello"), case.says == BOUND, "{name}");
        let told = message.contains("--embedded-store");
        assert_eq!(told, case.ephemeral, "{name}: {message}");
        if case.says == LACKS {
            assert_eq!(world.says("hello", "Stalled"), "True/NoPersistentStorage");
            let mut stores = world.api.stores.values();
            assert!(stores.all(|store| store.spec.id.is_none()), "{name}");
        }
        world.written();
        world.restart();
        world.advance(90);
        assert_eq!(world.written(), [], "{name}: a restart");
    }
}

#[test]
fn who_waits_is_bound_when_there_is_a_default_class() {
    let mut world = set(&table()[0]);
    assert_eq!(world.says("hello", "StoresBound"), LACKS);
    world.claim("{storageClassName: standard}", "Pending");
    world.advance(30);
    assert_eq!(world.says("hello", "StoresBound"), BOUND);
    assert!(world.is_ready("hello"));
}

#[test]
fn who_waits_is_bound_when_the_claim_goes() {
    let mut world = set(&table()[0]);
    let another = claim("data-postgres-0", "{}", "Bound");
    world.index.apply(another.clone());
    world.index.delete(&another);
    world.advance(30);
    assert_eq!(world.says("hello", "StoresBound"), LACKS, "not the one");
    world.index.delete(&store_claim("{}", "Pending"));
    world.advance(30);
    assert!(world.is_ready("hello"));
}

#[test]
fn who_is_bound_and_who_opens_no_store_are_not_concerned() {
    let mut world = World::new(1);
    world.ready_app("hello");
    world.builder.image("plain", vec![component("", &[])]);
    world.app("plain", "plain");
    world.advance(30);
    world.written();
    world.claim("{}", "Pending");
    world.advance(30);
    assert_eq!(world.written(), []);
    world.restart();
    world.advance(90);
    assert_eq!(world.written(), []);
    assert!(world.is_ready("hello") && world.is_ready("plain"));
    assert_eq!(world.says("hello", "StoresBound"), BOUND);
    assert_eq!(world.says("plain", "StoresBound"), "True/NoStoresNeeded");
}

#[test]
fn a_builder_that_waits_for_its_volume_too_does_not_hide_it() {
    let mut world = World::new(1);
    world.claim("{}", "Pending");
    let refusal = refusal("BuilderUnavailable", 5);
    world.builder.refuse_resolve("hello:1", refusal);
    world.app("hello", "hello:1");
    world.advance(30);
    assert_eq!(
        world.says("hello", "ImageResolved"),
        "False/BuilderUnavailable"
    );
    assert_eq!(world.says("hello", "StoresBound"), LACKS);
    assert_eq!(
        world.says("hello", "Stalled"),
        "absent",
        "it is tried again"
    );
    let message = world.condition("hello", "StoresBound").unwrap().message;
    assert!(message.contains("`shoal-builder`"), "{message}");
    world.claim("{storageClassName: standard}", "Bound");
    world
        .builder
        .image("hello:1", vec![component("", &["default"])]);
    world.advance(600);
    assert!(world.is_ready("hello"));
}
