//! Every metric in the code is on the page of metrics.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PARTS: [&str; 4] = ["node-runtime", "stores", "operator", "builder"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Names as they are registered, without the endings that registries give them: string literals that are a
/// name and nothing else, and what follows `# TYPE` in rendered text.
fn registered() -> BTreeSet<String> {
    let mut files = Vec::new();
    for part in PARTS {
        sources(&Path::new(ROOT).join(part).join("src"), &mut files);
    }
    let is_name = |text: &&str| {
        text.starts_with("shoal_")
            && !text.ends_with('_')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let literals = text.split('"').filter(is_name);
        let rendered = text.split("# TYPE ").skip(1);
        let rendered = rendered.filter_map(|rest| rest.split_whitespace().next());
        names.extend(literals.chain(rendered.filter(is_name)).map(str::to_owned));
    }
    names
}

#[test]
fn the_page_names_every_metric() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/reference/metrics.md")).unwrap();
    let names = registered();
    for known in [
        "shoal_store_operations",
        "shoal_store_orphans",
        "shoal_operator_apps",
    ] {
        assert!(names.contains(known), "{known} is not found: {names:?}");
    }
    // `shoal_kv` and its like are tables in databases.
    let tables = ["shoal_kv", "shoal_usage", "shoal_meta"];
    for name in names.iter().filter(|name| !tables.contains(&name.as_str())) {
        let listed = page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}_"));
        assert!(listed, "`{name}` is missing in docs/reference/metrics.md");
    }
}
