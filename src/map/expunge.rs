// SPDX-License-Identifier: MIT OR Apache-2.0
//! Taking entries out: one, a run's stale ones, a sample, all stale ones.
//!
//! # Why closing a gap keeps every key reachable
//!
//! ```text
//!   before      [ A ][ gap ][ B ][ C ][ D ][   ]     homes: B 1, C 0, D 4
//!   B may move:   its walk starts at the gap or before it
//!   copied      [ A ][ B   ][ B ][ C ][ D ][   ]     both are found, same value
//!   gap is now 2; C may move
//!   copied      [ A ][ B   ][ C ][ C ][ D ][   ]
//!   D may not (its home is 4); the run ends
//!   cleared     [ A ][ B   ][ C ][   ][ D ][   ]
//! ```
//!
//! An entry at `next` may fill the gap if its walk passes the gap: its home is
//! at least as far behind `next` as the gap is. Until the last line no entry
//! of the run is empty, so a handler that looks in between finds every key.

use super::{Owner, Removed, ThreadLocalMap};

impl<R: Copy> ThreadLocalMap<R> {
    /// Takes the entry out at a position that a look-up returned, and closes the gap.
    /// The table keeps its capacity: see [`can_shrink`](Self::can_shrink).
    #[inline(never)]
    pub fn remove_at(&mut self, position: usize) -> Removed<R> {
        let removed = self.table.read(position);
        self.table.close(position);
        self.size -= 1;
        let mut gap = position;
        let mut next = position;
        loop {
            next = self.table.next(next);
            let key = self.table.key(next);
            if key == 0 {
                break;
            }
            let from_home = self.table.distance(self.table.home(key), next);
            if from_home >= self.table.distance(gap, next) {
                self.table.copy(next, gap);
                gap = next;
            }
        }
        self.table.clear(gap);
        removed
    }

    /// Expunges the stale entry at `position` and every stale entry of the
    /// rest of its run; re-homes what stays. Returns where the run ends now.
    pub(super) fn expunge_stale_entry(
        &mut self,
        position: usize,
        owner: &mut impl Owner<R>,
    ) -> usize {
        owner.expunged(self.remove_at(position));
        let mut look = position;
        while self.table.key(look) != 0 {
            if self.is_stale(look, owner) {
                // The gap pulls the next one in: look here again.
                owner.expunged(self.remove_at(look));
            } else {
                look = self.table.next(look);
            }
        }
        look
    }

    /// Stores `key` where the walk for it met a stale entry at `position`.
    ///
    /// The rest of the run is searched first: the key may stand beyond, and
    /// must not stand twice. Whatever else is stale in this run goes as well,
    /// from its first entry on, which may lie before `position`.
    #[inline(never)]
    pub(super) fn replace_stale_entry(
        &mut self,
        key: u64,
        value: *mut core::ffi::c_void,
        record: R,
        position: usize,
        owner: &mut impl Owner<R>,
    ) -> Option<Removed<R>> {
        let beyond = self.table.next(position);
        let found = self.table.run(beyond).find(|look| self.table.key(*look) == key);
        let old = match found {
            Some(found) => Some(self.table.read(found)),
            None => {
                owner.expunged(self.table.read(position));
                self.note_probe(self.table.home(key), position);
                None
            }
        };
        self.table.write(found.unwrap_or(position), key, value, record);
        if let Some(first) = self.first_stale_of_run(position, owner) {
            let end = self.expunge_stale_entry(first, owner);
            self.clean_some_slots(end, self.capacity(), owner);
        }
        old
    }

    /// The first stale entry of the run that `position` stands in.
    fn first_stale_of_run(&self, position: usize, owner: &impl Owner<R>) -> Option<usize> {
        let mut start = position;
        while self.table.key(self.table.previous(start)) != 0 {
            start = self.table.previous(start);
        }
        self.table.run(start).find(|look| self.is_stale(*look, owner))
    }

    /// Looks at about log2(`effort`) entries after `position`; each stale one
    /// that it finds expunges a run and renews the effort.
    ///
    /// A compromise between no sweep (garbage stays) and a full one (inserts
    /// cost O(n)): the JDK's, and its bound.
    #[inline(never)]
    pub(super) fn clean_some_slots(
        &mut self,
        position: usize,
        effort: usize,
        owner: &mut impl Owner<R>,
    ) {
        let (mut look, mut effort) = (position, effort.max(1));
        while effort > 0 {
            look = self.table.next(look);
            if self.table.key(look) != 0 && self.is_stale(look, owner) {
                effort = self.capacity();
                look = self.expunge_stale_entry(look, owner);
            }
            effort >>= 1;
        }
    }

    /// Expunges every stale entry of the table.
    pub fn expunge_stale_entries(&mut self, owner: &mut impl Owner<R>) {
        for position in 0..self.capacity() {
            if self.table.key(position) != 0 && self.is_stale(position, owner) {
                self.expunge_stale_entry(position, owner);
            }
        }
    }
}
