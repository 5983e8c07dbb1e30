//! As much of the binary format of WebAssembly as the variants need.

pub(crate) const MODULE: &[u8] = b"\0asm\x01\0\0\0";
pub(crate) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

pub(crate) fn section(wasm: &mut Vec<u8>, id: u8, content: &[u8]) {
    wasm.push(id);
    number(wasm, content.len() as u32);
    wasm.extend_from_slice(content);
}

/// Parts that follow each other without a length.
pub(crate) fn parts(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A name: its length, then its bytes.
pub(crate) fn name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    number(&mut bytes, name.len() as u32);
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// Unsigned LEB128.
pub(crate) fn number(wasm: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        wasm.push(value as u8 | 0x80);
        value >>= 7;
    }
    wasm.push(value as u8);
}
