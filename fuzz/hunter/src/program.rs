// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an input says.
//!
//! A search needs inputs that stay meaningful when a part of them is cut out or
//! changed. So an input is a header and records of four bytes, and a record is
//! whole in itself: one operation at the end of one list, one key, or three
//! bytes of the schedule. Every byte string is a program:
//!
//! ```text
//!   header   [threads, options, -, -]
//!   record   [where, code, a, b]
//!     where 0..16    an operation of thread `where` (modulo their number)
//!     where 16..24   an operation of body `where - 16`
//!     where 24..28   a key: flags, bodies of its callbacks
//!     where 28..32   three steps of the schedule
//! ```
//!
//! A *body* is what a callback does: keys, hooks, visits and tasks name one.
//! `Without` switches groups of operations off, so that faults that are known
//! do not hide others: such an operation is decoded as a pause.

/// Most threads of a program.
pub(crate) const THREADS: usize = 16;
/// Bodies; body 0 does nothing.
pub(crate) const BODIES: usize = 9;
/// Codes of operations, those included that mean nothing yet.
const CODES: usize = 64;
/// Keys that a program names at the same time.
pub(crate) const KEYS: usize = 24;

macro_rules! operations {
    ($($name:ident $group:ident $weight:literal,)*) => {
        /// What an operation does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Code { $($name,)* }

        /// Every operation: its group, and how often a search chooses it.
        pub(crate) const OPERATIONS: &[(Code, Group, u32)] =
            &[$((Code::$name, Group::$group, $weight),)*];
    };
}

operations! {
    Pause Always 3,
    Set Always 24,
    SetNull Nulls 2,
    Get Always 10,
    GetExisting Always 2,
    TryGet Always 5,
    Swap Always 3,
    Take Always 3,
    Remove Always 7,
    RemoveAll Always 4,
    Expunge Always 4,
    ExpungeSome Always 3,
    Attach Always 1,
    Detach Detach 3,
    AtExit Hooks 3,
    OnStale Wakers 3,
    Release Always 12,
    Retain Always 2,
    Purge Purge 4,
    ForEach Visits 6,
    Scrape Visits 2,
    Drain Always 1,
    ExpungeAll Always 1,
    ScopeBegin Scopes 5,
    ScopeEnd Scopes 5,
    Capture Tasks 3,
    FreeContext Tasks 2,
    TaskCreate Tasks 3,
    TaskRun Tasks 3,
    TaskCancel Tasks 1,
    MapCreate Maps 3,
    MapSwitch Maps 6,
    MapDestroy Maps 3,
    Stats Always 1,
    Dump Dumps 1,
    ForEachLocal Locals 3,
    Check Always 4,
    FailAllocation Alloc 4,
    ExitThread Exits 5,
    CancelThread Cancel 3,
    Fork Forks 2,
    KeyCreate Always 5,
    SetMany Many 4,
    ReleaseMany Many 3,
    CleanupHandler Endings 2,
    KeyDestructor Endings 3,
    ThreadDestructor Endings 2,
    TakeAll Always 2,
}

/// Operations, and properties of keys, that are switched off together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Group {
    Always,
    Nulls,
    Detach,
    Hooks,
    Wakers,
    Purge,
    Visits,
    Scopes,
    Tasks,
    Maps,
    Dumps,
    Locals,
    Alloc,
    Exits,
    Cancel,
    Forks,
    Many,
    Endings,
    Init,
    Inherit,
    Worker,
    Any,
    UserFree,
    Budget,
    Stale,
    Dangling,
    Leaks,
    Reentrant,
    Deferred,
    Twice,
    Codes,
}

/// The names of groups, as `--without` takes them. `leaks`: callbacks of what a
/// thread's or scope's end destroys that do something. Others of the last few are
/// not operations but checks: of the budget of a call, of counts of stale values,
/// of what tls_get returns, of detaching inside callbacks, of values whose end
/// is deferred, of visits that meet a thread twice, of undocumented codes.
pub(crate) const GROUPS: &[(&str, Group)] = &[
    ("nulls", Group::Nulls),
    ("detach", Group::Detach),
    ("hooks", Group::Hooks),
    ("wakers", Group::Wakers),
    ("purge", Group::Purge),
    ("visits", Group::Visits),
    ("scopes", Group::Scopes),
    ("tasks", Group::Tasks),
    ("maps", Group::Maps),
    ("dumps", Group::Dumps),
    ("locals", Group::Locals),
    ("alloc", Group::Alloc),
    ("exits", Group::Exits),
    ("cancel", Group::Cancel),
    ("forks", Group::Forks),
    ("many", Group::Many),
    ("endings", Group::Endings),
    ("init", Group::Init),
    ("inherit", Group::Inherit),
    ("worker", Group::Worker),
    ("any", Group::Any),
    ("user_free", Group::UserFree),
    ("budget", Group::Budget),
    ("stale", Group::Stale),
    ("dangling", Group::Dangling),
    ("reentrant", Group::Reentrant),
    ("deferred", Group::Deferred),
    ("leaks", Group::Leaks),
    ("twice", Group::Twice),
    ("codes", Group::Codes),
];

/// The groups that are off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Without(u32);

impl Without {
    pub(crate) fn add(&mut self, group: Group) {
        self.0 |= 1 << group as u32;
    }

    pub(crate) fn has(self, group: Group) -> bool {
        self.0 >> group as u32 & 1 != 0
    }

    /// From a list of names with commas between them.
    pub(crate) fn parse(names: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let group = GROUPS.iter().find(|(known, _)| *known == name);
            all.add(group.ok_or_else(|| format!("no group {name}"))?.1);
        }
        Ok(all)
    }
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) code: Code,
    pub(crate) a: u8,
    pub(crate) b: u8,
}

/// What a key is like. Bodies are numbers of bodies, 0: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeySpec {
    pub(crate) any: bool,
    pub(crate) enumerable: bool,
    pub(crate) explicit: bool,
    pub(crate) worker: bool,
    pub(crate) inherit: bool,
    pub(crate) init: bool,
    /// init and copy fail at every third call.
    pub(crate) fails: bool,
    pub(crate) destroy_body: usize,
    pub(crate) init_body: usize,
    pub(crate) copy_body: usize,
    pub(crate) free_body: usize,
}

/// What an input says.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) keys: Vec<KeySpec>,
    pub(crate) threads: Vec<Vec<Op>>,
    pub(crate) bodies: Vec<Vec<Op>>,
    pub(crate) schedule: Vec<u8>,
    /// NULL may be stored: then counts of values can't be compared.
    pub(crate) nulls: bool,
}

pub(crate) const HEADER: usize = 4;
pub(crate) const RECORD: usize = 4;

fn body_number(bits: u8) -> usize {
    usize::from(bits & 15).min(15) % BODIES
}

impl Program {
    pub(crate) fn decode(bytes: &[u8], without: Without) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let threads = 1 + usize::from(byte(0)) % THREADS;
        let mut program = Self {
            keys: Vec::new(),
            threads: vec![Vec::new(); threads],
            bodies: vec![Vec::new(); BODIES],
            schedule: Vec::new(),
            nulls: byte(1) & 1 != 0 && !without.has(Group::Nulls),
        };
        for record in bytes.get(HEADER..).unwrap_or(&[]).chunks_exact(RECORD) {
            program.add(record[0] & 31, [record[1], record[2], record[3]], without);
        }
        if program.keys.is_empty() {
            program.keys.push(KeySpec::default());
        }
        program
    }

    fn add(&mut self, place: u8, bytes: [u8; 3], without: Without) {
        let threads = self.threads.len();
        let op = self.op(bytes, without);
        match place {
            0..16 => self.threads[usize::from(place) % threads].push(op),
            16..24 => self.bodies[usize::from(place) - 15].push(op),
            24..28 if self.keys.len() < KEYS => self.keys.push(key_spec(bytes, without)),
            24..28 => {}
            _ => self.schedule.extend(bytes),
        }
    }

    fn op(&self, [code, a, b]: [u8; 3], without: Without) -> Op {
        // Codes that mean nothing yet are pauses: so an operation that is added,
        // at the end, changes no input that is kept.
        let known = OPERATIONS.get(usize::from(code) % CODES);
        let (code, group, _) = *known.unwrap_or(&OPERATIONS[0]);
        let off = without.has(group) || (group == Group::Nulls && !self.nulls);
        Op { code: if off { Code::Pause } else { code }, a, b }
    }
}

fn key_spec([flags, first, second]: [u8; 3], without: Without) -> KeySpec {
    let bit = |at: u8, group: Group| flags >> at & 1 != 0 && !without.has(group);
    let worker = bit(2, Group::Worker);
    KeySpec {
        any: bit(0, Group::Any),
        enumerable: bit(1, Group::Visits),
        explicit: bit(6, Group::Always),
        worker,
        inherit: !worker && bit(3, Group::Inherit),
        init: bit(4, Group::Init),
        fails: bit(5, Group::Always),
        destroy_body: body_number(first),
        init_body: body_number(first >> 4),
        copy_body: body_number(second),
        free_body: if without.has(Group::UserFree) { 0 } else { body_number(second >> 4) },
    }
}
