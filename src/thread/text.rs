// SPDX-License-Identifier: MIT OR Apache-2.0
//! A report's text as it goes out: through a buffer, to a function or to a descriptor.
//!
//! Nothing is allocated: what a function that is called never returns to is a frame that
//! nobody needs. No lock is held while anything is written.
//!
//! Numbers are written here and not by `core::fmt`: its padding, precisions and tables would
//! be 6 KB, a twentieth of the shared library.

use core::ffi::{c_char, c_int, c_void};

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

/// The one who takes a text wants no more of it, or can take no more.
pub struct Stopped;

/// A text as it goes out.
pub struct Text {
    sink: Sink,
    buffer: [u8; BUFFER],
    length: usize,
    /// What was wrong when it could not be written to its end.
    error: Error,
}

/// Digits of the longest number: 2^64 in decimal.
const DIGITS: usize = 20;

impl Text {
    /// The empty text.
    pub const fn new(sink: Sink) -> Self {
        Self { sink, buffer: [0; BUFFER], length: 0, error: Error::Limit }
    }

    /// The text's end; `written`: what has become of all of it before. Errors: those of
    /// the one who took it.
    pub fn end(mut self, written: Result<(), Stopped>) -> Result<(), Error> {
        written.and_then(|()| self.flush()).map_err(|Stopped| self.error)
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let length = core::mem::take(&mut self.length);
        if length == 0 {
            return Ok(());
        }
        self.sink.take(&self.buffer[..length]).map_err(|error| {
            self.error = error;
            Stopped
        })
    }

    /// Writes words as they are.
    #[inline(never)]
    pub fn words(&mut self, words: &str) -> Result<(), Stopped> {
        self.bytes(words.as_bytes())
    }

    /// Writes words, and then a number in decimal.
    #[inline(never)]
    pub fn number(&mut self, words: &str, number: u64) -> Result<(), Stopped> {
        self.words(words)?;
        self.digits(number, 10, 1)
    }

    /// Writes words, and then an address as `%p` has it.
    pub fn address(&mut self, words: &str, address: *mut c_void) -> Result<(), Stopped> {
        self.words(words)?;
        self.words("0x")?;
        self.digits(address as u64, 16, 1)
    }

    /// Writes words, and then whether it is so.
    pub fn truth(&mut self, words: &str, truth: bool) -> Result<(), Stopped> {
        self.words(words)?;
        self.words(if truth { "true" } else { "false" })
    }

    /// A JSON string of bytes that need not be UTF-8. Of a text that was cut at `most`
    /// bytes, the part of a character at the end is left out.
    pub fn string(&mut self, bytes: &[u8], most: usize) -> Result<(), Stopped> {
        let mut end = 0;
        self.bytes(b"\"")?;
        for chunk in bytes.utf8_chunks() {
            end += chunk.valid().len() + chunk.invalid().len();
            // Byte by byte: what is escaped is never a part of a longer character.
            for byte in chunk.valid().bytes() {
                match byte {
                    b'"' | b'\\' => self.bytes(&[b'\\', byte])?,
                    0..=0x1f | 0x7f => self.escape(byte)?,
                    _ => self.bytes(&[byte])?,
                }
            }
            if end < most {
                chunk.invalid().iter().try_for_each(|byte| self.escape(*byte))?;
            }
        }
        self.bytes(b"\"")
    }

    /// A byte as JSON's `\u` has the character of that number.
    fn escape(&mut self, byte: u8) -> Result<(), Stopped> {
        self.bytes(b"\\u")?;
        self.digits(byte.into(), 16, 4)
    }

    /// A number with at least so many digits.
    #[inline(never)]
    fn digits(&mut self, mut number: u64, base: u64, least: usize) -> Result<(), Stopped> {
        let mut digits = [b'0'; DIGITS];
        let mut first = DIGITS;
        while number > 0 {
            first -= 1;
            digits[first] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
        }
        self.bytes(&digits[first.min(DIGITS - least)..])
    }

    #[inline(never)]
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        for part in bytes.chunks(BUFFER) {
            if self.length + part.len() > BUFFER {
                self.flush()?;
            }
            self.buffer[self.length..self.length + part.len()].copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }
}
