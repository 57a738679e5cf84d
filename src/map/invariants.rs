//! The invariants of the module's text, as code.

use super::{Owner, ThreadLocalMap, INITIAL_CAPACITY};

impl<R: Copy + PartialEq> ThreadLocalMap<R> {
    /// Asserts the invariants; `stale` is how many entries the owner says are
    /// stale.
    ///
    /// For tests and debug builds: O(capacity x run).
    ///
    /// # Panics
    ///
    /// When one does not hold; the text says which and where.
    pub fn check_invariants(&self, owner: &impl Owner<R>, stale: usize) {
        let capacity = self.capacity();
        if capacity == 0 {
            assert_eq!(self.size, 0, "1: entries without a table");
            return;
        }
        assert!(capacity.is_power_of_two(), "1: capacity {capacity}");
        assert!(capacity >= INITIAL_CAPACITY, "1: capacity {capacity}");
        let mut entries = 0;
        let mut stale_entries = 0;
        for position in 0..capacity {
            let key = self.table.key(position);
            if key == 0 {
                assert!(self.table.value(position).is_null(), "5: a value at {position}");
                continue;
            }
            entries += 1;
            stale_entries += usize::from(self.is_stale(position, owner));
            // A walk that stops elsewhere met a gap (2) or a second copy (3);
            // vacated entries are told apart by their records.
            let found = if super::Entry::is_vacated(key) {
                self.position_of(key, self.table.record(position))
            } else {
                self.get_entry(key)
            };
            assert_eq!(found, Some(position), "2, 3: key {key:#x} at {position} is found there");
        }
        assert_eq!(entries, self.size, "4: size");
        assert!(self.size < capacity, "4: a full table");
        assert_eq!(stale_entries, stale, "6: stale entries");
    }
}
