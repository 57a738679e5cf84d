//! Who goes over all values of a key just now: any number of visitors, or one
//! who takes them (a purge, a scrape), and never both.
//!
//! A taker would take a value away under a visitor's eyes, and a visitor would
//! miss values that a taker has moved in the list.

/// The threads that go over all values of a key. All zero: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visits(u32);

/// What stands for one who takes the values.
const TAKER: u32 = u32::MAX;

impl Visits {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// How many threads that is.
    #[must_use]
    pub const fn number(self) -> u32 {
        if self.0 == TAKER {
            1
        } else {
            self.0
        }
    }

    /// With one thread more, which takes the values or just visits them; `None`
    /// if those who are there are in its way.
    #[must_use]
    pub const fn join(self, takes: bool) -> Option<Self> {
        match (takes, self.0) {
            (true, 0) => Some(Self(TAKER)),
            (false, number) if number < TAKER - 1 => Some(Self(number + 1)),
            _ => None,
        }
    }

    /// With one thread fewer.
    #[must_use]
    pub const fn leave(self) -> Self {
        if self.0 == TAKER {
            Self::NONE
        } else {
            Self(self.0.saturating_sub(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taker_is_alone_and_visitors_are_among_themselves() {
        let taker = Visits::NONE.join(true).expect("nobody is there");
        assert_eq!((taker.number(), taker.join(true), taker.join(false)), (1, None, None));
        assert_eq!(taker.leave(), Visits::NONE);
        let one = Visits::NONE.join(false).expect("nobody is there");
        let two = one.join(false).expect("only a visitor is there");
        assert_eq!((two.number(), two.join(true)), (2, None));
        assert_eq!(two.leave().leave(), Visits::NONE);
    }
}
