use std::io::{Cursor, Write as _};

use flate2::{Compression, write::GzEncoder};

use super::*;

const MANIFEST: &str = "spin_manifest_version = 2\n[application]\nname = \"a\"\n\
    [[trigger.http]]\nroute = \"/...\"\ncomponent = \"a\"\n\
    [component.a]\nsource = \"target/./a.wasm\"\n";

struct Image(Vec<Vec<u8>>);

impl Layers for Image {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn open(&self, index: usize) -> std::io::Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.0[index].clone())))
    }
}

/// A layer of files; `None` makes a directory, content that begins with `->` a link.
fn layer(files: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let content = content.map(str::as_bytes);
        header.set_size(0);
        match content {
            None => header.set_entry_type(tar::EntryType::Directory),
            Some(text) if text.starts_with(b"->") => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name("elsewhere").unwrap();
            }
            Some(text) => header.set_size(text.len() as u64),
        }
        let body = content
            .filter(|text| !text.starts_with(b"->"))
            .unwrap_or_default();
        tar.append_data(&mut header, path, body).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(image: &Image, path: &str) -> Result<String, Refusal> {
    let mut text = String::new();
    extract(image, &[path], 1 << 20, &mut |_, file| {
        file.read_to_string(&mut text).map(|_| ())
    })?;
    Ok(text)
}

#[test]
fn the_app_of_a_scratch_image_is_read_from_plain_and_gzip_layers() {
    let image = Image(vec![
        gzip(&layer(&[("target", None), ("target/a.wasm", Some("wasm"))])),
        layer(&[("./spin.toml", Some(MANIFEST))]),
    ]);
    let plan = read_app(&image).unwrap();
    assert_eq!(
        plan.components[0].wasm,
        WasmSource::File("target/a.wasm".into())
    );
    assert_eq!(read(&image, "target/a.wasm").unwrap(), "wasm");
}

#[test]
fn a_later_layer_replaces_and_removes_what_an_earlier_one_holds() {
    let base = layer(&[("d/a", Some("1")), ("d/b", Some("1")), ("c", Some("1"))]);
    let missing = |upper: &[(&str, Option<&str>)], path: &str| {
        let image = Image(vec![base.clone(), layer(upper)]);
        read(&image, path).unwrap_err().message.contains("no file")
    };
    let replaced = Image(vec![base.clone(), layer(&[("d/a", Some("2"))])]);
    assert_eq!(read(&replaced, "d/a").unwrap(), "2");
    assert_eq!(read(&replaced, "d/b").unwrap(), "1");
    assert!(missing(&[("d/.wh.a", Some(""))], "d/a"));
    assert!(missing(&[(".wh.d", Some(""))], "d/a"));
    assert!(missing(&[("d/.wh..wh..opq", Some(""))], "d/b"));
    assert!(missing(&[("d", Some("a file now"))], "d/a"));
    assert!(missing(&[("c", None)], "c"));
    // A whiteout says nothing about its own layer, whatever the order.
    let opaque = Image(vec![
        base.clone(),
        layer(&[("d/a", Some("3")), ("d/.wh..wh..opq", Some(""))]),
    ]);
    assert_eq!(read(&opaque, "d/a").unwrap(), "3");
}

#[test]
fn long_names_are_found() {
    let path = format!("{}/a.wasm", "long".repeat(60));
    let image = Image(vec![layer(&[(&path, Some("wasm"))])]);
    assert_eq!(read(&image, &path).unwrap(), "wasm");
}

#[test]
fn links_and_missing_and_large_files_are_refused_by_name() {
    let image = Image(vec![layer(&[
        ("link", Some("->")),
        ("big", Some(&"x".repeat(2 << 20))),
    ])]);
    for (path, word) in [
        ("link", "is a link"),
        ("big", "larger than 1 MiB"),
        ("none", "no file `/none`"),
    ] {
        let refusal = read(&image, path).unwrap_err();
        assert!(refusal.message.contains(word), "{refusal}");
    }
    assert!(
        read_app(&image)
            .unwrap_err()
            .message
            .contains("`/spin.toml`")
    );
}

#[test]
fn a_source_outside_of_the_image_is_refused() {
    let text = MANIFEST.replace("target/./a.wasm", "../../etc/passwd");
    let refusal = read_app(&Image(vec![layer(&[("spin.toml", Some(&text))])])).unwrap_err();
    assert!(refusal.message.contains("`../../etc/passwd`"), "{refusal}");
}

#[test]
fn a_layer_that_unpacks_without_end_is_refused() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut header = tar::Header::new_gnu();
    header.set_size(1 << 40);
    header.set_path("huge").unwrap();
    header.set_cksum();
    encoder.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..=(limits::UNPACKED_BYTES >> 20) {
        encoder.write_all(&zeros).unwrap();
    }
    let refusal = read_app(&Image(vec![encoder.finish().unwrap()])).unwrap_err();
    assert!(
        refusal.message.contains("unpacks to more than"),
        "{refusal}"
    );
}

#[test]
fn bytes_that_are_no_archive_are_refused() {
    for bytes in [
        b"not a tar".repeat(100),
        vec![0x1f, 0x8b, 0, 0, 1, 2, 3],
        vec![],
    ] {
        assert_eq!(
            read_app(&Image(vec![bytes])).unwrap_err().reason,
            Reason::UnsupportedArtifact
        );
    }
}
