//! Which mapped code goes where room is short: what was not used for long, gives much room, and is soon back.

use std::cmp::Ordering;

/// Code that may go: no request uses it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Seconds since its last request.
    pub(super) age: u64,
    /// Room that it gives, in the unit of what is short; at least 1.
    pub(super) room: u64,
    /// What having it again costs: microseconds that its mapping took.
    pub(super) again: u64,
}

impl Candidate {
    /// The order in which code goes: what costs least for each second that it was not needed and each unit of
    /// room that it takes.
    fn goes_before(&self, other: &Self) -> Ordering {
        // again / (room * age), compared without dividing.
        let weight = |a: &Self, b: &Self| {
            u128::from(a.again.max(1))
                .saturating_mul(u128::from(b.room.max(1)))
                .saturating_mul(u128::from(b.age.saturating_add(1)))
        };
        weight(self, other).cmp(&weight(other, self))
    }
}

/// Those that go so that at least `wanted` is free: positions in `candidates`. All of them where they are not
/// enough.
pub(super) fn victims(candidates: &[Candidate], wanted: u64) -> Vec<usize> {
    let mut order: Vec<(usize, &Candidate)> = candidates.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.goes_before(b));
    let mut free = 0_u64;
    order
        .into_iter()
        .take_while(|(_, candidate)| {
            let enough = free >= wanted;
            free = free.saturating_add(candidate.room.max(1));
            !enough
        })
        .map(|(position, _)| position)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        (0..100_000_u64, 1..1_000_000_u64, 0..1_000_000_u64)
            .prop_map(|(age, room, again)| Candidate { age, room, again })
    }

    proptest! {
        #[test]
        fn enough_goes_and_no_more(
            candidates in prop::collection::vec(candidate(), 0..40),
            wanted in 0..10_000_000_u64,
        ) {
            let gone = victims(&candidates, wanted);
            let room: u64 = gone.iter().map(|&i| candidates[i].room).sum();
            let all: u64 = candidates.iter().map(|c| c.room).sum();
            prop_assert!(room >= wanted.min(all));
            if let Some((_, first)) = gone.split_last() {
                let without_last: u64 = first.iter().map(|&i| candidates[i].room).sum();
                prop_assert!(without_last < wanted, "the last was needed");
            }
        }

        #[test]
        fn what_is_used_less_lately_larger_or_sooner_back_goes_first(
            kept in candidate(), older in 1..1000_u64, larger in 1..1000_u64, sooner in 0..1000_u64,
        ) {
            let goes = Candidate {
                age: kept.age + older,
                room: kept.room + larger,
                again: kept.again.saturating_sub(sooner),
            };
            prop_assert_eq!(victims(&[kept, goes], 1), vec![1]);
        }

        #[test]
        fn the_order_has_no_circle(a in candidate(), b in candidate(), c in candidate()) {
            if a.goes_before(&b) == Ordering::Less && b.goes_before(&c) == Ordering::Less {
                prop_assert_eq!(a.goes_before(&c), Ordering::Less);
            }
        }
    }
}
