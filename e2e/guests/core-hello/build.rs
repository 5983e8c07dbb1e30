//! Leaves the linker's output a core module, as SDKs made it before there were component linkers.

fn main() {
    println!("cargo::rustc-link-arg-cdylib=--skip-wit-component");
    println!("cargo::rerun-if-changed=build.rs");
}
