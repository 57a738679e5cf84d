//! The invariants of a map's table and lists, as code, for tests.

use super::map::{record, Map};
use crate::key::holder::{Place, Stand};
use crate::sys::block;

impl Map {
    /// Asserts the invariants of the table and of the lists.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check_invariants(&self) {
        let mut standing = 0;
        let mut stale = 0;
        let mut aside = 0;
        for depth in 0..=self.scopes.depth() {
            for holder in self.order_at(depth).iter() {
                let fields = record(holder);
                assert_eq!(fields.depth.get(), depth, "2: in the list of another depth");
                if fields.stand.get() == Stand::Aside {
                    aside += 1;
                    continue;
                }
                assert!(fields.in_table(), "2: in `order` but not standing");
                // By its record: no look-up finds an entry whose value was reaped.
                let position = self.table().position_of(fields.handle.get(), holder);
                assert!(position.is_some(), "2: standing but not found");
                standing += 1;
                stale += usize::from(fields.place.get() == Place::Stale);
            }
        }
        self.with_table(|table, keeper| {
            assert_eq!(table.size(), standing, "2: an entry without a record in `order`");
            assert_eq!(table.promised(), aside, "2: an entry aside without a record in `order`");
            table.check_invariants(keeper, stale);
            if self.shown.get() {
                assert_eq!(block::view().table, table.view().table, "1: the hot slot's table");
                assert_eq!(block::view().mask, table.view().mask, "1: the hot slot's mask");
                assert_eq!(block::depth(), usize::from(self.scopes.depth()), "1: the depth");
            }
        });
    }
}
