//! How many exports, imports and purges are under way at once: of one user, so that it leaves room for others, and of
//! all.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::failure::Failure;
use super::user::User;

/// Of all: each may hold 40 MiB, where values are of 8 MiB.
const MOST: usize = 4;
const MOST_OF_ONE: usize = 2;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Transfers(Arc<Mutex<HashMap<String, usize>>>);

/// One that is under way, until it is dropped.
pub(super) struct Transfer {
    of: Transfers,
    user: String,
}

impl Transfers {
    /// # Errors
    /// There are as many as may be.
    pub(super) fn begin(&self, user: &User) -> Result<Transfer, Failure> {
        let mut under_way = self.0.lock();
        let of_user = under_way.get(&user.name).copied().unwrap_or_default();
        if of_user >= MOST_OF_ONE {
            return Err(Failure::too_many(format!(
                "user \"{}\" has {of_user} exports, imports and purges under way, which is as many as may be; wait for \
                 one of them",
                user.name
            )));
        }
        if under_way.values().sum::<usize>() >= MOST {
            return Err(Failure::too_many(
                "too many exports and imports at once; try again in some seconds",
            ));
        }
        under_way.insert(user.name.clone(), of_user + 1);
        Ok(Transfer {
            of: self.clone(),
            user: user.name.clone(),
        })
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut under_way = self.of.0.lock();
        if let Some(of_user) = under_way.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                under_way.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User {
            name: name.to_owned(),
            ..User::default()
        }
    }

    #[test]
    fn one_user_leaves_room_for_others_and_all_have_a_bound() {
        let transfers = Transfers::default();
        let begin = |name| transfers.begin(&user(name));
        let of_ada = [begin("ada").unwrap(), begin("ada").unwrap()];
        let refused = begin("ada").err().unwrap();
        assert!(refused.message.contains("\"ada\" has 2"), "{refused:?}");
        let of_eve = [begin("eve").unwrap(), begin("eve").unwrap()];
        let refused = begin("bob").err().unwrap();
        assert!(refused.message.contains("try again"), "{refused:?}");
        drop(of_ada);
        assert!(begin("bob").is_ok() && begin("ada").is_ok());
        drop(of_eve);
        assert!(transfers.0.lock().is_empty());
    }
}
