//! Counting what passed, from the lines that test harnesses write.

use std::ops::AddAssign;

use shoal_skip::MARK;

/// How many tests and checks passed, failed, and were not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Not run.
    pub skipped: u64,
}

impl Totals {
    /// One check that passed.
    pub const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    /// One check that failed.
    pub const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
    /// One check that was not run.
    pub const SKIPPED: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 1,
    };

    /// The sum of all harness results in `output`. A test that said that it could not run did not pass: a harness
    /// counts it so, as it returned.
    pub fn of_harness(output: &str) -> Self {
        let mut totals = Self::default();
        let skips = skips(output).count() as u64;
        for line in output.lines() {
            if let Some(result) = line.trim().strip_prefix("test result: ") {
                totals += Self::of_result(result);
            }
        }
        totals.passed = totals.passed.saturating_sub(skips);
        totals.skipped += skips;
        totals
    }

    /// `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s`
    fn of_result(result: &str) -> Self {
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        let mut totals = Self::default();
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or(0);
            match words.next() {
                Some("passed") => totals.passed += number,
                Some("failed") => totals.failed += number,
                Some("ignored") => totals.skipped += number,
                _ => {}
            }
        }
        totals
    }
}

/// What tests said that they could not do, and why.
pub fn skips(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| line.strip_prefix(MARK))
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harness_counts() {
        let output = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.00s\n\
            noise: 7 passed\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let totals = Totals::of_harness(output);
        assert_eq!(
            totals,
            Totals {
                passed: 5,
                failed: 2,
                skipped: 1
            }
        );
        assert_eq!(totals.to_string(), "5 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn what_could_not_run_did_not_pass() {
        let output = "running 2 tests\ntest a ... \nSKIPPED: a: there is no redis-server here\nok\ntest b ... ok\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(
            Totals::of_harness(output).to_string(),
            "1 passed, 0 failed, 1 skipped"
        );
        let said: Vec<_> = skips(output).collect();
        assert_eq!(said, ["a: there is no redis-server here"]);
    }

    #[test]
    fn a_broken_result_counts_nothing() {
        assert_eq!(
            Totals::of_harness("test result: \ntest result: ok. many passed"),
            Totals::default()
        );
    }
}
