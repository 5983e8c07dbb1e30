//! How many objects are under way at once: of one Store, so that it leaves room for others, and of all.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::BlobError;
use crate::StoreId;

/// See the module.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Shared>);

struct Shared {
    what: &'static str,
    of_one: usize,
    of_all: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    each: HashMap<StoreId, usize>,
}

/// One object under way, until it is dropped.
pub(crate) struct Slot {
    slots: Slots,
    store: StoreId,
}

impl Slots {
    /// `what` happens to them, as in "written".
    pub(crate) fn new(what: &'static str, of_one: usize, of_all: usize) -> Self {
        Self(Arc::new(Shared {
            what,
            of_one,
            of_all,
            taken: Mutex::default(),
        }))
    }

    pub(crate) fn enter(&self, store: StoreId) -> Result<Slot, BlobError> {
        let Shared {
            what,
            of_one,
            of_all,
            taken,
        } = &*self.0;
        let mut taken = taken.lock();
        let all = taken.all;
        let one = taken.each.entry(store).or_default();
        if *one >= *of_one || all >= *of_all {
            let most = if *one >= *of_one {
                format!("{of_one} objects of this store")
            } else {
                format!("{of_all} objects")
            };
            if *one == 0 {
                taken.each.remove(&store);
            }
            return Err(BlobError::Unavailable(format!(
                "{most} are being {what}, which is as many as can be at once"
            )));
        }
        *one += 1;
        taken.all += 1;
        Ok(Slot {
            slots: self.clone(),
            store,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.taken.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(one) = taken.each.get_mut(&self.store) {
            *one -= 1;
            if *one == 0 {
                taken.each.remove(&self.store);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_store_leaves_room_for_others_and_all_have_a_bound() {
        let slots = Slots::new("written", 2, 3);
        let (a, b) = (StoreId::random(), StoreId::random());
        let held = [slots.enter(a).unwrap(), slots.enter(a).unwrap()];
        assert!(slots.enter(a).is_err());
        let other = slots.enter(b).unwrap();
        assert!(slots.enter(b).is_err());
        drop(other);
        assert!(slots.enter(StoreId::random()).is_ok());
        drop(held);
        assert!(slots.0.taken.lock().each.is_empty());
        assert_eq!(slots.0.taken.lock().all, 0);
    }
}
