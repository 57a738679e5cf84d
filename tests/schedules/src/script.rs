// SPDX-License-Identifier: MIT OR Apache-2.0
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

/// Who may do what to the key's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `TLS_RECLAIM_ANY`.
    pub any: bool,
    /// `TLS_KEY_ENUMERABLE`.
    pub enumerable: bool,
    /// `TLS_KEY_WORKER`.
    pub worker: bool,
    /// `TLS_KEY_INHERIT`, with a copy callback.
    pub inherit: bool,
}

impl Rules {
    /// `TLS_RECLAIM_OWNER`, and no flags.
    pub const OWNER: Self = Self { any: false, enumerable: false, worker: false, inherit: false };
    /// `TLS_RECLAIM_ANY`.
    pub const ANY: Self = Self { any: true, ..Self::OWNER };
    /// `TLS_KEY_ENUMERABLE`.
    pub const ENUMERABLE: Self = Self { enumerable: true, ..Self::OWNER };
    /// Both of these.
    pub const BOTH: Self = Self { any: true, ..Self::ENUMERABLE };
    /// `TLS_KEY_WORKER`.
    pub const WORKER: Self = Self { worker: true, ..Self::OWNER };

    /// With `TLS_KEY_INHERIT`.
    #[must_use]
    pub const fn inherited(self) -> Self {
        Self { inherit: true, ..self }
    }

    /// Whether other threads may touch the values.
    #[must_use]
    pub const fn reachable(self) -> bool {
        self.any || self.enumerable
    }
}

macro_rules! ops {
    ($($(#[$text:meta])* $name:ident = $word:literal;)*) => {
        /// One thing that a thread does with the key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op { $($(#[$text])* $name,)* }

        impl Op {
            fn named(word: &str) -> Self {
                match word {
                    $($word => Self::$name,)*
                    _ => panic!("{word} is not an op"),
                }
            }
        }
    };
}

ops! {
    /// Stores a new value.
    Set = "set";
    /// Stores a new value, and takes the old one.
    Swap = "swap";
    /// Takes the value.
    Take = "take";
    /// Removes the value.
    Remove = "remove";
    /// Reads the value, or has one made if the key has an init.
    Get = "get";
    /// Destroys what is stale.
    Expunge = "expunge";
    /// Releases a reference. Each such op has one.
    Release = "release";
    /// Allocates what the first value needs.
    Attach = "attach";
    /// Destroys all values, and goes on.
    Detach = "detach";
    /// The thread ends here.
    Exit = "exit";
    /// Visits all threads' values.
    Visit = "visit";
    /// Visits all threads' values at one instant.
    Look = "look";
    /// Destroys all threads' values.
    Purge = "purge";
    /// Takes all threads' values.
    Scrape = "scrape";
    /// Looks whether the key is over.
    Drain = "drain";
    /// Waits until it is.
    Wait = "wait";
    /// Makes another key, sets it, and releases it.
    Create = "create";
    /// Registers a waker for stale values.
    Waker = "waker";
    /// Registers a hook of the thread's end, which belongs to the key.
    Hook = "hook";
    /// Switches to the map that all threads share, if no thread has it.
    Switch = "switch";
    /// Switches back to the thread's own map.
    Back = "back";
    /// Uses what the key's `user` stands for, with a reference.
    Use = "use";
    /// Reads a value of the slot's next key, by a handle that no thread has
    /// handed over.
    Guess = "guess";
    /// Opens a scope.
    Begin = "begin";
    /// Ends the innermost scope.
    End = "end";
    /// Captures a context. Those of the part before `|` are for all threads.
    Capture = "capture";
    /// Captures a context; a copy callback sets the key.
    Recapture = "recapture";
    /// Opens a scope with the newest context that the thread may use.
    Enter = "enter";
    /// Frees that context.
    Free = "free";
    /// Makes a task. Those of the part before `|` are for all threads.
    Submit = "submit";
    /// Runs the newest task that is left. It reads the value and sets another.
    Run = "run";
    /// Cancels it.
    Cancel = "cancel";
    /// Reads the process's statistics.
    Stats = "stats";
}

/// What one thread does.
#[derive(Clone, Debug)]
pub struct Part {
    /// Before all others.
    pub before: Vec<Op>,
    /// At the same time as all others.
    pub then: Vec<Op>,
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
    /// The parts, as they were written.
    pub text: String,
}

impl Script {
    /// For a key with these rules.
    #[must_use]
    pub fn new(rules: Rules, parts: &[&str]) -> Self {
        let ops = |words: &str| words.split_whitespace().map(Op::named).collect();
        let part = |text: &&str| {
            let (before, then) = text.split_once('|').unwrap_or(("", text));
            Part { before: ops(before), then: ops(then) }
        };
        let text = format!("{rules:?} {parts:?}");
        Self { rules, init: false, parts: parts.iter().map(part).collect(), text }
    }

    /// The key makes values.
    #[must_use]
    pub fn with_init(mut self) -> Self {
        self.init = true;
        self
    }

    /// How many ops of a kind there are.
    #[must_use]
    pub fn count(&self, op: Op) -> usize {
        (self.parts.iter())
            .flat_map(|part| part.before.iter().chain(&part.then))
            .filter(|other| **other == op)
            .count()
    }

    /// Whether there is any of these ops.
    #[must_use]
    pub fn has(&self, ops: &[Op]) -> bool {
        ops.iter().any(|op| self.count(*op) > 0)
    }
}
