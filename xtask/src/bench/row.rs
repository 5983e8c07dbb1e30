//! What a bench found.

use serde_json::{Value, json};

/// A line of the table.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What is to be reached; empty where there is no bar.
    pub bar: &'static str,
    /// What came out, with its unit.
    pub result: String,
    /// How it came about: peers, counts.
    pub how: String,
}

/// The rows as a table of Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | bar | today | how |\n|---|---|---|---|\n");
    for row in rows {
        let Row {
            what,
            bar,
            result,
            how,
        } = row;
        text.push_str(&format!("| {what} | {bar} | {result} | {how} |\n"));
    }
    text
}

/// The rows as a list of objects.
pub fn json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| json!({"what": row.what, "bar": row.bar, "result": row.result, "how": row.how}))
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
    fn one_wild_value_does_not_move_the_median() {
        assert_eq!(median(vec![1.0, 900.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
