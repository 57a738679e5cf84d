//! The atomics that this library uses, named once.
//!
//! Every other module imports them from here, so that a build for a model
//! checker replaces them in one place.

pub use core::sync::atomic::{
    compiler_fence, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering,
};
