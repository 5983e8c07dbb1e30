//! `docs/reference/conditions.md`: every word of a status, and what it means.

use std::fmt::Write as _;

use crate::{ConditionType, Reason};

/// The whole page, in Markdown.
pub fn conditions_page() -> String {
    let mut page = String::from(
        "# Conditions and reasons\n\n\
         Written by `cargo xtask crds` from `crds/src/conditions.rs`; do not edit.\n\n\
         ## Conditions of an App, a Store and a StoreClass\n\n\
         `Reconciling` and `Stalled` are there only while they hold, as kstatus has it.\n\n\
         | type | True means |\n|---|---|\n",
    );
    for condition in ConditionType::ALL {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "| `{condition}` | {} |", condition.meaning());
    }
    page.push_str(
        "\n## Reasons\n\n\
         Of conditions, of `status.nodes[]` and of Events. The condition's message has the exact names.\n\n\
         | reason | meaning |\n|---|---|\n",
    );
    for reason in Reason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", reason.meaning());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_on_the_page_once() {
        let page = conditions_page();
        for reason in Reason::ALL {
            assert_eq!(
                page.matches(&format!("| `{reason}` |")).count(),
                1,
                "{reason}"
            );
        }
    }
}
