//! Images from a real registry, right and wrong.

use shoal_artifact::{Digest, Reason, Refusal, write};
use shoal_builder::{BuilderHandle, Description, Source};

use crate::{
    host,
    images::{self, component, container, spin_app},
    open,
    registry::{Kind, Registry, alter_blob},
    tokens::TokenService,
};

async fn build(builder: &BuilderHandle, source: &Source) -> Result<Description, Refusal> {
    let digest = builder.resolve(source).await?;
    builder.build(source, &digest, &[host()]).await
}

async fn refused(builder: &BuilderHandle, source: &Source) -> Refusal {
    build(builder, source).await.expect_err(&source.image)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wasm_artifact_is_resolved_pulled_and_compiled() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let wasm = component("a", &["wasi:keyvalue/store@0.2.0-draft2"]);
    let artifact = write::component(wasm.clone()).unwrap();
    registry.push("acme/a:1", &artifact).await;
    let builder = open(folder.path());
    let source = registry.source("acme/a:1");

    assert_eq!(builder.resolve(&source).await.unwrap(), artifact.digest);
    let description = build(&builder, &source).await.unwrap();
    let component = &description.components[0];
    assert_eq!(
        (component.name.as_str(), &component.digest),
        ("", &Digest::of(&wasm))
    );
    assert_eq!(component.routes, ["/...".parse().unwrap()]);
    assert_eq!(component.key_value_stores, ["default"]);
    assert_eq!(component.imports, ["wasi:keyvalue/store@0.2.0-draft2"]);
    assert!(builder.fetch(&component.digest, &host()).await.is_some());
    // A digest is resolved by the registry too: it says whether the credentials suffice.
    let by_digest = registry.source(&format!("acme/a@{}", artifact.digest));
    assert_eq!(builder.resolve(&by_digest).await.unwrap(), artifact.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spin_app_is_built_with_its_names_routes_and_inline_content() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let (api, page) = (
        component("api", &[]),
        component("page", &["fermyon:spin/key-value@2.0.0"]),
    );
    registry
        .push(
            "app:1",
            &spin_app(&[("api", "/api/...", &api), ("page", "/", &page)]),
        )
        .await;
    let description = build(&open(folder.path()), &registry.source("app:1"))
        .await
        .unwrap();
    let names: Vec<&str> = description
        .components
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["api", "page"]);
    assert_eq!(description.components[0].routes[0].as_str(), "/api/...");
    assert_eq!(description.components[0].key_value_stores, [""; 0]);
    assert_eq!(description.components[1].key_value_stores, ["default"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_image_is_built_from_its_layers() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let wasm = component("a", &[]);
    let manifest = "spin_manifest_version = 2\n[application]\nname = \"a\"\n\
        [[trigger.http]]\nroute = \"/x\"\ncomponent = \"one\"\n\
        [[trigger.http]]\nroute = \"/y\"\ncomponent = \"two\"\n\
        [component.one]\nsource = \"target/a.wasm\"\nenvironment = { A = \"1\" }\n\
        [component.two]\nsource = \"/target/a.wasm\"\n";
    let files = [("spin.toml", manifest.as_bytes()), ("target/a.wasm", &wasm)];
    let (manifest, blobs) = container(&files);
    for blob in &blobs {
        registry.push_blob("scratch:1", blob).await;
    }
    registry.push_manifest("scratch:1", manifest).await;
    let description = build(&open(folder.path()), &registry.source("scratch:1"))
        .await
        .unwrap();
    let components = &description.components;
    assert_eq!(
        (components[0].name.as_str(), &components[0].digest),
        ("one", &Digest::of(&wasm))
    );
    assert_eq!(components[0].env["A"], "1");
    assert_eq!(components[1].digest, Digest::of(&wasm));
}

#[tokio::test(flavor = "multi_thread")]
async fn core_modules_become_components() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let builder = open(folder.path());
    for (tag, command) in [("core:reactor", false), ("core:command", true)] {
        let module = images::core_module(command);
        registry
            .push(tag, &write::component(module.clone()).unwrap())
            .await;
        let description = build(&builder, &registry.source(tag)).await.unwrap();
        let component = &description.components[0];
        assert_ne!(component.digest, Digest::of(&module));
        assert!(
            component
                .imports
                .iter()
                .any(|name| name.starts_with("wasi:cli/stdout@0.2."))
        );
        assert!(builder.fetch(&component.digest, &host()).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_resolves_to_what_it_names_now() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let (builder, source) = (open(folder.path()), registry.source("a:latest"));
    for marker in ["one", "two"] {
        let artifact = write::component(component(marker, &[])).unwrap();
        registry.push("a:latest", &artifact).await;
        assert_eq!(builder.resolve(&source).await.unwrap(), artifact.digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_built_is_built_again_without_the_registry() {
    let (mut registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let source = registry.source("a:1");
    registry
        .push("a:1", &write::component(component("a", &[])).unwrap())
        .await;
    let digest = open(folder.path()).resolve(&source).await.unwrap();
    let first = open(folder.path())
        .build(&source, &digest, &[host()])
        .await
        .unwrap();
    registry.stop();

    let restarted = open(folder.path());
    assert_eq!(
        restarted.build(&source, &digest, &[host()]).await.unwrap(),
        first
    );
    assert_eq!(restarted.metrics().compiles(), 0);
    // Another engine needs no registry either: the component is kept.
    let arm = shoal_engine::EngineKey::new(shoal_engine::Target::Arm64, host().baseline());
    restarted
        .build(&source, &digest, &[host(), arm])
        .await
        .unwrap();
    assert_eq!(restarted.metrics().compiles(), 1);
    // Another repository that claims to hold this digest has to show it.
    let elsewhere = registry.source("other:1");
    let refusal = restarted
        .build(&elsewhere, &digest, &[host()])
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::RegistryUnavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_secrets_open_a_private_registry_and_wrong_ones_do_not() {
    let (registry, folder) = (
        Registry::of(Kind::Password).await,
        tempfile::tempdir().unwrap(),
    );
    let builder = open(folder.path());
    registry
        .push("a:1", &write::component(component("a", &[])).unwrap())
        .await;
    let right = registry.source("a:1");
    build(&builder, &right).await.unwrap();

    let none = refused(&builder, &registry.anonymous("a:1")).await;
    assert_eq!(none.reason, Reason::ImagePullUnauthorized);
    assert!(
        none.message.contains("no pull secret of the App names it"),
        "{none}"
    );
    // Cached or not: the digest is not given to whom the registry would not give it.
    let digest = builder.resolve(&right).await.unwrap();
    let mut wrong = registry.anonymous(&format!("a@{digest}"));
    wrong.pull_secrets = vec![registry.secret("wr0ng")];
    let refusal = refused(&builder, &wrong).await;
    assert_eq!(refusal.reason, Reason::ImagePullUnauthorized);
    assert!(refusal.message.contains("were refused") && !refusal.message.contains("wr0ng"));
    assert!(refusal.retry_after.is_some());
    // Of two secrets for a registry, either may be right.
    wrong.pull_secrets.push(right.pull_secrets[0].clone());
    build(&builder, &wrong).await.unwrap();
    let mut garbage = right.clone();
    garbage.pull_secrets = vec![b"garbage".to_vec()];
    assert_eq!(
        refused(&builder, &garbage).await.reason,
        Reason::PullSecretInvalid
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_tokens_is_given_one_for_this_repository() {
    let service = TokenService::start().await;
    let asked = service.asked();
    let (registry, folder) = (
        Registry::of(Kind::Token(service)).await,
        tempfile::tempdir().unwrap(),
    );
    registry
        .push("acme/a:1", &write::component(component("a", &[])).unwrap())
        .await;
    asked.lock().unwrap().clear();
    let builder = open(folder.path());
    build(&builder, &registry.source("acme/a:1")).await.unwrap();
    // One session to resolve, one to build: a token each, for all of its requests.
    assert_eq!(*asked.lock().unwrap(), ["repository:acme/a:pull"; 2]);

    let none = refused(&builder, &registry.anonymous("acme/a:1")).await;
    assert_eq!(none.reason, Reason::ImagePullUnauthorized);
    let mut wrong = registry.anonymous("acme/a:1");
    wrong.pull_secrets = vec![registry.secret("wr0ng")];
    assert_eq!(
        refused(&builder, &wrong).await.reason,
        Reason::ImagePullUnauthorized
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_the_pools_own_authority_is_trusted_and_no_other() {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let kind = Kind::Tls(certificate, key.serialize_pem());
    let (registry, folder) = (Registry::of(kind).await, tempfile::tempdir().unwrap());
    registry
        .push("a:1", &write::component(component("a", &[])).unwrap())
        .await;
    let builder = open(folder.path());
    build(&builder, &registry.source("a:1")).await.unwrap();
    let mut untrusting = registry.source("a:1");
    untrusting.ca.clear();
    let refusal = refused(&builder, &untrusting).await;
    assert_eq!(refusal.reason, Reason::RegistryUnavailable);
    assert!(refusal.message.contains("certificate"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_registry_has_its_reason() {
    let (mut registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let builder = open(folder.path());
    registry
        .push("a:1", &write::component(component("a", &[])).unwrap())
        .await;

    for image in ["a:2", "nothing/here:1"] {
        let refusal = refused(&builder, &registry.source(image)).await;
        assert_eq!(refusal.reason, Reason::ImageNotFound);
        assert!(refusal.message.contains(image), "{refusal}");
    }
    // Plain HTTP where TLS was expected.
    let mut secure = registry.source("a:1");
    secure.insecure.clear();
    assert_eq!(
        refused(&builder, &secure).await.reason,
        Reason::RegistryUnavailable
    );
    let mut invalid = registry.source("a:1");
    invalid.ca = "no pem".into();
    assert!(
        refused(&builder, &invalid)
            .await
            .message
            .contains("registries.ca")
    );
    let reference = refused(&builder, &Source::public("NO/Reference")).await;
    assert_eq!(reference.reason, Reason::InvalidImageReference);
    registry.stop();
    let away = refused(&builder, &registry.source("a:1")).await;
    assert_eq!(away.reason, Reason::RegistryUnavailable);
    assert!(
        away.message.contains(&registry.host()) && away.retry_after.is_some(),
        "{away}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_what_they_should_be_are_refused() {
    let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
    let builder = open(folder.path());
    let wasm = component("a", &[]);
    // `write` takes no garbage, so garbage takes the place of a component that it wrote.
    let push = async |tag: &str, bytes: &[u8]| {
        let mut artifact = write::component(wasm.clone()).unwrap();
        let text = String::from_utf8(artifact.manifest).unwrap();
        let old = (
            Digest::of(&wasm).to_string(),
            format!("\"size\":{}", wasm.len()),
        );
        let new = (
            Digest::of(bytes).to_string(),
            format!("\"size\":{}", bytes.len()),
        );
        artifact.manifest = text
            .replace(&old.0, &new.0)
            .replace(&old.1, &new.1)
            .into_bytes();
        registry.push_blob(tag, bytes).await;
        registry.push_blob(tag, &artifact.config.bytes).await;
        registry.push_manifest(tag, artifact.manifest).await;
        let source = registry.source(tag);
        let refusal = refused(&builder, &source).await;
        let subject = format!("the component of `{}`", source.image);
        assert!(refusal.message.contains(&subject), "{refusal}");
        refusal
    };
    for (tag, bytes, word) in [
        ("garbage:1", &b"garbage"[..], "not WebAssembly"),
        ("elf:1", b"\x7fELF and so on", "compiled code"),
        ("broken:1", &wat::parse_str("(component (core module (func (result i32))) (instance $i) (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))").unwrap(), "type mismatch"),
    ] {
        let refusal = push(tag, bytes).await;
        assert_eq!(refusal.reason, Reason::InvalidWasm, "{refusal}");
        assert!(refusal.message.contains(word), "{refusal}");
    }
    let no_handler = push("none:1", &wat::parse_str("(component)").unwrap()).await;
    assert_eq!(no_handler.reason, Reason::NoHandler);
    let import = push("mqtt:1", &component("m", &["spin:mqtt/mqtt@3.0.0"])).await;
    assert_eq!(import.reason, Reason::UnsupportedImport);

    let altered = write::component(wasm.clone()).unwrap();
    registry.push("altered:1", &altered).await;
    let content = vec![0; wasm.len()];
    alter_blob(&registry.data(), &Digest::of(&wasm), &content);
    let refusal = refused(&builder, &registry.source("altered:1")).await;
    assert_eq!(refusal.reason, Reason::RegistryUnavailable);
    assert!(refusal.message.contains("other bytes"), "{refusal}");
}
