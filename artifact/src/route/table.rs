//! All routes of an app, as a tree of segments.

use std::collections::HashMap;

use super::{Route, Segment, segments};

/// Finds the route of a path by walking its segments, whatever the number of routes.
///
/// Of several routes that match, the one whose first differing segment is more exact wins: a literal
/// before a parameter before `...`. So the longest literal match wins, as in Spin.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    root: Node,
    entries: Vec<(Route, T)>,
}

/// Indices are into `entries`.
#[derive(Clone, Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    exact: Option<usize>,
    wildcard: Option<usize>,
}

/// Two routes that match the same paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("routes `{first}` and `{second}` match the same paths")]
pub struct DuplicateRoute {
    /// The one that was there first.
    pub first: String,
    /// The one that came later.
    pub second: String,
    /// Positions of the two in what the table was made from.
    pub positions: (usize, usize),
}

/// What a path matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMatch<'t, 'p, T> {
    /// The value of the route.
    pub value: &'t T,
    /// The route.
    pub route: &'t Route,
    /// Names and values of its parameters, in order.
    pub parameters: Vec<(&'t str, &'p str)>,
    /// What a trailing `...` matched, with its leading slash (and a trailing one, if the path has
    /// it); empty when there is nothing.
    pub rest: &'p str,
}

impl<T> RouteTable<T> {
    /// Makes the table.
    ///
    /// # Errors
    /// Two routes that match the same paths.
    pub fn new(entries: impl IntoIterator<Item = (Route, T)>) -> Result<Self, DuplicateRoute> {
        let mut table = Self {
            root: Node::default(),
            entries: Vec::new(),
        };
        for (route, value) in entries {
            table.insert(route, value)?;
        }
        Ok(table)
    }

    fn insert(&mut self, route: Route, value: T) -> Result<(), DuplicateRoute> {
        let position = self.entries.len();
        let mut node = &mut self.root;
        for segment in route.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
            };
        }
        let slot = if route.is_wildcard() {
            &mut node.wildcard
        } else {
            &mut node.exact
        };
        if let Some(first) = *slot {
            let earlier = self.entries.get(first).map(|(route, _)| route.to_string());
            return Err(DuplicateRoute {
                first: earlier.unwrap_or_default(),
                second: route.to_string(),
                positions: (first, position),
            });
        }
        *slot = Some(position);
        self.entries.push((route, value));
        Ok(())
    }

    /// The routes and their values, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&Route, &T)> {
        self.entries.iter().map(|(route, value)| (route, value))
    }

    /// The route of a path (without its query), if one matches.
    pub fn find<'t, 'p>(&'t self, path: &'p str) -> Option<RouteMatch<'t, 'p, T>> {
        let parts: Vec<&str> = segments(path).collect();
        let found = self.root.find(&parts)?;
        let (route, value) = self.entries.get(found)?;
        let parameters = route
            .segments()
            .iter()
            .zip(&parts)
            .filter_map(|(segment, part)| match segment {
                Segment::Parameter(name) => Some((name.as_str(), *part)),
                Segment::Literal(_) => None,
            });
        let rest = if route.is_wildcard() {
            rest(path, route.segments().len())
        } else {
            ""
        };
        Some(RouteMatch {
            value,
            route,
            parameters: parameters.collect(),
            rest,
        })
    }
}

impl Node {
    /// Depth is bounded by the routes' own: a tree of routes is at most `ROUTE_SEGMENTS` deep.
    fn find(&self, parts: &[&str]) -> Option<usize> {
        let Some((first, others)) = parts.split_first() else {
            return self.exact.or(self.wildcard);
        };
        self.literals
            .get(*first)
            .and_then(|node| node.find(others))
            .or_else(|| {
                let node = self.parameter.as_ref().filter(|_| !first.is_empty())?;
                node.find(others)
            })
            .or(self.wildcard)
    }
}

/// The part of a path after its first `count` segments, from the slash on.
fn rest(path: &str, count: usize) -> &str {
    let leading = path.len() - path.trim_start_matches('/').len();
    // One slash belongs to the rest, more before the first segment count as one.
    let mut at = leading.saturating_sub(1);
    for _ in 0..count {
        let tail = path.get(at + 1..).unwrap_or("");
        match tail.find('/') {
            Some(slash) => at += 1 + slash,
            None => return "",
        }
    }
    path.get(at..).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(routes: &[&str]) -> RouteTable<String> {
        let entries = routes
            .iter()
            .map(|text| (text.parse().unwrap(), (*text).to_owned()));
        RouteTable::new(entries).unwrap()
    }

    #[test]
    fn the_most_exact_route_wins() {
        let table = table(&["/...", "/a", "/a/...", "/a/:id", "/a/b/c", "/:x/b/d"]);
        for (path, route) in [
            ("/", "/..."),
            ("/x", "/..."),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("//a", "/a"),
            ("/a/1", "/a/:id"),
            ("/a/1/2", "/a/..."),
            ("/a/b/c", "/a/b/c"),
            ("/a/b", "/a/:id"),
            ("/a/b/d", "/a/..."),
            ("/z/b/d", "/:x/b/d"),
            ("/a//c", "/a/..."),
            ("/ab", "/..."),
            ("/A", "/..."),
        ] {
            assert_eq!(table.find(path).unwrap().value, route, "{path}");
        }
    }

    #[test]
    fn a_path_that_no_route_matches_has_none() {
        let table = table(&["/a", "/b/:id"]);
        for path in ["/", "/c", "/a/b", "/b", "/b/", "/b/1/2", "", "*"] {
            assert!(table.find(path).is_none(), "{path}");
        }
        assert!(
            super::RouteTable::<()>::new([])
                .unwrap()
                .find("/")
                .is_none()
        );
    }

    #[test]
    fn parameters_and_the_rest_are_handed_over() {
        let table = table(&["/u/:user/f/:file/..."]);
        let found = table.find("/u/ann/f/x.y/p/q/").unwrap();
        assert_eq!(found.parameters, [("user", "ann"), ("file", "x.y")]);
        assert_eq!(found.rest, "/p/q/");
        assert_eq!(table.find("/u/ann/f/x").unwrap().rest, "");
        assert_eq!(super::rest("/a/b", 0), "/a/b");
        assert_eq!(super::rest("//a/b", 1), "/b");
    }

    #[test]
    fn routes_that_match_the_same_paths_are_refused() {
        for (first, second) in [
            ("/a", "/a"),
            ("/a/:x", "/a/:y"),
            ("/...", "/..."),
            ("/:a/...", "/:b/..."),
        ] {
            let entries = [first, second].map(|text| (text.parse().unwrap(), ()));
            let error = RouteTable::new(entries).unwrap_err();
            assert_eq!(
                (error.first.as_str(), error.second.as_str()),
                (first, second)
            );
        }
    }

    /// Rank of each segment, smaller is more exact; a wildcard ranks last.
    fn rank(route: &Route) -> Vec<u8> {
        let segment = |segment: &Segment| u8::from(matches!(segment, Segment::Parameter(_)));
        let mut ranks: Vec<u8> = route.segments().iter().map(segment).collect();
        ranks.extend(route.is_wildcard().then_some(2));
        ranks
    }

    fn matches(route: &Route, path: &str) -> bool {
        let parts: Vec<&str> = segments(path).collect();
        let own = route.segments();
        let length = if route.is_wildcard() {
            parts.len() >= own.len()
        } else {
            parts.len() == own.len()
        };
        length
            && own.iter().zip(&parts).all(|(segment, part)| match segment {
                Segment::Literal(text) => text == part,
                Segment::Parameter(_) => !part.is_empty(),
            })
    }

    proptest! {
        #[test]
        fn the_table_finds_what_comparing_every_route_finds(
            routes in proptest::collection::vec("(/(a|b|:x|:y)){0,4}(/\\.\\.\\.)?", 0..12),
            path in "(/(a|b|c|)){0,6}/?",
        ) {
            let mut entries: Vec<(Route, usize)> = Vec::new();
            for text in routes {
                let text = if text.is_empty() { "/".to_owned() } else { text };
                let Ok(route) = text.parse::<Route>() else { continue };
                let position = entries.len();
                let mut longer = entries.clone();
                longer.push((route, position));
                if RouteTable::new(longer.clone()).is_ok() {
                    entries = longer;
                }
            }
            let expected = entries
                .iter()
                .filter(|(route, _)| matches(route, &path))
                .min_by_key(|(route, _)| rank(route))
                .map(|(_, position)| *position);
            let table = RouteTable::new(entries).unwrap();
            prop_assert_eq!(table.find(&path).map(|found| *found.value), expected);
        }

        #[test]
        fn any_text_is_a_route_or_is_refused(text in "\\PC*", path in "\\PC*") {
            if let Ok(route) = text.parse::<Route>() {
                prop_assert_eq!(route.as_str(), text);
                let table = RouteTable::new([(route, ())]).unwrap();
                let _ = table.find(&path);
            }
        }
    }
}
