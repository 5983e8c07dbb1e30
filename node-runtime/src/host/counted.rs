//! Things that a guest holds open, of which an instance may have so many at once: each counts for as long as it is
//! there.

use std::sync::Arc;

/// How many of one kind an instance holds.
#[derive(Default)]
pub(super) struct Counted(Option<Arc<()>>);

/// One of them; it makes room for another when it is dropped.
#[derive(Debug)]
pub(super) struct Open(#[expect(dead_code, reason = "counted for as long as it is there")] Arc<()>);

impl Counted {
    /// One more; `None`: there are `most` already.
    pub(super) fn one_more(&mut self, most: usize) -> Option<Open> {
        // Most instances open nothing: they pay nothing for it.
        let all = self.0.get_or_insert_default();
        (Arc::strong_count(all) <= most).then(|| Open(Arc::clone(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_at_once_and_one_that_goes_makes_room() {
        let mut counted = Counted::default();
        let mut open: Vec<_> = (0..3).map(|_| counted.one_more(3).unwrap()).collect();
        assert!(counted.one_more(3).is_none());
        open.pop();
        open.push(counted.one_more(3).unwrap());
        assert!(counted.one_more(3).is_none());
        drop(open);
        assert!(counted.one_more(1).is_some());
        assert!(counted.one_more(0).is_none());
    }
}
