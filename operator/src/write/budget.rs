//! How many writes a second the API server gets from us: more while it answers fast, fewer when it is busy.

use std::time::{Duration, Instant};

const START: f64 = 100.0;
const LEAST: f64 = 5.0;
const MOST: f64 = 1000.0;
/// Writes a second that are added for every second of fast answers.
const GROWTH: f64 = 50.0;
const BURST_SECONDS: f64 = 0.25;
const FAST: Duration = Duration::from_millis(250);
const SLOW: Duration = Duration::from_secs(1);
/// Answers to requests that were sent together tell of one state of the server: it is heeded once.
const CALM: Duration = Duration::from_millis(500);

/// A token bucket whose rate grows by addition and shrinks by multiplication.
#[derive(Debug)]
pub struct Budget {
    rate: f64,
    tokens: f64,
    filled: Instant,
    shrunk: Option<Instant>,
}

impl Budget {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self {
            rate: START,
            tokens: START * BURST_SECONDS,
            filled: now,
            shrunk: None,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// None is left: how long to wait for the next.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
    }

    /// Takes a token although none may be left: what is dead leaves at once, others wait for it.
    pub fn take_urgent(&mut self, now: Instant) {
        self.fill(now);
        self.tokens = (self.tokens - 1.0).max(-self.rate);
    }

    /// A request was answered after `latency`.
    pub fn answered(&mut self, latency: Duration, now: Instant) {
        if latency >= SLOW {
            self.shrink(0.7, now);
        } else if latency <= FAST {
            self.rate = (self.rate + GROWTH / self.rate).min(MOST);
        }
    }

    /// A request was refused with 429, or not answered in time.
    pub fn refused(&mut self, now: Instant) {
        self.shrink(0.5, now);
    }

    /// Writes a second at the moment.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    fn shrink(&mut self, factor: f64, now: Instant) {
        if self.shrunk.is_some_and(|at| now.duration_since(at) < CALM) {
            return;
        }
        self.shrunk = Some(now);
        self.rate = (self.rate * factor).max(LEAST);
        self.tokens = self.tokens.min(0.0);
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.duration_since(self.filled).as_secs_f64();
        self.filled = now;
        let most = (self.rate * BURST_SECONDS).max(1.0);
        self.tokens = (self.tokens + passed * self.rate).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(budget: &mut Budget, now: Instant) -> usize {
        std::iter::from_fn(|| budget.take(now).ok()).count()
    }

    #[test]
    fn an_empty_bucket_says_how_long_to_wait_and_then_gives() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert_eq!(drain(&mut budget, start), 25);
        let wait = budget.take(start).unwrap_err();
        assert!(
            budget
                .take(start + wait + Duration::from_micros(10))
                .is_ok()
        );
    }

    #[test]
    fn fast_answers_raise_the_rate_and_refusals_halve_it() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for _ in 0..100 {
            budget.answered(Duration::from_millis(5), start);
        }
        let raised = budget.rate();
        assert!(raised > START + 30.0, "{raised}");
        budget.refused(start);
        assert!((budget.rate() - raised / 2.0).abs() < 1e-6);
    }

    #[test]
    fn refusals_of_one_moment_count_once() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        budget.refused(start);
        budget.refused(start + Duration::from_millis(10));
        assert!((budget.rate() - START / 2.0).abs() < 1e-6);
        budget.refused(start + CALM);
        assert!((budget.rate() - START / 4.0).abs() < 1e-6);
    }

    #[test]
    fn the_rate_never_leaves_its_bounds() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for n in 0..100 {
            budget.refused(start + CALM * n);
        }
        assert!((budget.rate() - LEAST).abs() < 1e-6);
        for _ in 0..1_000_000 {
            budget.answered(Duration::ZERO, start);
        }
        assert!(budget.rate() <= MOST);
    }

    #[test]
    fn urgent_writes_do_not_wait_but_others_then_do() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for _ in 0..75 {
            budget.take_urgent(start);
        }
        assert!(budget.take(start + Duration::from_millis(400)).is_err());
        assert!(budget.take(start + Duration::from_millis(600)).is_ok());
    }
}
