//! What `manifests/install.yaml` promises, and `install-ephemeral.yaml` keeps of it, checked on their objects.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use serde::Deserialize as _;
use serde_yaml::Value;

fn read(name: &str) -> Vec<Value> {
    let path = format!("{}/../manifests/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn objects() -> Vec<Value> {
    read("install.yaml")
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects()
        .into_iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn named(kind: &str, name: &str) -> Value {
    let found = of_kind(kind)
        .into_iter()
        .find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_sequence().cloned().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    list(value)
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

fn workloads() -> Vec<Value> {
    let workloads = [of_kind("Deployment"), of_kind("StatefulSet")].concat();
    assert_eq!(workloads.len(), 3);
    workloads
}

#[test]
fn every_pod_meets_restricted_pod_security_whole() {
    for workload in workloads() {
        let pod = &workload["spec"]["template"]["spec"];
        let name = &workload["metadata"]["name"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name:?}");
        assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{name:?}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
            "{name:?}"
        );
        for container in list(&pod["containers"]) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name:?}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name:?}");
            assert_eq!(
                strings(&context["capabilities"]["drop"]),
                ["ALL"],
                "{name:?}"
            );
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name:?}"
            );
        }
        for volume in list(&pod["volumes"]) {
            assert!(volume["hostPath"].is_null(), "{name:?}");
        }
    }
}

#[test]
fn only_the_operator_may_speak_to_the_api_server() {
    for workload in workloads() {
        let operator = workload["metadata"]["name"] == "shoal-operator";
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], operator);
    }
    for account in of_kind("ServiceAccount") {
        assert_eq!(account["automountServiceAccountToken"], false);
    }
    for binding in [of_kind("ClusterRoleBinding"), of_kind("RoleBinding")].concat() {
        for subject in list(&binding["subjects"]) {
            assert_eq!(subject["name"], "shoal-operator");
        }
    }
}

#[test]
fn secrets_are_read_by_name_alone_and_no_right_is_a_wildcard() {
    for role in [of_kind("ClusterRole"), of_kind("Role")].concat() {
        for rule in list(&role["rules"]) {
            let (resources, verbs) = (strings(&rule["resources"]), strings(&rule["verbs"]));
            let all = [
                resources.clone(),
                verbs.clone(),
                strings(&rule["apiGroups"]),
            ]
            .concat();
            assert!(!all.contains(&"*".to_owned()), "{rule:?}");
            if resources.contains(&"secrets".to_owned()) {
                assert!(verbs == ["get"] || verbs == ["create"], "{rule:?}");
            }
        }
    }
    let cluster = named("ClusterRole", "shoal-operator");
    let creates_secrets = list(&cluster["rules"]).iter().any(|rule| {
        strings(&rule["resources"]).contains(&"secrets".to_owned())
            && strings(&rule["verbs"]).contains(&"create".to_owned())
    });
    assert!(!creates_secrets, "only in its own namespace");
}

#[test]
fn the_volumes_outlive_the_installation() {
    for workload in of_kind("StatefulSet") {
        let policy = &workload["spec"]["persistentVolumeClaimRetentionPolicy"];
        assert_eq!(
            (&policy["whenDeleted"], &policy["whenScaled"]),
            (&"Retain".into(), &"Retain".into())
        );
        assert!(!list(&workload["spec"]["volumeClaimTemplates"]).is_empty());
    }
    for kind in [
        "Namespace",
        "CustomResourceDefinition",
        "PersistentVolumeClaim",
    ] {
        assert!(
            of_kind(kind).is_empty(),
            "{kind} would go with install.yaml"
        );
    }
}

#[test]
fn app_ports_are_open_to_everyone_and_nothing_else_of_a_runtime_is() {
    let policy = named("NetworkPolicy", "shoal-runtime");
    let ingress = list(&policy["spec"]["ingress"]);
    let open: Vec<&Value> = ingress
        .iter()
        .filter(|rule| rule["from"].is_null())
        .collect();
    let [open] = open.as_slice() else {
        panic!("{ingress:?}")
    };
    let ports = list(&open["ports"]);
    assert_eq!(ports.len(), 1);
    assert_eq!(
        (&ports[0]["port"], &ports[0]["endPort"]),
        (&10000.into(), &32767.into())
    );
    assert_eq!(ports[0]["protocol"], "TCP");
}

#[test]
fn operator_builder_and_store_take_connections_of_parts_only() {
    for name in ["shoal-operator", "shoal-builder", "shoal-store"] {
        let policy = named("NetworkPolicy", name);
        for rule in list(&policy["spec"]["ingress"]) {
            for port in list(&rule["ports"]) {
                if name == "shoal-operator" && port["port"] == 9444 {
                    // The API server is no pod; it shows a certificate.
                    continue;
                }
                let peers = list(&rule["from"]);
                assert!(!peers.is_empty(), "{name}");
                let elsewhere = peers
                    .iter()
                    .any(|peer| !peer["namespaceSelector"].is_null());
                assert_eq!(
                    elsewhere,
                    port["port"] == 9090,
                    "{name}: only metrics go elsewhere"
                );
            }
        }
    }
}

#[test]
fn builder_store_and_runtimes_reach_servers_anywhere_but_no_metadata_service() {
    for name in ["shoal-builder", "shoal-store", "shoal-runtime"] {
        let policy = named("NetworkPolicy", name);
        assert!(strings(&policy["spec"]["policyTypes"]).contains(&"Egress".to_owned()));
        let rules = list(&policy["spec"]["egress"]);
        let anywhere = rules.iter().filter(|rule| rule["to"].is_null());
        for rule in anywhere {
            for port in list(&rule["ports"]) {
                assert_eq!(port["port"], 53, "{name}: DNS alone is anywhere");
            }
        }
        let blocks: Vec<Value> = rules.iter().flat_map(|rule| list(&rule["to"])).collect();
        for (cidr, service) in [("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fd00:ec2::/32")] {
            let open = blocks
                .iter()
                .find(|peer| peer["ipBlock"]["cidr"] == cidr)
                .unwrap();
            let except = strings(&open["ipBlock"]["except"]);
            assert!(except.contains(&service.to_owned()), "{name}");
        }
    }
}

#[test]
fn selectors_select_the_pods_that_they_mean() {
    for workload in workloads() {
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        let selector = &workload["spec"]["selector"]["matchLabels"];
        for (key, value) in selector.as_mapping().unwrap() {
            assert_eq!(&labels[key], value);
        }
        let name = workload["metadata"]["name"].as_str().unwrap();
        let service = named("Service", name);
        for (key, value) in service["spec"]["selector"].as_mapping().unwrap() {
            assert_eq!(&labels[key], value, "{name}");
        }
        let policy = named("NetworkPolicy", name);
        for (key, value) in policy["spec"]["podSelector"]["matchLabels"]
            .as_mapping()
            .unwrap()
        {
            assert_eq!(&labels[key], value, "{name}");
        }
    }
}

#[test]
fn the_aggregated_api_leads_to_the_operator_and_is_for_nobody_by_default() {
    let service = named("Service", "shoal-api");
    let deployment = named("Deployment", "shoal-operator");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (key, value) in service["spec"]["selector"].as_mapping().unwrap() {
        assert_eq!(&labels[key], value);
    }
    let leads_to = &named("APIService", "v1alpha1.runtime.shoal.dev")["spec"]["service"];
    assert_eq!(leads_to["name"], service["metadata"]["name"]);
    assert_eq!(leads_to["namespace"], service["metadata"]["namespace"]);
    for role in of_kind("ClusterRole") {
        let aggregated = role["metadata"]["labels"]
            .as_mapping()
            .unwrap()
            .keys()
            .any(|key| key.as_str().unwrap().contains("aggregate-to"));
        let touches_data = list(&role["rules"])
            .iter()
            .any(|rule| strings(&rule["apiGroups"]).contains(&"runtime.shoal.dev".to_owned()));
        assert!(!(aggregated && touches_data), "{role:?}");
    }
}

/// The claim that the StatefulSet of the store makes.
const STORE_CLAIM: &str = "state-shoal-store-0";

#[test]
fn the_operator_watches_the_one_claim_of_the_store_and_no_other() {
    let store = named("StatefulSet", "shoal-store");
    let templates = list(&store["spec"]["volumeClaimTemplates"]);
    let names = templates.iter().map(|one| {
        let (volume, set) = (&one["metadata"]["name"], &store["metadata"]["name"]);
        format!("{}-{}-0", volume.as_str().unwrap(), set.as_str().unwrap())
    });
    assert_eq!(names.collect::<Vec<_>>(), [STORE_CLAIM]);
    let mut rules = Vec::new();
    for role in [of_kind("ClusterRole"), of_kind("Role")].concat() {
        for rule in list(&role["rules"]) {
            if strings(&rule["resources"]).contains(&"persistentvolumeclaims".to_owned()) {
                rules.push((role["kind"].clone(), rule));
            }
        }
    }
    let [(kind, rule)] = rules.as_slice() else {
        panic!("{rules:?}")
    };
    assert_eq!(kind, "Role");
    assert_eq!(strings(&rule["resourceNames"]), [STORE_CLAIM]);
    assert_eq!(strings(&rule["verbs"]), ["list", "watch"]);
}

/// `install.yaml`'s object, changed by hand as a person would for a cluster without volumes.
fn without_volumes(mut object: Value) -> Value {
    let name = object["metadata"]["name"].clone();
    if object["kind"] == "Deployment" && name == "shoal-operator" {
        let container = &mut object["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_sequence_mut().unwrap();
        arguments.push("--embedded-store=ephemeral".into());
    }
    if object["kind"] == "StatefulSet" {
        let spec = object["spec"].as_mapping_mut().unwrap();
        spec.remove("persistentVolumeClaimRetentionPolicy").unwrap();
        let claims = list(&spec.remove("volumeClaimTemplates").unwrap());
        let volumes = &mut object["spec"]["template"]["spec"]["volumes"];
        let volumes = volumes.as_sequence_mut().unwrap();
        for claim in claims {
            let mut volume = serde_yaml::Mapping::new();
            let mut folder = serde_yaml::Mapping::new();
            let size = &claim["spec"]["resources"]["requests"]["storage"];
            folder.insert("sizeLimit".into(), size.clone());
            volume.insert("name".into(), claim["metadata"]["name"].clone());
            volume.insert("emptyDir".into(), folder.into());
            volumes.push(volume.into());
        }
    }
    object
}

#[test]
fn the_ephemeral_installation_differs_in_volumes_and_in_what_the_operator_is_told() {
    let expected: Vec<Value> = objects().into_iter().map(without_volumes).collect();
    let ephemeral = read("install-ephemeral.yaml");
    assert_eq!(ephemeral.len(), expected.len());
    for (one, other) in ephemeral.iter().zip(&expected) {
        assert_eq!(one, other);
    }
    assert_ne!(ephemeral, objects());
}
