//! What a component exports and imports, read from its bytes without compiling them.

use wasmparser::{Encoding, Parser, Payload};

use crate::{Reason, Refusal, interfaces, limits};

/// What a component exports and imports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentFacts {
    /// Names of its exports, sorted.
    pub exports: Vec<String>,
    /// Names of its imports, sorted.
    pub imports: Vec<String>,
    /// It is a core module: it has to be made a component first, and the lists are empty.
    pub is_core_module: bool,
}

/// Reads what a component exports and imports.
///
/// `subject` names it in messages: ``component `api` ``.
///
/// # Errors
/// It is larger than its bound, compiled already, or no WebAssembly; or has too many names.
pub fn inspect(subject: &str, wasm: &[u8]) -> Result<ComponentFacts, Refusal> {
    if wasm.len() as u64 > limits::COMPONENT_BYTES {
        return Err(too_large(subject));
    }
    check_magic(subject, wasm)?;
    let mut facts = ComponentFacts::default();
    read(wasm, &mut facts).map_err(|problem| match problem {
        Problem::Invalid(error) => Refusal::new(
            Reason::InvalidWasm,
            format!("{subject} is not valid WebAssembly: {error}"),
        ),
        Problem::CutOff => Refusal::new(
            Reason::InvalidWasm,
            format!("{subject} is not valid WebAssembly: its end is missing"),
        ),
        Problem::TooMany => Refusal::new(
            Reason::UnsupportedArtifact,
            format!(
                "{subject} has more than {} imports or exports",
                limits::EXTERNS
            ),
        ),
    })?;
    facts.exports.sort_unstable();
    facts.imports.sort_unstable();
    facts.imports.dedup();
    Ok(facts)
}

/// The refusal of a component past [`limits::COMPONENT_BYTES`].
pub fn too_large(subject: &str) -> Refusal {
    let bound = limits::COMPONENT_BYTES >> 20;
    Refusal::new(
        Reason::UnsupportedArtifact,
        format!("{subject} is larger than {bound} MiB"),
    )
}

fn check_magic(subject: &str, wasm: &[u8]) -> Result<(), Refusal> {
    if wasm.starts_with(b"\0asm") {
        return Ok(());
    }
    let what = if wasm.starts_with(b"\x7fELF") {
        "is compiled code; Shoal compiles WebAssembly itself and takes no code from outside"
    } else if wasm.trim_ascii_start().starts_with(b"(") {
        "is WebAssembly text; push its binary form"
    } else if wasm.is_empty() {
        "is empty"
    } else {
        "is not WebAssembly: its first bytes are not `\\0asm`"
    };
    Err(Refusal::new(
        Reason::InvalidWasm,
        format!("{subject} {what}"),
    ))
}

enum Problem {
    Invalid(wasmparser::BinaryReaderError),
    CutOff,
    TooMany,
}

impl From<wasmparser::BinaryReaderError> for Problem {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

fn read(wasm: &[u8], facts: &mut ComponentFacts) -> Result<(), Problem> {
    let mut parser = Parser::new(0);
    let mut rest = wasm;
    loop {
        let (consumed, payload) = match parser.parse(rest, true)? {
            wasmparser::Chunk::Parsed { consumed, payload } => (consumed, payload),
            // Not reached: with all bytes given the parser fails instead of asking for more.
            wasmparser::Chunk::NeedMoreData(_) => return Ok(()),
        };
        rest = rest.get(consumed..).unwrap_or_default();
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => {
                facts.is_core_module = true;
                return Ok(());
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    push(&mut facts.imports, &full_name(import?.name))?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    push(&mut facts.exports, &full_name(export?.name))?;
                }
            }
            // Only the outermost component's names count.
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                rest = rest.get(unchecked_range.len()..).ok_or(Problem::CutOff)?;
            }
            Payload::End(_) => return Ok(()),
            _ => {}
        }
    }
}

fn full_name(name: wasmparser::ComponentExternName<'_>) -> String {
    format!("{}{}", name.name, name.version_suffix.unwrap_or(""))
}

fn push(names: &mut Vec<String>, name: &str) -> Result<(), Problem> {
    if names.len() >= limits::EXTERNS {
        return Err(Problem::TooMany);
    }
    names.push(name.chars().take(limits::NAME_BYTES).collect());
    Ok(())
}

impl ComponentFacts {
    /// Whether the component opens key-value stores by label.
    pub fn opens_key_value(&self) -> bool {
        self.imports
            .iter()
            .any(|import| interfaces::opens_key_value(import))
    }

    /// Whether the component opens SQL databases by label.
    pub fn opens_sql(&self) -> bool {
        self.imports
            .iter()
            .any(|import| interfaces::opens_sql(import))
    }

    /// Whether it opens stores of objects by label.
    pub fn opens_blobs(&self) -> bool {
        self.imports
            .iter()
            .any(|import| interfaces::opens_blobs(import))
    }

    /// Checks that the component can be served: that it exports the handler, and imports nothing
    /// that is not implemented.
    ///
    /// # Errors
    /// With the exact name of the interface.
    pub fn check(&self, subject: &str) -> Result<(), Refusal> {
        if !self
            .exports
            .iter()
            .any(|export| interfaces::is_handler(export))
        {
            return Err(self.no_handler(subject));
        }
        match self
            .imports
            .iter()
            .find(|import| !interfaces::is_supported(import))
        {
            None => Ok(()),
            Some(import) => Err(Refusal::new(
                Reason::UnsupportedImport,
                format!("{subject} imports `{import}`, which this version does not implement"),
            )),
        }
    }

    fn no_handler(&self, subject: &str) -> Refusal {
        let wanted = "`wasi:http/incoming-handler@0.2.x` and `wasi:http/handler@0.3.x`";
        let other = self
            .exports
            .iter()
            .find(|name| interfaces::is_other_entry_point(name));
        let message = match other {
            Some(name) => format!(
                "{subject} exports `{name}`, which this version does not serve; it serves {wanted}"
            ),
            None => format!("{subject} exports no HTTP handler; served are {wanted}"),
        };
        Refusal::new(Reason::NoHandler, message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUBJECT: &str = "component `api`";

    fn component(text: &str) -> ComponentFacts {
        inspect(SUBJECT, &wat::parse_str(text).unwrap()).unwrap()
    }

    fn with_handler(imports: &str) -> String {
        format!(
            r#"(component
                {imports}
                (component $inner (import "deep:er/inside@9.0.0" (instance)))
                (core module $m)
                (instance $i)
                (export "wasi:http/incoming-handler@0.2.3" (instance $i)))"#
        )
    }

    #[test]
    fn the_outermost_names_are_read() {
        let facts = component(&with_handler(
            r#"(import "wasi:keyvalue/store@0.2.0-draft2" (instance))
               (import "wasi:io/poll@0.2.0" (instance))"#,
        ));
        assert_eq!(
            facts.imports,
            ["wasi:io/poll@0.2.0", "wasi:keyvalue/store@0.2.0-draft2"]
        );
        assert_eq!(facts.exports, ["wasi:http/incoming-handler@0.2.3"]);
        assert!(facts.opens_key_value() && !facts.is_core_module);
        facts.check(SUBJECT).unwrap();
    }

    #[test]
    fn a_component_that_is_cut_off_inside_a_part_that_is_skipped_is_not_valid() {
        let whole = wat::parse_str(with_handler("")).unwrap();
        let refusal = inspect(SUBJECT, &whole[..20]).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidWasm);
        assert!(
            refusal.message.contains("its end is missing"),
            "{refusal:?}"
        );
    }

    #[test]
    fn an_import_that_is_not_implemented_is_named() {
        let facts = component(&with_handler(
            r#"(import "spin:mqtt/mqtt@3.0.0" (instance))"#,
        ));
        let refusal = facts.check(SUBJECT).unwrap_err();
        assert_eq!(refusal.reason, Reason::UnsupportedImport);
        assert_eq!(
            refusal.message,
            "component `api` imports `spin:mqtt/mqtt@3.0.0`, which this version does not implement"
        );
    }

    #[test]
    fn a_component_without_a_handler_says_what_it_exports() {
        let none = component("(component)").check(SUBJECT).unwrap_err();
        assert_eq!(none.reason, Reason::NoHandler);
        let newer = component(
            r#"(component (instance $i) (export "wasi:http/handler@0.3.0-rc-2026-01-06" (instance $i)))"#,
        );
        let refusal = newer.check(SUBJECT).unwrap_err();
        assert!(
            refusal
                .message
                .contains("`wasi:http/handler@0.3.0-rc-2026-01-06`"),
            "{refusal}"
        );
    }

    #[test]
    fn a_core_module_is_told_from_a_component() {
        assert!(component("(module (func (export \"_start\")))").is_core_module);
    }

    #[test]
    fn what_is_no_wasm_is_refused_by_what_it_is() {
        for (bytes, word) in [
            (&b"\x7fELF\x02\x01\x01"[..], "compiled code"),
            (b"(component)", "text"),
            (b"", "empty"),
            (b"<html>", "not WebAssembly"),
            (b"\0asm\x09\x00\x00\x00", "not valid"),
            (b"\0asm\x0d\x00\x01\x00\x0b\x7f", "not valid"),
        ] {
            let refusal = inspect(SUBJECT, bytes).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidWasm);
            assert!(refusal.message.contains(word), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn any_change_of_any_byte_is_read_or_refused(at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
            let mut wasm = wat::parse_str(with_handler("")).unwrap();
            let at = at % wasm.len();
            wasm[at] = byte;
            wasm.truncate(wasm.len() - cut % wasm.len());
            let _ = inspect(SUBJECT, &wasm);
        }
    }
}
