//! The order in which apps are written: the most urgent first, one plan per app, one app at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

/// Plans that wait, by priority `P` (the least is the most urgent) and age.
#[derive(Debug)]
pub struct Queue<K, P, V> {
    waiting: HashMap<K, (P, u64, V)>,
    order: BTreeSet<(P, u64, K)>,
    running: HashSet<K>,
    depths: BTreeMap<P, usize>,
    next: u64,
}

impl<K, P, V> Default for Queue<K, P, V> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            order: BTreeSet::new(),
            running: HashSet::new(),
            depths: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K: Clone + Eq + Hash + Ord, P: Copy + Ord, V> Queue<K, P, V> {
    /// Queues a plan; it replaces the one of the same key that still waits, and keeps its place unless it is more
    /// urgent.
    pub fn push(&mut self, key: K, priority: P, plan: V) {
        let mut age = self.next;
        self.next += 1;
        if let Some(since) = self.remove(&key).map(|(_, since, _)| since) {
            age = since;
        }
        *self.depths.entry(priority).or_default() += 1;
        self.order.insert((priority, age, key.clone()));
        self.waiting.insert(key, (priority, age, plan));
    }

    /// Forgets the plan of `key` that waits: a newer look at the app found nothing to write.
    pub fn cancel(&mut self, key: &K) {
        self.remove(key);
    }

    /// The priority of what [`Queue::pop`] would return.
    pub fn peek(&self) -> Option<P> {
        self.first().map(|(priority, _, _)| *priority)
    }

    /// Takes the most urgent plan whose key is not being written; its key counts as being written until
    /// [`Queue::done`].
    pub fn pop(&mut self) -> Option<(K, P, V)> {
        let key = self.first()?.2.clone();
        let (priority, _, plan) = self.remove(&key)?;
        self.running.insert(key.clone());
        Some((key, priority, plan))
    }

    /// The writes of `key` ended.
    pub fn done(&mut self, key: &K) {
        self.running.remove(key);
    }

    /// Whether `key` is being written.
    pub fn is_running(&self, key: &K) -> bool {
        self.running.contains(key)
    }

    /// Whether nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Drops every plan that waits, and says whose they were.
    pub fn clear(&mut self) -> Vec<K> {
        self.order.clear();
        self.depths.clear();
        self.waiting.drain().map(|(key, _)| key).collect()
    }

    /// How many plans of this priority wait.
    pub fn depth(&self, priority: P) -> usize {
        self.depths.get(&priority).copied().unwrap_or(0)
    }

    fn remove(&mut self, key: &K) -> Option<(P, u64, V)> {
        let (priority, age, plan) = self.waiting.remove(key)?;
        self.order.remove(&(priority, age, key.clone()));
        if let Some(depth) = self.depths.get_mut(&priority) {
            *depth -= 1;
        }
        Some((priority, age, plan))
    }

    fn first(&self) -> Option<&(P, u64, K)> {
        self.order
            .iter()
            .find(|(_, _, key)| !self.running.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<&'static str, u8, u32> {
        Queue::default()
    }

    #[test]
    fn the_urgent_go_first_and_the_old_before_the_young() {
        let mut queue = queue();
        queue.push("cosmetic", 2, 0);
        queue.push("add-1", 1, 0);
        queue.push("add-2", 1, 0);
        queue.push("remove", 0, 0);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop().map(|(key, _, _)| key)).collect();
        assert_eq!(order, ["remove", "add-1", "add-2", "cosmetic"]);
    }

    #[test]
    fn a_newer_plan_replaces_the_one_that_waits_and_keeps_its_place() {
        let mut queue = queue();
        queue.push("a", 1, 1);
        queue.push("b", 1, 1);
        queue.push("a", 1, 2);
        assert_eq!(queue.pop(), Some(("a", 1, 2)));
        assert_eq!(queue.pop(), Some(("b", 1, 1)));
        queue.done(&"a");
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn an_app_is_written_by_one_plan_at_a_time() {
        let mut queue = queue();
        queue.push("a", 1, 1);
        queue.pop();
        queue.push("a", 0, 2);
        queue.push("b", 2, 1);
        assert_eq!(queue.pop(), Some(("b", 2, 1)));
        assert_eq!(queue.pop(), None);
        queue.done(&"a");
        assert_eq!(queue.pop(), Some(("a", 0, 2)));
    }

    #[test]
    fn a_cancelled_plan_is_not_written() {
        let mut queue = queue();
        queue.push("a", 1, 1);
        queue.cancel(&"a");
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.depth(1), 0);
    }

    #[test]
    fn clearing_names_whose_plans_were_dropped() {
        let mut queue = queue();
        queue.push("a", 1, 1);
        queue.push("b", 1, 1);
        queue.pop();
        assert_eq!(queue.clear(), ["b"]);
        assert!(queue.is_running(&"a"));
        assert_eq!(queue.peek(), None);
    }
}
