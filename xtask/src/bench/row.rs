//! What a bench found.

use serde_json::{Value, json};

/// A line of the table.
#[derive(Default)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What is to be reached; empty where there is no bar.
    pub bar: &'static str,
    /// What would be better still; empty where nothing was said.
    pub stretch: &'static str,
    /// Whether the bar is reached; `None` where there is none.
    pub met: Option<bool>,
    /// What came out, with its unit.
    pub result: String,
    /// How it came about: peers, counts.
    pub how: String,
}

/// The rows as a table of Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("| what | bar | stretch | today | met | how |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let Row {
            what,
            bar,
            stretch,
            met,
            result,
            how,
        } = row;
        let met = match met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        text.push_str(&format!(
            "| {what} | {bar} | {stretch} | {result} | {met} | {how} |\n"
        ));
    }
    text
}

/// The rows as a list of objects.
pub fn json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "what": row.what, "bar": row.bar, "stretch": row.stretch, "met": row.met,
                "result": row.result, "how": row.how,
            })
        })
        .collect()
}

/// The middle of `values`; none of no values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_bar_is_reached() {
        let row = |met| Row {
            what: "a".into(),
            bar: "< 1",
            met,
            ..Row::default()
        };
        let rows = [row(Some(true)), row(Some(false)), row(None)];
        let text = table(&rows);
        for line in [
            "| a | < 1 |  |  | yes |  |",
            "| no |",
            "| a | < 1 |  |  |  |  |",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(json(&rows)[1]["met"], false);
        assert_eq!(json(&rows)[2]["met"], Value::Null);
    }

    #[test]
    fn one_wild_value_does_not_move_the_median() {
        assert_eq!(median(vec![1.0, 900.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
