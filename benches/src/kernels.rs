//! The C kernels, found by name in the program and in the shared object.
//!
//! See `kernels/kernel.h` for what a kernel is and why there are four
//! placements of each.

use std::ffi::{c_char, c_void, CStr, CString};

use crate::Fallible;

/// How often each kernel exists, at different addresses.
pub const PLACEMENTS: usize = 4;

/// What a kernel works on (`struct bench_input`).
#[repr(C)]
pub struct Input {
    pub keys: *const u64,
    pub count: usize,
    pub values: [*mut c_void; 2],
}

type Function = unsafe extern "C" fn(*const Input, u64);

/// One line of a table of kernels (`struct bench_kernel`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Line {
    name: *const c_char,
    placements: [Function; PLACEMENTS],
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

/// Where code can stand.
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
}

extern "C" {
    static program_kernels: [Line; 0];
}

/// Finds the program's table and opens the shared object with the other.
pub fn load() -> Fallible<Kernels> {
    let path = CString::new(env!("BENCH_OBJECT")).expect("a path has no NUL");
    // SAFETY: the object is ours (build.rs): it has no constructors that would
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
    Ok(Kernels { program: &raw const program_kernels as *const Line, object: table as *const Line })
}

impl Kernels {
    /// # Panics
    ///
    /// When `kernels/table.c` does not list that name: a mistake in `rows`.
    pub fn named(&self, place: Place, name: &str) -> Kernel {
        let mut line = match place {
            Place::Program => self.program,
            Place::Object => self.object,
        };
        loop {
            // SAFETY: every table ends with a line whose name is NULL, and the
            // loop stops there; names are C strings.
            let known = unsafe {
                assert!(!(*line).name.is_null(), "no kernel is named {name}");
                CStr::from_ptr((*line).name)
            };
            // SAFETY: this line is not the last one.
            unsafe {
                if known.to_bytes() == name.as_bytes() {
                    return Kernel { placements: (*line).placements };
                }
                line = line.add(1);
            }
        }
    }
}
