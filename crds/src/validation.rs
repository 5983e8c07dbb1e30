//! Schemas that schemars cannot derive: bounded maps, and lists with rules.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::{EnvVar, Variable};

/// Environment: at most 256 variables, each name once.
pub(crate) fn env_schema(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<EnvVar>();
    named(&item)
}

/// Variables: at most 256, each name once.
pub(crate) fn variables_schema(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Variable>();
    named(&item)
}

fn named(item: &Schema) -> Schema {
    json_schema!({
        "type": "array",
        "items": item,
        "maxItems": 256,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    })
}

/// Labels: at most 64, values as long as Kubernetes allows.
pub(crate) fn label_map_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 63},
        "maxProperties": 64,
    })
}

/// Labels of the Service, but for those that say whose it is and what its slices are.
pub(crate) fn service_labels_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = label_map_schema(generator);
    schema.insert(
        "x-kubernetes-validations".into(),
        serde_json::json!([reserved_keys_rule()]),
    );
    schema
}

/// Annotations of the Service.
pub(crate) fn service_annotations_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 4096},
        "maxProperties": 64,
        "x-kubernetes-validations": [reserved_keys_rule()],
    })
}

fn reserved_keys_rule() -> serde_json::Value {
    serde_json::json!({
        "rule": "self.all(key, !key.startsWith('shoal.dev/') \
                 && !key.startsWith('endpointslice.kubernetes.io/') \
                 && key != 'kubernetes.io/service-name' \
                 && key != 'service.kubernetes.io/headless')",
        "message": "keys of shoal.dev/, endpointslice.kubernetes.io/, kubernetes.io/service-name \
                    and service.kubernetes.io/headless are Shoal's and Kubernetes' own",
    })
}
