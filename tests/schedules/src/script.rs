//! What the threads of a scenario do, written as words.
//!
//! ```text
//!   "set | expunge exit"
//!    ^^^   before any other thread is there, as if by this thread
//!          ^^^^^^^^^^^^  at the same time as the others
//! ```
//!
//! What a thread has not done when its script is over, its end included, is
//! done when all are over, one thread after the other.

use threadlocalmap::key::options::Rules;

/// One thing that a thread does with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `set`: stores a new value.
    Set,
    /// `swap`: stores a new value, and takes the old one.
    Swap,
    /// `take`: takes the value.
    Take,
    /// `remove`: removes the value.
    Remove,
    /// `get`: reads the value, or has one made if the key has an init.
    Get,
    /// `expunge`: ends what is stale.
    Expunge,
    /// `release`: gives a reference back. Each has one.
    Release,
    /// `attach`: provides for the first value.
    Attach,
    /// `detach`: ends all values, and goes on.
    Detach,
    /// `exit`: the thread ends here.
    Exit,
    /// `visit`: looks at all threads' values.
    Visit,
    /// `purge`: ends all threads' values.
    Purge,
    /// `scrape`: takes all threads' values.
    Scrape,
    /// `drain`: looks whether the key is over.
    Drain,
    /// `wait`: waits until it is.
    Wait,
    /// `create`: makes another key, sets it, and releases it.
    Create,
    /// `notice`: wants to be told of stale values.
    Notice,
    /// `adopt`: works on the map that threads share, if nobody has it.
    Adopt,
    /// `leave`: gives it back.
    Leave,
    /// `use`: uses what the key's `user` stands for, having a reference.
    Use,
    /// `guess`: gets a value of the slot's next key, by a handle that nobody
    /// has handed over.
    Guess,
}

impl Step {
    fn named(word: &str) -> Self {
        match word {
            "set" => Self::Set,
            "swap" => Self::Swap,
            "take" => Self::Take,
            "remove" => Self::Remove,
            "get" => Self::Get,
            "expunge" => Self::Expunge,
            "release" => Self::Release,
            "attach" => Self::Attach,
            "detach" => Self::Detach,
            "exit" => Self::Exit,
            "visit" => Self::Visit,
            "purge" => Self::Purge,
            "scrape" => Self::Scrape,
            "drain" => Self::Drain,
            "wait" => Self::Wait,
            "create" => Self::Create,
            "notice" => Self::Notice,
            "adopt" => Self::Adopt,
            "leave" => Self::Leave,
            "use" => Self::Use,
            "guess" => Self::Guess,
            _ => panic!("{word} is nothing that a thread can do"),
        }
    }
}

/// What one thread does.
#[derive(Clone, Debug)]
pub struct Part {
    /// Before all others.
    pub before: Vec<Step>,
    /// At the same time as all others.
    pub then: Vec<Step>,
}

/// What the key is like, and what each thread does.
#[derive(Clone, Debug)]
pub struct Script {
    /// The key's rules.
    pub rules: Rules,
    /// The key has an init callback.
    pub init: bool,
    /// The threads; the first one makes the key.
    pub parts: Vec<Part>,
}

impl Script {
    /// For a key with these rules.
    #[must_use]
    pub fn new(rules: Rules, parts: &[&str]) -> Self {
        let steps = |words: &str| words.split_whitespace().map(Step::named).collect();
        let part = |text: &&str| {
            let (before, then) = text.split_once('|').unwrap_or(("", text));
            Part { before: steps(before), then: steps(then) }
        };
        Self { rules, init: false, parts: parts.iter().map(part).collect() }
    }

    /// The key makes values.
    #[must_use]
    pub fn with_init(mut self) -> Self {
        self.init = true;
        self
    }

    /// How often a step is taken.
    #[must_use]
    pub fn count(&self, step: Step) -> usize {
        (self.parts.iter())
            .flat_map(|part| part.before.iter().chain(&part.then))
            .filter(|taken| **taken == step)
            .count()
    }

    /// Whether any of these steps is taken.
    #[must_use]
    pub fn has(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| self.count(*step) > 0)
    }
}
