//! `allowed_outbound_hosts`: entries that name the app itself.

use crate::{Reason, Refusal};

/// Refuses hosts that are the app itself: calls within an app are not dispatched yet. Everything
/// else is for the policy at the call.
///
/// # Errors
/// With the exact entry.
pub fn check(subject: &str, hosts: &[String]) -> Result<(), Refusal> {
    match hosts.iter().find(|host| is_own(host)) {
        None => Ok(()),
        Some(host) => Err(Refusal::new(
            Reason::UnsupportedFeature,
            format!(
                "{subject} needs `{host}` (calls within the app), which this version does not serve"
            ),
        )),
    }
}

fn is_own(entry: &str) -> bool {
    let host = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let host = host
        .split([':', '/'])
        .next()
        .unwrap_or("")
        .to_ascii_lowercase();
    matches!(host.as_str(), "self" | "self.alt") || host.ends_with(".spin.internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_app_itself_is_refused() {
        for host in [
            "http://self",
            "https://self.alt:80",
            "http://api.spin.internal",
            "self",
        ] {
            let error = check("component `a`", &[host.to_owned()]).unwrap_err();
            assert!(error.message.contains(host), "{error}");
        }
        let others = [
            "https://example.com",
            "*://*:*",
            "http://selfish",
            "tcp://[::1]:80",
            "{{x}}",
            "",
        ];
        check("component `a`", &others.map(str::to_owned)).unwrap();
    }
}
