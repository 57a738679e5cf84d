//! A report's text as it goes out: through a buffer, to a function or to a descriptor.
//!
//! Nothing is allocated: what a function that is called never returns to is a frame that
//! nobody needs. No lock is held while anything is written.

use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};

use crate::error::Error;
use crate::sys::block;
use crate::sys::output::{self, Failure};

/// Takes a part of the text; non-zero: it wants no more.
pub type WriteText =
    unsafe extern "C" fn(bytes: *const c_char, length: usize, argument: *mut c_void) -> c_int;

/// Handlers of signals have small stacks.
const BUFFER: usize = 1024;

/// Where a text goes.
pub enum Sink {
    /// To a function of the program, called with this argument.
    Function(WriteText, *mut c_void),
    /// To a descriptor.
    Descriptor(c_int),
}

impl Sink {
    /// Hands bytes on. Errors: `Limit` if no more are wanted; `Invalid` for a number that
    /// is no descriptor's.
    fn take(&self, bytes: &[u8]) -> Result<(), Error> {
        match *self {
            Self::Function(write, argument) => {
                let first = bytes.as_ptr().cast();
                // SAFETY: The caller promises a function that may be called with each
                // part of the text; no lock is held.
                let stopped = block::call_out(|| unsafe { write(first, bytes.len(), argument) });
                (stopped == 0).then_some(()).ok_or(Error::Limit)
            }
            Self::Descriptor(number) => {
                output::write_all(number, bytes).map_err(|failure| match failure {
                    Failure::NoDescriptor => Error::Invalid,
                    Failure::Refused => Error::Limit,
                })
            }
        }
    }
}

/// A text as it goes out.
pub struct Text {
    sink: Sink,
    buffer: [u8; BUFFER],
    length: usize,
    /// What was wrong when it could not be written to its end.
    error: Error,
}

impl Text {
    /// The empty text.
    pub const fn new(sink: Sink) -> Self {
        Self { sink, buffer: [0; BUFFER], length: 0, error: Error::Limit }
    }

    /// The text's end; `written`: what has become of all of it before. Errors: those of
    /// the one who took it.
    pub fn end(mut self, written: fmt::Result) -> Result<(), Error> {
        written.and_then(|()| self.flush()).map_err(|fmt::Error| self.error)
    }

    fn flush(&mut self) -> fmt::Result {
        let length = core::mem::take(&mut self.length);
        if length == 0 {
            return Ok(());
        }
        self.sink.take(&self.buffer[..length]).map_err(|error| {
            self.error = error;
            fmt::Error
        })
    }

    /// A JSON string of bytes that need not be UTF-8.
    pub fn string(&mut self, bytes: &[u8]) -> fmt::Result {
        self.write_char('"')?;
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' | '\\' => write!(self, "\\{character}")?,
                    '\0'..='\x1f' | '\x7f' => write!(self, "\\u{:04x}", u32::from(character))?,
                    _ => self.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(self, "\\u00{byte:02x}")?;
            }
        }
        self.write_char('"')
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(BUFFER) {
            if self.length + part.len() > BUFFER {
                self.flush()?;
            }
            self.buffer[self.length..self.length + part.len()].copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }
}
