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
    /// Takes the entry at `position` out and closes the gap.
    #[inline(always)]
    pub(super) fn take_out(&mut self, position: usize) -> Removed<R> {
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
        owner.expunged(self.take_out(position));
        let mut look = position;
        while self.table.key(look) != 0 {
            if self.is_stale(look, owner) {
                // The gap pulls the next one in: look here again.
                owner.expunged(self.take_out(look));
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
        let mut look = self.table.next(position);
        while self.table.key(look) != 0 {
            if self.table.key(look) == key {
                let old = self.table.read(look);
                self.table.write(look, key, value, record);
                let first = self.first_stale_of_run(position, owner);
                let end = self.expunge_stale_entry(first, owner);
                self.clean_some_slots(end, self.capacity(), owner);
                return Some(old);
            }
            look = self.table.next(look);
        }
        owner.expunged(self.table.read(position));
        self.table.write(position, key, value, record);
        self.note_probe(self.table.home(key), position);
        let first = self.first_stale_of_run(position, owner);
        if first != position {
            let end = self.expunge_stale_entry(first, owner);
            self.clean_some_slots(end, self.capacity(), owner);
        } else if let Some(next) = self.next_stale_of_run(position, owner) {
            let end = self.expunge_stale_entry(next, owner);
            self.clean_some_slots(end, self.capacity(), owner);
        }
        None
    }

    /// The earliest stale entry of the run that `position` stands in, looking
    /// backwards only; `position` itself if there is none before it.
    fn first_stale_of_run(&self, position: usize, owner: &impl Owner<R>) -> usize {
        let mut first = position;
        let mut look = self.table.previous(position);
        while self.table.key(look) != 0 {
            if self.is_stale(look, owner) {
                first = look;
            }
            look = self.table.previous(look);
        }
        first
    }

    /// The first stale entry of the run behind `position`.
    fn next_stale_of_run(&self, position: usize, owner: &impl Owner<R>) -> Option<usize> {
        let mut look = self.table.next(position);
        while self.table.key(look) != 0 {
            if self.is_stale(look, owner) {
                return Some(look);
            }
            look = self.table.next(look);
        }
        None
    }

    /// Looks at about log2(`effort`) entries after `position`; each stale one
    /// that it finds expunges a run and renews the effort.
    ///
    /// A compromise between no sweep (garbage stays) and a full one (inserts
    /// cost O(n)): the JDK's, and its bound. Returns whether it found any.
    #[inline(never)]
    pub(super) fn clean_some_slots(
        &mut self,
        position: usize,
        effort: usize,
        owner: &mut impl Owner<R>,
    ) -> bool {
        let mut found = false;
        let mut effort = effort;
        let mut look = position;
        loop {
            look = self.table.next(look);
            if self.table.key(look) != 0 && self.is_stale(look, owner) {
                found = true;
                effort = self.capacity();
                look = self.expunge_stale_entry(look, owner);
            }
            effort >>= 1;
            if effort == 0 {
                return found;
            }
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
