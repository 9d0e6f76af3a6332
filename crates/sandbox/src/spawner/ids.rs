//! Host user ids: two for each environment, of nobody else at that time. A kept /tmp keeps its ids, since they own the
//! files in it.

use hearth_types::limits::SANDBOXES;

use crate::init::Ids;

/// Which pairs are free.
pub(super) struct IdPool {
    base: u32,
    taken: Vec<bool>,
}

/// One taken pair; given back with [`IdPool::give_back`].
#[derive(Debug)]
pub(super) struct IdPair(u32);

impl IdPool {
    pub(super) fn new(base: u32) -> Self {
        Self { base, taken: vec![false; SANDBOXES as usize] }
    }

    /// A free pair; none where all are taken.
    pub(super) fn take(&mut self) -> Option<IdPair> {
        let index = self.taken.iter().position(|taken| !taken)?;
        self.taken[index] = true;
        Some(IdPair(index as u32))
    }

    pub(super) fn give_back(&mut self, pair: IdPair) {
        self.taken[pair.0 as usize] = false;
    }

    pub(super) fn ids(&self, pair: &IdPair) -> Ids {
        let function = self.base + 2 * pair.0;
        Ids { function, init: function + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_environments_share_an_id() {
        let mut pool = IdPool::new(1000);
        let first = pool.take().unwrap();
        let second = pool.take().unwrap();
        assert_eq!(pool.ids(&first), Ids { function: 1000, init: 1001 });
        assert_eq!(pool.ids(&second), Ids { function: 1002, init: 1003 });
        pool.give_back(first);
        let again = pool.take().unwrap();
        assert_eq!(pool.ids(&again).function, 1000);
    }

    #[test]
    fn the_pool_ends() {
        let mut pool = IdPool::new(0);
        let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken.len(), SANDBOXES as usize);
    }
}
