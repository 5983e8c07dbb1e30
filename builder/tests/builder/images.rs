//! Components and images that the tests push.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use shoal_artifact::{
    AppPlan, ComponentPlan, Digest, WasmSource, oci,
    write::{self, Artifact},
};
use wit_component::StringEncoding;

/// A component that exports the handler (of no function: it is only ever compiled) and imports
/// these interfaces. `marker` makes its digest its own.
pub fn component(marker: &str, imports: &[&str]) -> Vec<u8> {
    let imports: String = imports
        .iter()
        .map(|name| format!("(import \"{name}\" (instance))"))
        .collect();
    let text = format!(
        r#"(component
            {imports}
            (core module (memory 1) (data (i32.const 0) "{marker}")
                (func (export "f") (param i32) (result i32) local.get 0 i32.const 1 i32.add))
            (instance $handler)
            (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    );
    wat::parse_str(text).unwrap()
}

/// A core module as toolchains of WASI 0.1 make it: it exports the handler's function, uses WASI 0.1
/// and carries the description of its world.
pub fn core_module(command: bool) -> Vec<u8> {
    let start = if command {
        r#"(func (export "_start"))"#
    } else {
        ""
    };
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "wasi:http/incoming-handler@0.2.0#handle")
                (drop (call 0 (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))))
            {start})"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = "package wasi:http@0.2.0;\n\
               interface incoming-handler { handle: func(); }\n\
               world proxy { export incoming-handler; }";
    let package = resolve.push_str("http.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    module
}

/// A Spin app of components with a name and route each.
pub fn spin_app(components: &[(&str, &str, &[u8])]) -> Artifact {
    let plan = |(name, route, _): &(&str, &str, &[u8])| {
        let mut plan: ComponentPlan = AppPlan::single(WasmSource::Inline(vec![]))
            .components
            .remove(0);
        plan.name = (*name).to_owned();
        plan.routes = vec![route.parse().unwrap()];
        plan
    };
    let plan = AppPlan {
        name: "app".into(),
        components: components.iter().map(plan).collect(),
        ..AppPlan::default()
    };
    let wasm = components
        .iter()
        .map(|(_, _, wasm)| wasm.to_vec())
        .collect();
    write::spin_app(&plan, wasm).unwrap()
}

/// Manifest and blobs of a container image with these files, one per layer.
pub fn container(files: &[(&str, &[u8])]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut blobs: Vec<Vec<u8>> = files
        .iter()
        .map(|(path, content)| layer(path, content))
        .collect();
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
    let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers: Vec<_> = blobs.iter().map(|blob| descriptor(tar, blob)).collect();
    let config = json!({"architecture": "amd64", "os": "linux"})
        .to_string()
        .into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": oci::IMAGE_MANIFEST,
        "config": descriptor(oci::IMAGE_CONFIG, &config),
        "layers": layers,
    });
    blobs.push(config);
    (manifest.to_string().into_bytes(), blobs)
}

fn layer(path: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, content).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}
