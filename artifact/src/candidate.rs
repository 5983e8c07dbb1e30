//! Components of the last release candidate of WASI 0.3, which became the release unchanged.
//!
//! Spin 4.0's toolchain makes components that import and export `wasi:*@0.3.0-rc-2026-03-15`. To a
//! linker a pre-release is compatible with nothing but itself, while metadata of a build does not
//! count: with `+` in place of the `-` these are names of the release. Both are of one length, so
//! nothing else in the component moves. Names of interfaces are all that changes: neither core
//! modules, nor their data, nor custom sections are touched. Whoever compiles the result validates it.
//!
//! Other candidates differ from the release; they are not taken for it.

use std::ops::Range;

use wasmparser::{Chunk, ComponentAlias, Encoding, Parser, Payload, SectionLimited};

const CANDIDATE: &[u8] = b"@0.3.0-rc-2026-03-15";
const RELEASE: &[u8] = b"@0.3.0+rc-2026-03-15";

/// The same component with the names of the release; `None` where it has no name of the candidate, or
/// cannot be read to its end.
pub fn released(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut found = sections(wasm)?
        .into_iter()
        .flat_map(|section| names(wasm, section))
        .peekable();
    found.peek()?;
    let mut released = wasm.to_vec();
    for at in found {
        released.get_mut(at)?.copy_from_slice(RELEASE);
    }
    Some(released)
}

/// Where the candidate's version stands in a section.
fn names(wasm: &[u8], section: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let bytes = wasm.get(section.clone()).unwrap_or_default();
    let is_name = |(_, window): &(usize, &[u8])| *window == CANDIDATE;
    bytes
        .windows(CANDIDATE.len())
        .enumerate()
        .filter(is_name)
        .map(move |(at, _)| section.start + at..section.start + at + CANDIDATE.len())
}

/// The sections of a component, and of those inside it, that name interfaces.
fn sections(wasm: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut sections = Vec::new();
    let (mut parser, mut outer) = (Parser::new(0), Vec::new());
    let mut at = 0;
    loop {
        let (consumed, payload) = match parser.parse(wasm.get(at..)?, true).ok()? {
            Chunk::Parsed { consumed, payload } => (consumed, payload),
            Chunk::NeedMoreData(_) => return None,
        };
        at += consumed;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => return None,
            Payload::ModuleSection {
                unchecked_range, ..
            } => at += unchecked_range.len(),
            Payload::ComponentSection { parser: inner, .. } => {
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match outer.pop() {
                Some(next) => parser = next,
                None => return Some(sections),
            },
            Payload::ComponentTypeSection(section) => sections.push(section.range()),
            Payload::ComponentImportSection(section) => sections.push(section.range()),
            Payload::ComponentExportSection(section) => sections.push(section.range()),
            Payload::ComponentInstanceSection(section) => sections.push(section.range()),
            Payload::ComponentAliasSection(section) => sections.extend(aliases(section)?),
            _ => {}
        }
    }
}

/// The aliases of what component instances export. Those of core instances name exports of core modules,
/// which stay as they are.
fn aliases(section: SectionLimited<'_, ComponentAlias<'_>>) -> Option<Vec<Range<usize>>> {
    let mut end = section.range().end;
    let all: Result<Vec<_>, _> = section.into_iter_with_offsets().collect();
    let mut named = Vec::new();
    for (start, alias) in all.ok()?.into_iter().rev() {
        if let ComponentAlias::InstanceExport { .. } = alias {
            named.push(start..end);
        }
        end = start;
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inspect;

    /// Names of a version in every place: imports, exports, types, instances, aliases, modules, data.
    fn component(version: &str) -> Vec<u8> {
        wat::parse_str(format!(
            r#"(component
                (type $t (component
                    (import "wasi:clocks/types@{version}" (instance (export "x" (func))))))
                (import "wasi:clocks/types@{version}" (instance $clock (export "x" (func))))
                (component $inner
                    (import "wasi:clocks/types@{version}" (instance $c (export "x" (func))))
                    (alias export $c "x" (func $x))
                    (export "wasi:clocks/monotonic-clock@{version}" (func $x)))
                (core module $m
                    (memory 1)
                    (data (i32.const 0) "@0.3.0-rc-2026-03-15")
                    (func (export "wasi:http/handler@0.3.0-rc-2026-03-15#handle")))
                (core instance $core (instantiate $m))
                (alias core export $core "wasi:http/handler@0.3.0-rc-2026-03-15#handle"
                    (core func $handle))
                (instance $i (instantiate $inner
                    (with "wasi:clocks/types@{version}" (instance $clock))))
                (alias export $i "wasi:clocks/monotonic-clock@{version}" (func $now))
                (export "wasi:http/handler@{version}" (instance $i)))"#
        ))
        .unwrap()
    }

    #[test]
    fn names_of_the_candidate_become_those_of_the_release() {
        let released = released(&component("0.3.0-rc-2026-03-15")).unwrap();
        assert_eq!(
            released,
            component("0.3.0+rc-2026-03-15"),
            "and core modules stay"
        );
        let facts = inspect("it", &released).unwrap();
        assert_eq!(facts.exports, ["wasi:http/handler@0.3.0+rc-2026-03-15"]);
        facts.check("it").unwrap();
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for version in ["0.3.0", "0.3.0-rc-2026-01-06", "0.3.0+rc-2026-03-15"] {
            assert_eq!(released(&component(version)), None, "{version}");
        }
        let module = r#"(module (memory 1) (data (i32.const 0) "@0.3.0-rc-2026-03-15"))"#;
        assert_eq!(released(&wat::parse_str(module).unwrap()), None);
        assert_eq!(released(b""), None);
    }

    proptest! {
        #[test]
        fn any_change_of_any_byte_is_survived(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut wasm = component("0.3.0-rc-2026-03-15");
            let at = at.index(wasm.len());
            wasm[at] = byte;
            wasm.truncate(cut.index(wasm.len()) + 1);
            if let Some(released) = released(&wasm) {
                prop_assert_eq!(released.len(), wasm.len());
            }
        }
    }
}
