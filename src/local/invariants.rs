//! The invariants of a map's table and records, as code, for tests.

use core::ptr::NonNull;

use super::map::Map;
use super::record::{Location, Record, State};
use crate::sys::block;

impl Map {
    /// Asserts the invariants of the table and of the records.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check_invariants(&self) {
        let (mut in_table, mut stale, mut values) = (0, 0, 0);
        for record in self.records() {
            let fields = Record::at(record);
            let state = fields.state();
            assert_eq!(
                self.order.get(fields.position.get()).and_then(NonNull::new),
                Some(record),
                "map 4: not at its place by age"
            );
            assert_ne!(state, State::Free, "map 4: a free record is in `order`");
            values += u64::from(state.has_value());
            let position = self.table().position_of(fields.handle.get(), record);
            assert!(position.is_some() || state != State::Live, "live but not found");
            assert!(
                position.is_none()
                    || state == State::Live
                    || state == State::Taken
                    || !fields.covers.get().is_null(),
                "covering 3: a placeholder without anything to hide"
            );
            in_table += usize::from(position.is_some());
            stale += usize::from(position.is_some() && fields.location.get() == Location::Stale);
            // Of a reserved record it is the chain of init callbacks.
            let covered = NonNull::new(fields.covers.get());
            if let Some(covered) = covered.filter(|_| state != State::Reserved) {
                let covered = Record::at(covered);
                assert_eq!(covered.handle.get(), fields.handle.get(), "covering 1");
                assert!(
                    covered.state() == State::Covered
                        || !covered.covers.get().is_null()
                        || covered.state() == State::Taken,
                    "covering 2: covers a record that is {:?}",
                    covered.state()
                );
            }
        }
        let entries = self.counters.entries.load(crate::sys::sync::Ordering::Relaxed);
        let taken = self.records().filter(|record| {
            let fields = Record::at(*record);
            // A deferred value was not counted any more when it was taken.
            let counted = fields.reason.get() == 0;
            fields.state() == State::Taken && fields.location.get() != Location::Dropped && counted
        });
        assert_eq!(entries, values + taken.count() as u64, "the count of entries");
        self.with_table(usize::MAX, |table, owner| {
            assert_eq!(table.size(), in_table, "2: an entry without a record in `order`");
            table.check_invariants(owner, stale);
            if self.is_published() {
                assert_eq!(block::view().table, table.view().table, "the hot slot's table");
                assert_eq!(block::view().mask, table.view().mask, "the hot slot's mask");
                assert_eq!(block::depth(), usize::from(self.depth()), "the depth");
            }
        });
    }
}
