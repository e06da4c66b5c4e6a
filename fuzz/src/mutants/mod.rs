//! Parties and stores that are broken on purpose, each of which a promise must find out: a judge that
//! never finds anybody guilty is worth nothing.
//!
//! A mutant stands between a machine and the world. It drops, doubles or changes what goes by; the
//! machines themselves know nothing of it.

pub(crate) mod actions;
pub(crate) mod events;
mod words;

use crate::nodes::agents::Kind;

macro_rules! mutants {
    ($($(#[$doc:meta])* $mutant:ident = $name:literal found by $promise:literal within $seeds:literal,)*) => {
        /// One way to be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $mutant,)*
        }

        /// All of them.
        pub const MUTANTS: &[Mutant] = &[$(Mutant::$mutant,)*];

        impl Mutant {
            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$mutant => $name,)*
                }
            }

            /// The promise that it breaks.
            pub const fn promise(self) -> &'static str {
                match self {
                    $(Self::$mutant => $promise,)*
                }
            }

            /// Within how many seeds it must be found out.
            pub const fn seeds(self) -> u64 {
                match self {
                    $(Self::$mutant => $seeds,)*
                }
            }
        }
    };
}

mutants! {
    /// A worker writes something else in place of a message, and calls it delivered.
    LostWrite = "lost-write" found by "no acknowledged loss" within 10,
    /// A store says *stored* before it is durable.
    EarlyStored = "early-stored" found by "no acknowledged loss" within 40,
    /// A worker loses a line of its agent and counts on.
    LostLine = "lost-line" found by "no acknowledged loss" within 20,
    /// A worker writes every message twice.
    TwiceWritten = "twice-written" found by "one hand-off" within 10,
    /// A relay leaves events out.
    SkippedEvent = "skipped-event" found by "whole log" within 10,
    /// A relay tells two viewers different things under one number.
    DivergentEvent = "bent-event" found by "whole log" within 20,
    /// A relay tells everybody that their answer counts.
    EveryAnswer = "every-answer" found by "one answer" within 40,
    /// A worker turns *deny* into *allow*.
    AllowAll = "allow-all" found by "fail closed" within 40,
    /// A relay hides questions from those who could answer them.
    HiddenQuestion = "hidden-question" found by "nothing stuck" within 40,
    /// A relay has one place for those who watch a session, and says that there are more.
    OnePlace = "one-place" found by "nothing stuck" within 20,
    /// A relay counts every session as connected.
    AlwaysConnected = "always-connected" found by "honest status" within 80,
    /// A relay counts a silent worker as connected for a minute longer.
    Lenient = "lenient" found by "honest status" within 60,
    /// A relay tells nobody that a worker has gone.
    SilentLoss = "silent-loss" found by "honest status" within 60,
    /// A worker takes *try again later* for a final refusal.
    Impatient = "impatient" found by "patience" within 60,
    /// A worker does not read `Retry-After`.
    IgnoresRetryAfter = "pushy" found by "patience" within 60,
    /// A worker starts every agent twice.
    TwoAgents = "two-agents" found by "one agent" within 10,
    /// A relay takes for sent what it has only just asked to be sent.
    Hoarder = "hoarder" found by "bounded memory" within 150,
    /// A worker takes a word that it does not know for a broken one.
    StrictWorker = "strict-worker" found by "two versions" within 60,
    /// A relay refuses a body with a field that it does not know.
    StrictRelay = "strict-relay" found by "two versions" within 60,
    /// A relay loses track of what it wanted to let go of.
    LosesTrack = "loses-track" found by "no leaks" within 20,
    /// A worker waits for what has passed.
    BusyLoop = "busy-loop" found by "contract" within 5,
    /// A worker uses the name of an operation twice.
    SameName = "same-name" found by "contract" within 5,
    /// A store does not know the name of a request again.
    Keyless = "keyless" found by "one agent" within 200,
    /// A store does not know a message again.
    Nameless = "nameless" found by "no acknowledged loss" within 60,
    /// A worker removes worktrees with `--force`.
    ForcedRemoval = "forced-removal" found by "worktrees" within 60,
    /// A worker lets git overlook new files where a person's settings say so.
    BlindRemoval = "blind-removal" found by "worktrees" within 60,
    /// A worker never looks for commits that only a session's branch has.
    CommitBlind = "commit-blind" found by "worktrees" within 20,
    /// A worker detaches `HEAD` before it removes a worktree.
    Detacher = "detacher" found by "worktrees" within 60,
    /// A worker deletes a session's branch wherever it is by then.
    AnyTip = "any-tip" found by "worktrees" within 60,
    /// A worker takes every other worker for dead.
    StealsLiveWorktree = "grave-robber" found by "worktrees" within 80,
    /// A worker says that it has removed worktrees, and does not.
    SkipsRemoval = "litterer" found by "worktrees" within 20,
    /// A runtime says that a worker's file is saved, and saves it some seconds later.
    EarlySaved = "early-saved" found by "safe restart" within 60,
    /// A runtime leaves half a file behind when the worker dies.
    TornFile = "torn-file" found by "safe restart" within 60,
    /// A worker removes a result from its disk as soon as it is on its way.
    HastyRemoval = "hasty-removal" found by "safe restart" within 20,
    /// A worker reads its token's file twice at once.
    TwiceRead = "twice-read" found by "fresh tokens" within 60,
    /// A worker does not take the token that it has read.
    OldToken = "old-token" found by "fresh tokens" within 60,
    /// A worker takes a refusal of its token for a passing failure.
    Stubborn = "stubborn" found by "fresh tokens" within 60,
    /// A worker gives a session up when its secret is revoked.
    Revoked = "revoked" found by "fresh tokens" within 60,
    /// A worker keeps what viewers ask of the agent to itself, and calls it delivered.
    LostRequest = "lost-request" found by "nobody waits" within 60,
    /// A worker takes healthchecks and never says that it is there.
    LostCheck = "lost-check" found by "nobody waits" within 60,
    /// A relay leaves a session out of a list.
    ShortList = "short-list" found by "whole list" within 60,
    /// A relay leaves events out of a page.
    ShortPage = "short-page" found by "whole log" within 60,
    /// A relay does not tell everybody of a change.
    StaleOverview = "stale-overview" found by "one view" within 150,
    /// A relay tells a session's title as it likes.
    BentTitle = "bent-title" found by "one view" within 60,
}

impl Mutant {
    /// The kind of agent with which it has the most to do.
    pub(crate) const fn agent(self) -> Option<Kind> {
        match self {
            // It is seen only where sessions end by themselves.
            Self::SkipsRemoval => Some(Kind::Brief),
            _ => None,
        }
    }
}
