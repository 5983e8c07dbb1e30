use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

fn declared(pairs: &[(&str, Option<&str>)]) -> Declared {
    let pair =
        |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
    pairs.iter().map(pair).collect()
}

#[test]
fn templates_are_filled_with_given_values_before_defaults() {
    let declared = declared(&[("host", Some("localhost")), ("password", None)]);
    let templates = map(&[
        ("url", "db://{{ host }}/{{password}}"),
        ("plain", "as it is"),
        ("password", "{{ password }}"),
    ]);
    let given = map(&[("password", "a{{b}}c")]);
    assert_eq!(
        resolve(&declared, &templates, &given).unwrap(),
        map(&[
            ("url", "db://localhost/a{{b}}c"),
            ("plain", "as it is"),
            ("password", "a{{b}}c"),
        ]),
        "a value is no template"
    );
}

#[test]
fn guests_see_their_components_variables_and_what_is_given_by_another_name() {
    let declared = declared(&[("token", None)]);
    let given = map(&[("token", "t"), ("extra", "e"), ("mode", "given")]);
    let templates = map(&[("mode", "fixed")]);
    assert_eq!(
        resolve(&declared, &templates, &given).unwrap(),
        map(&[("extra", "e"), ("mode", "given")]),
        "what the app declares reaches a component through its templates alone"
    );
    assert_eq!(
        resolve(&Declared::new(), &BTreeMap::new(), &given).unwrap(),
        given,
        "an artifact that declares nothing gets what is given"
    );
}

#[test]
fn every_required_variable_without_a_value_is_named() {
    let declared = declared(&[("a", None), ("b", Some("")), ("c", None)]);
    let error = resolve(&declared, &BTreeMap::new(), &Values::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the app requires the variables `a`, `c`, which have no value"
    );
    let given = map(&[("a", "")]);
    let error = resolve(&declared, &BTreeMap::new(), &given).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the app requires the variable `c`, which has no value"
    );
}

#[test]
fn what_is_no_template_says_why() {
    for (text, problem) in [
        ("{{ a", TemplateError::Unclosed),
        ("a }}", TemplateError::Unopened),
        ("{{a}} }}", TemplateError::Unopened),
        ("{{}}", TemplateError::Name(String::new())),
        ("{{ A }}", TemplateError::Name(" A ".into())),
        ("{{ a {{ b }} }}", TemplateError::Name(" a {{ b ".into())),
    ] {
        assert_eq!(Template::parse(text), Err(problem), "{text}");
    }
    let error = Template::parse("{{ A }}").unwrap_err().to_string();
    assert!(error.starts_with("`{{ A }}` holds no name"), "{error}");
}

#[test]
fn names_are_as_spin_has_them() {
    for name in ["a", "a_b", "a1", "api_key_2"] {
        assert!(is_name(name), "{name}");
    }
    for name in ["", "A", "1a", "_a", "a_", "a__b", "a-b", "a.b", "ä"] {
        assert!(!is_name(name), "{name}");
    }
}

#[test]
fn what_grows_without_end_is_too_large() {
    let declared = declared(&[("x", None)]);
    let templates = map(&[("big", &"{{x}}".repeat(10_000))]);
    let given = map(&[("x", &"y".repeat(1000))]);
    assert_eq!(
        resolve(&declared, &templates, &given),
        Err(Unresolved::TooLarge)
    );
}

#[test]
fn an_artifact_whose_templates_do_not_fit_is_refused_by_name() {
    let declared = declared(&[("a", None)]);
    for (name, text, word) in [
        ("x", "{{ b }}", "names `b`, which the app does not declare"),
        ("x", "{{", "`x`"),
        ("X", "", "`X`"),
    ] {
        let refusal = check_templates("component `api`", &map(&[(name, text)]), &declared);
        let message = refusal.unwrap_err().message;
        assert!(
            message.contains(word) && message.contains("component `api`"),
            "{message}"
        );
    }
    let many: Declared = (0..=limits::ENV_ENTRIES)
        .map(|n| (format!("v{n}"), None))
        .collect();
    assert!(check_declared(&many).unwrap_err().message.contains("1025"));
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,4}"
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = Template::parse(&text);
    }

    #[test]
    fn text_without_braces_stays_as_it_is(text in "[^{}]*") {
        let template = Template::parse(&text).unwrap();
        prop_assert_eq!(template.names().count(), 0);
        prop_assert_eq!(template.fill(&BTreeMap::new(), usize::MAX), Some(text));
    }

    #[test]
    fn parts_are_put_together_in_their_order(parts in prop::collection::vec(("[^{}]{0,8}", name(), "\\PC{0,8}"), 0..6)) {
        let values: BTreeMap<&str, &str> = parts.iter().map(|(_, name, value)| (name.as_str(), value.as_str())).collect();
        let text: String = parts.iter().map(|(before, name, _)| format!("{before}{{{{ {name} }}}}")).collect();
        let expected: String = parts.iter().map(|(before, name, _)| format!("{before}{}", values[name.as_str()])).collect();
        prop_assert_eq!(Template::parse(&text).unwrap().fill(&values, usize::MAX), Some(expected));
    }

    #[test]
    fn what_is_resolved_is_what_was_declared_or_given(
        declared in prop::collection::btree_map(name(), prop::option::of("[a-z]{0,4}"), 0..5),
        given in prop::collection::btree_map(name(), "[a-z]{0,4}", 0..5),
        names in prop::collection::btree_set(name(), 0..5),
    ) {
        let templates: BTreeMap<String, String> = names
            .iter()
            .zip(declared.keys().cycle())
            .map(|(name, of)| (name.clone(), format!("<{{{{{of}}}}}>")))
            .collect();
        let lacks = declared.iter().any(|(name, default)| default.is_none() && !given.contains_key(name));
        match resolve(&declared, &templates, &given) {
            Err(Unresolved::Missing(missing)) => {
                prop_assert!(lacks);
                prop_assert!(missing.iter().all(|name| declared[name].is_none() && !given.contains_key(name)));
            }
            Err(other) => prop_assert!(false, "{}", other),
            Ok(values) => {
                prop_assert!(!lacks);
                for name in values.keys() {
                    let own = given.contains_key(name) && !declared.contains_key(name);
                    prop_assert!(own || templates.contains_key(name));
                }
                prop_assert!(templates.keys().all(|name| values.contains_key(name)));
            }
        }
    }
}
