use std::{
    sync::atomic::AtomicUsize,
    task::{Wake, Waker},
};

use super::{turn::Begun, *};

/// Counts how often what polls a guest was woken.
#[derive(Default)]
struct Poller(AtomicUsize);

impl Wake for Poller {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Guest {
    turn: Arc<Turn>,
    poller: Arc<Poller>,
}

impl Guest {
    fn of(share: &Arc<Share>) -> Self {
        Self {
            turn: Turn::new(Arc::clone(share)),
            poller: Arc::default(),
        }
    }

    fn begin(&self) -> Option<Begun> {
        self.turn.begin(&Waker::from(Arc::clone(&self.poller)))
    }

    /// Runs until its turn is over, and wants to go on.
    fn spin(&self) {
        let begun = self.begin().expect("its turn");
        Waker::from(Arc::clone(&self.turn)).wake();
        self.turn.end(begun, false);
    }

    fn woken(&self) -> usize {
        self.poller.0.swap(0, Ordering::SeqCst)
    }
}

fn apps<const N: usize>(threads: usize) -> (Arc<Turns>, [Arc<Share>; N]) {
    let turns = Turns::new(threads);
    let shares = [(); N].map(|()| {
        let share = turns.share();
        share.set_weight(1000);
        Arc::new(share)
    });
    (turns, shares)
}

#[test]
fn a_guest_runs_at_once_where_nobody_waits_and_then_when_it_is_woken() {
    let (_, [app]) = apps(1);
    let guest = Guest::of(&app);
    let begun = guest.begin().unwrap();
    guest.turn.end(begun, false);
    assert!(guest.begin().is_none(), "it waits for something");
    Waker::from(Arc::clone(&guest.turn)).wake();
    assert_eq!(guest.woken(), 1);
    let begun = guest.begin().unwrap();
    guest.turn.end(begun, true);
    Waker::from(Arc::clone(&guest.turn)).wake();
    assert_eq!(guest.woken(), 0, "it is no more");
}

#[test]
fn one_that_spins_is_woken_again_and_again() {
    let (_, [app]) = apps(2);
    let guest = Guest::of(&app);
    for _ in 0..10 {
        guest.spin();
        assert_eq!(guest.woken(), 1);
    }
}

#[test]
fn no_more_are_woken_than_there_are_threads_and_no_one_is_forgotten() {
    let (turns, [app]) = apps(2);
    let guests: Vec<_> = (0..10).map(|_| Guest::of(&app)).collect();
    guests.iter().for_each(|guest| {
        // All began before anybody waited.
        let begun = guest.begin();
        if let Some(begun) = begun {
            Waker::from(Arc::clone(&guest.turn)).wake();
            guest.turn.end(begun, false);
        }
    });
    let mut turns_had = vec![0; guests.len()];
    let mut ready: Vec<usize> = (0..10).filter(|&i| guests[i].woken() > 0).collect();
    for _ in 0..1000 {
        assert!(!ready.is_empty() && ready.len() <= 2, "{ready:?}");
        let next = ready.remove(0);
        guests[next].spin();
        turns_had[next] += 1;
        ready.extend((0..10).filter(|&i| guests[i].woken() > 0));
    }
    assert!(
        turns_had.iter().all(|had| (95..=105).contains(had)),
        "{turns_had:?}"
    );
    drop(turns);
}

#[test]
fn an_app_that_rested_runs_before_those_that_wait() {
    let (turns, [greedy, modest]) = apps(1);
    let spinners: Vec<_> = (0..3).map(|_| Guest::of(&greedy)).collect();
    greedy.charge(5_000_000);
    spinners.iter().for_each(Guest::spin_or_wait);
    assert!(turns.first.load(Ordering::SeqCst) >= 5_000_000);
    let guest = Guest::of(&modest);
    let begun = guest.begin().expect("it had less");
    guest.turn.end(begun, true);
    // But not for ever: what it had before it rested is no credit.
    modest.charge(50_000_000);
    let another = Guest::of(&modest);
    assert!(another.begin().is_none(), "now it waits as well");
}

impl Guest {
    fn spin_or_wait(&self) {
        if let Some(begun) = self.begin() {
            Waker::from(Arc::clone(&self.turn)).wake();
            self.turn.end(begun, false);
        }
    }
}

#[test]
fn guests_that_are_dropped_hold_up_nobody() {
    let (turns, [a, b]) = apps(1);
    let (first, second, third) = (Guest::of(&a), Guest::of(&a), Guest::of(&b));
    first.spin();
    assert_eq!(first.woken(), 1, "its turn has come");
    second.spin_or_wait();
    third.spin_or_wait();
    // With its turn unused.
    first.turn.leave();
    let woken = second.woken() + third.woken();
    assert_eq!(woken, 1, "the next has it");
    second.turn.leave();
    third.turn.leave();
    let waiting = turns.queue.lock();
    assert_eq!((waiting.granted, waiting.queue.shares()), (0, 0));
    assert_eq!(turns.first.load(Ordering::SeqCst), NOBODY);
}
