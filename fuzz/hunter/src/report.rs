// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a run says what is wrong.
//!
//! A run is a process of its own, because a fault may crash it, hang it or
//! leave its memory in pieces. The one thing that it shares with the search is
//! a page: the first failed check writes its sentence there and ends the process
//! at once, without allocating.

use core::fmt::{Arguments, Write};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

/// A failed check's exit status.
pub(crate) const FAILED: i32 = 42;

const LARGEST: usize = 500;

#[repr(C)]
struct Page {
    claimed: AtomicUsize,
    length: AtomicUsize,
    text: [u8; LARGEST],
}

static PAGE: AtomicPtr<Page> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the page, before the first run.
pub(crate) fn install() {
    // SAFETY: A new mapping; what fork makes shares it.
    let page = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            size_of::<Page>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert!(page != libc::MAP_FAILED, "no memory for a page");
    PAGE.store(page.cast(), SeqCst);
}

struct Text {
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let length = text.len().min(LARGEST - self.length);
        let page = PAGE.load(SeqCst);
        // SAFETY: The page lives as long as the process, and the first failure
        // alone writes: it has claimed it.
        unsafe {
            let to = (&raw mut (*page).text).cast::<u8>().add(self.length);
            core::ptr::copy_nonoverlapping(text.as_ptr(), to, length);
        }
        self.length += length;
        Ok(())
    }
}

/// A check has failed: says so, and ends the process.
pub(crate) fn fail(what: Arguments<'_>) -> ! {
    let page = PAGE.load(SeqCst);
    // SAFETY: The page lives as long as the process.
    let (claimed, length) = unsafe { (&(*page).claimed, &(*page).length) };
    if claimed.swap(1, SeqCst) == 0 {
        let mut text = Text { length: 0 };
        let _ = text.write_fmt(what);
        length.store(text.length, SeqCst);
    } else {
        // Another thread has failed first, and is writing.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    // SAFETY: Ends the process.
    unsafe { libc::_exit(FAILED) }
}

/// A line on standard error, by one write. The stream of the standard library has a lock,
/// which another thread may have while this one forks.
pub(crate) fn say(what: Arguments<'_>) {
    let mut line = Line { length: 0, text: [0; 200] };
    let _ = line.write_fmt(what);
    line.text[line.length] = b'\n';
    // SAFETY: So many bytes are there.
    unsafe { libc::write(2, line.text.as_ptr().cast(), line.length + 1) };
}

struct Line {
    length: usize,
    text: [u8; 200],
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let length = text.len().min(self.text.len() - 1 - self.length);
        self.text[self.length..self.length + length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}

/// Before a run: nothing failed yet.
pub(crate) fn clear() {
    let page = PAGE.load(SeqCst);
    // SAFETY: The page lives as long as the process.
    unsafe {
        (*page).claimed.store(0, SeqCst);
        (*page).length.store(0, SeqCst);
    }
}

/// After a run: what failed.
pub(crate) fn text() -> String {
    let page = PAGE.load(SeqCst);
    // SAFETY: As above; the run that wrote has ended.
    let text = unsafe { &(&(*page).text)[..(*page).length.load(SeqCst).min(LARGEST)] };
    String::from_utf8_lossy(text).into_owned()
}
