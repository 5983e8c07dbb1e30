//! One route.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits;

/// A route: `/a` exactly, `/a/:id` with a parameter, `/a/...` with all that is below (and `/a`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Route {
    text: String,
    segments: Vec<Segment>,
    wildcard: bool,
}

/// What stands between two slashes of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Matches itself, byte for byte.
    Literal(String),
    /// Matches any one segment that is not empty; the name is for the guest.
    Parameter(String),
}

/// Text that is no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route `{route}` is not valid: {problem}")]
pub struct InvalidRoute {
    route: String,
    problem: &'static str,
}

impl Route {
    /// The route that every path matches: `/...`.
    pub fn everything() -> Self {
        Self {
            text: "/...".into(),
            segments: Vec::new(),
            wildcard: true,
        }
    }

    /// The text it was made from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments, without the trailing wildcard.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it ends in `/...`.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The route without its trailing wildcard: `/a` of `/a/...`, empty for `/...`.
    pub fn base(&self) -> &str {
        if self.wildcard {
            self.text.trim_end_matches("/...")
        } else {
            &self.text
        }
    }
}

fn parse(text: &str) -> Result<Route, &'static str> {
    if text.len() > limits::ROUTE_BYTES {
        return Err("it is longer than 1024 bytes");
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err("it does not begin with `/`");
    };
    let (body, wildcard) = match rest.strip_suffix("...") {
        Some("") => ("", true),
        Some(head) => match head.strip_suffix('/') {
            Some(head) => (head, true),
            None => return Err("`...` must be a segment of its own, at the end"),
        },
        None => (rest, false),
    };
    let segments = if body.is_empty() && (wildcard || rest.is_empty()) {
        Vec::new()
    } else {
        body.split('/')
            .map(parse_segment)
            .collect::<Result<Vec<_>, _>>()?
    };
    if segments.len() > limits::ROUTE_SEGMENTS {
        return Err("it has more than 64 segments");
    }
    let name = |segment: &Segment| match segment {
        Segment::Parameter(name) => Some(name.clone()),
        Segment::Literal(_) => None,
    };
    let mut names: Vec<_> = segments.iter().filter_map(name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("two of its parameters have the same name");
    }
    Ok(Route {
        text: text.to_owned(),
        segments,
        wildcard,
    })
}

fn parse_segment(text: &str) -> Result<Segment, &'static str> {
    if let Some(name) = text.strip_prefix(':') {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(valid) {
            return Err("a parameter is `:` and a name of letters, digits, `_` or `-`");
        }
        return Ok(Segment::Parameter(name.to_owned()));
    }
    if text.is_empty() {
        return Err("it has an empty segment");
    }
    if text.contains("...") {
        return Err("`...` must be a segment of its own, at the end");
    }
    if text == "*" {
        return Err("a trailing wildcard is written `/...`");
    }
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || "?#:".contains(c))
    {
        return Err("a segment holds white space, a control character, `?`, `#` or `:`");
    }
    Ok(Segment::Literal(text.to_owned()))
}

impl FromStr for Route {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| InvalidRoute {
            route: text.chars().take(200).collect(),
            problem,
        })
    }
}

impl TryFrom<String> for Route {
    type Error = InvalidRoute;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Route> for String {
    fn from(route: Route) -> Self {
        route.text
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spin_accepts_is_accepted() {
        for (text, segments, wildcard) in [
            ("/", 0, false),
            ("/...", 0, true),
            ("/a", 1, false),
            ("/a/:id", 2, false),
            ("/a/:id/b/...", 3, true),
            ("/.well-known/x.y~z", 2, false),
        ] {
            let route: Route = text.parse().unwrap();
            assert_eq!(
                (route.segments().len(), route.is_wildcard()),
                (segments, wildcard),
                "{text}"
            );
            assert_eq!(route.to_string(), text);
        }
        assert_eq!(Route::everything(), "/...".parse().unwrap());
    }

    #[test]
    fn what_is_no_route_is_refused_with_its_text() {
        let long = format!("/{}", "a".repeat(2000));
        let deep = "/a".repeat(65);
        for text in [
            "", "a", "...", "/a...", "/.../a", "/a//b", "/a/", "//", "/:", "/a/:b c", "/*", "/a?b",
            "/a#b", "/a b", "/:x/:x", "/a/....", &long, &deep,
        ] {
            let error = text.parse::<Route>().expect_err(text).to_string();
            assert!(error.contains(text.get(..20).unwrap_or(text)), "{error}");
        }
    }

    #[test]
    fn the_base_is_what_precedes_the_wildcard() {
        for (text, base) in [("/...", ""), ("/a/...", "/a"), ("/a", "/a"), ("/", "/")] {
            assert_eq!(text.parse::<Route>().unwrap().base(), base);
        }
    }
}
