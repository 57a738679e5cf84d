// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C kernels, found by name in the program and in the shared object.
//!
//! `kernels/kernel.h` says what a kernel is, and why each exists four times.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Fallible;

/// How many copies of each kernel exist, at different addresses.
pub const PLACEMENTS: usize = 4;

/// What a kernel works on (`struct bench_input`).
#[repr(C)]
pub struct Input {
    pub keys: *const u64,
    pub count: usize,
    pub values: [*mut c_void; 2],
    pub result: *mut u64,
}

impl Input {
    /// For a kernel that stores no result.
    pub fn over(keys: &[u64], values: [*mut c_void; 2]) -> Input {
        Input { keys: keys.as_ptr(), count: keys.len(), values, result: std::ptr::null_mut() }
    }
}

pub type Function = unsafe extern "C" fn(*const Input, u64);

/// One line of a table of kernels (`struct bench_kernel`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Line {
    name: *const c_char,
    placements: [Option<Function>; PLACEMENTS],
}

/// A timed loop.
#[derive(Clone, Copy)]
pub struct Kernel {
    placements: [Function; PLACEMENTS],
}

impl Kernel {
    pub fn run(&self, placement: usize, input: &Input, operations: u64) {
        // SAFETY: the input was built by `contenders`, for this kernel: its
        // array holds `count` handles that live until the kernel returns.
        unsafe { self.placements[placement % PLACEMENTS](input, operations) }
    }
}

/// Where the code of a kernel is.
#[derive(Clone, Copy)]
pub enum Place {
    /// In the program itself.
    Program,
    /// In a `-fPIC` shared object that the program opened.
    Object,
}

/// The two tables of kernels.
pub struct Kernels {
    program: *const Line,
    object: *const Line,
    handle: *mut c_void,
}

extern "C" {
    static program_kernels: [Line; 0];
}

/// Finds the program's table and opens the shared object with the other.
pub fn load() -> Fallible<Kernels> {
    let path = CString::new(env!("BENCH_OBJECT")).expect("a path has no NUL");
    // SAFETY: build.rs made the object: it has no constructors that would
    // run on opening but those of the library's header.
    let object = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if object.is_null() {
        // SAFETY: dlopen has just failed, so there is a message.
        let message = unsafe { CStr::from_ptr(libc::dlerror()) };
        return Err(message.to_string_lossy().into_owned());
    }
    // SAFETY: the handle is open and is never closed.
    let table = unsafe { libc::dlsym(object, c"object_kernels".as_ptr()) };
    if table.is_null() {
        return Err("the shared object has no table of kernels".into());
    }
    Ok(Kernels {
        program: &raw const program_kernels as *const Line,
        object: table as *const Line,
        handle: object,
    })
}

impl Kernels {
    /// # Panics
    ///
    /// If `kernels/table.c` does not have the name, which is a mistake in `rows`.
    pub fn named(&self, place: Place, name: &str) -> Kernel {
        let table = match place {
            Place::Program => self.program,
            Place::Object => self.object,
        };
        // SAFETY: both tables are complete, and static.
        unsafe { find(table, name) }.unwrap_or_else(|| panic!("no kernel is named {name}"))
    }

    /// A symbol of the shared object, or NULL.
    pub fn symbol_of_object(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is open and is never closed.
        unsafe { libc::dlsym(self.handle, name.as_ptr()) }
    }
}

/// The loop of that name.
///
/// # Safety
///
/// `line` is the first of a table that ends with a line without a name.
unsafe fn find(mut line: *const Line, name: &str) -> Option<Kernel> {
    loop {
        // SAFETY: as the caller promises; the loop stops at the last line.
        let known = unsafe { *line };
        if known.name.is_null() {
            return None;
        }
        // SAFETY: names are C strings.
        if unsafe { CStr::from_ptr(known.name) }.to_bytes() == name.as_bytes() {
            let placements =
                known.placements.map(|placement| placement.expect("the line is complete"));
            return Some(Kernel { placements });
        }
        // SAFETY: this line is not the last one.
        line = unsafe { line.add(1) };
    }
}

/// A peer of `kernels/peers` (`struct bench_peer`).
#[repr(C)]
pub struct PeerTable {
    id: *const c_char,
    name: *const c_char,
    version: *const c_char,
    most: u64,
    make: Make,
    unmake: Unmake,
    kernels: *const Line,
    destroyed: *const AtomicU64,
}

// SAFETY: a table never changes, and what it points to is static; the counter is atomic.
unsafe impl Sync for PeerTable {}

fn text(words: *const c_char) -> String {
    // SAFETY: the texts of the tables are static C strings.
    unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned()
}

type Make = unsafe extern "C" fn(*mut u64, usize, c_int) -> c_int;
type Unmake = unsafe extern "C" fn(*const u64, usize);

impl PeerTable {
    /// Makes a table of loops in Rust, which exist once. `words`: id, name, version.
    pub fn new(
        words: [&str; 3],
        most: u64,
        make: Make,
        unmake: Unmake,
        loops: &[(&str, Function)],
        destroyed: &'static AtomicU64,
    ) -> &'static PeerTable {
        let kept = |words: &str| CString::new(words).expect("no NUL in it").into_raw().cast_const();
        let line = |&(name, function): &(&str, Function)| Line {
            name: kept(name),
            placements: [Some(function); PLACEMENTS],
        };
        let last = Line { name: std::ptr::null(), placements: [None; PLACEMENTS] };
        let lines: Vec<Line> = loops.iter().map(line).chain([last]).collect();
        let [id, name, version] = words.map(kept);
        let kernels = lines.leak().as_ptr();
        Box::leak(Box::new(PeerTable { id, name, version, most, make, unmake, kernels, destroyed }))
    }

    pub fn id(&self) -> String {
        text(self.id)
    }

    pub fn name(&self) -> String {
        text(self.name)
    }

    pub fn version(&self) -> String {
        text(self.version)
    }

    /// How many keys it can have; 0: as many as fit into memory.
    pub fn most(&self) -> usize {
        self.most as usize
    }

    pub fn kernel(&self, name: &str) -> Option<Kernel> {
        // SAFETY: the table is complete.
        unsafe { find(self.kernels, name) }
    }

    /// Makes a key for each element of `keys`; returns false if not all could be made.
    pub fn make(&self, keys: &mut [u64], flags: c_int) -> bool {
        // SAFETY: the array has this length.
        unsafe { (self.make)(keys.as_mut_ptr(), keys.len(), flags) == 0 }
    }

    pub fn unmake(&self, keys: &[u64]) {
        // SAFETY: they were made by `make`, and are not used any more.
        unsafe { (self.unmake)(keys.as_ptr(), keys.len()) }
    }

    /// How many values of counting keys were destroyed.
    pub fn destroyed(&self) -> u64 {
        // SAFETY: the counter is a static variable.
        unsafe { (*self.destroyed).load(Relaxed) }
    }
}

extern "C" {
    /// Ends with NULL (written by build.rs).
    static bench_peers: [*const PeerTable; 0];
}

/// The tables of the program, and that of this library in the shared object.
pub fn peer_tables(kernels: &Kernels) -> Vec<&'static PeerTable> {
    let mut tables = Vec::new();
    let mut next = &raw const bench_peers as *const *const PeerTable;
    // SAFETY: the array ends with NULL, and its tables are static.
    while let Some(table) = unsafe { (*next).as_ref() } {
        tables.push(table);
        // SAFETY: that was not the last one.
        next = unsafe { next.add(1) };
    }
    let in_object = kernels.symbol_of_object(c"object_peer_ours") as *const PeerTable;
    // SAFETY: the symbol is such a table (kernels/peers/ours.c).
    tables.extend(unsafe { in_object.as_ref() });
    tables
}
