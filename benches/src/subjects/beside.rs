//! Any subject, beside a crowd of idle threads that use the library.

use super::Subject;
use crate::crowd::Crowd;
use crate::Fallible;

/// Gathers the crowd before each batch and disperses it after: the other
/// subjects of the round run without one.
pub struct Beside {
    name: &'static str,
    threads: usize,
    inner: Box<dyn Subject>,
    crowd: Option<Crowd>,
}

impl Beside {
    pub fn new(name: &'static str, threads: usize, inner: impl Subject + 'static) -> Beside {
        Beside { name, threads, inner: Box::new(inner), crowd: None }
    }
}

impl Subject for Beside {
    fn name(&self) -> &str {
        self.name
    }

    fn granule(&self) -> u64 {
        self.inner.granule()
    }

    fn prepare(&mut self) -> Fallible<()> {
        self.crowd = Some(Crowd::gather(self.threads)?);
        self.inner.prepare()
    }

    fn run(&mut self, placement: usize, operations: u64) {
        self.inner.run(placement, operations);
    }

    fn finish(&mut self) -> Fallible<()> {
        self.inner.finish()?;
        self.crowd.take().map_or(Ok(()), Crowd::disperse)
    }
}
