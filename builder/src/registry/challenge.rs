//! `WWW-Authenticate`: how a registry wants to be asked.

/// A challenge that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token, to be had from `realm`.
    Bearer {
        /// URL that gives tokens.
        realm: String,
        /// Name of the registry there.
        service: Option<String>,
    },
}

/// Reads a header's value. `Bearer` wins where both are offered.
///
/// <https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate>
pub(super) fn read(header: &str) -> Option<Challenge> {
    let lower = without_quoted(&header.to_ascii_lowercase());
    if let Some(at) = find_scheme(&lower, "bearer") {
        let parameters = header.get(at..)?;
        let realm = parameter(parameters, "realm")?;
        return Some(Challenge::Bearer {
            realm,
            service: parameter(parameters, "service"),
        });
    }
    find_scheme(&lower, "basic").map(|_| Challenge::Basic)
}

/// The header with every quoted character replaced, at the same positions.
fn without_quoted(header: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let mut plain = String::with_capacity(header.len());
    for character in header.chars() {
        let hidden = quoted && (escaped || character != '"');
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        if hidden {
            plain.extend(std::iter::repeat_n('_', character.len_utf8()));
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Where the parameters of a scheme begin.
fn find_scheme(header: &str, scheme: &str) -> Option<usize> {
    let starts = |at: usize| {
        header
            .get(..at)
            .is_some_and(|before| before.trim_end().is_empty() || before.trim_end().ends_with(','))
    };
    let mut matches = header.match_indices(scheme).map(|(at, _)| at);
    let at = matches.find(|at| starts(*at))?;
    let end = at + scheme.len();
    header
        .get(end..)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ',']))
        .then_some(end)
}

/// The value of a parameter, quoted or not.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                (after.get(..end)?.to_owned(), after.get(end..)?)
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_of_registries_are_read() {
        let bearer = read(
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull""#,
        );
        assert_eq!(
            bearer,
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: Some("registry.example".into())
            })
        );
        assert_eq!(
            read(r#"Basic realm="Registry Realm""#),
            Some(Challenge::Basic)
        );
        assert_eq!(
            read(r#"Basic realm="a, bearer x", BEARER Realm=https://b"#),
            Some(Challenge::Bearer {
                realm: "https://b".into(),
                service: None
            })
        );
        assert_eq!(read("Bearer"), None);
        assert_eq!(read("Negotiate"), None);
        assert_eq!(read(""), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_not(header in "\\PC{0,80}", tail in "(,? ?(realm|x)=\"?[a-z\\\\]*\"?){0,4}") {
            let _ = read(&header);
            let _ = read(&format!("Bearer {tail}"));
        }
    }
}
