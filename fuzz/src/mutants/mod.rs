//! Deliberately broken parties and stores, each of which a promise must catch: a judge that never
//! finds anyone guilty is worthless.
//!
//! A mutant sits between a machine and the world. It drops, duplicates or changes what passes by;
//! the machines themselves know nothing of it.

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

            /// The promise it breaks.
            pub const fn promise(self) -> &'static str {
                match self {
                    $(Self::$mutant => $promise,)*
                }
            }

            /// Within how many seeds it must be caught.
            pub const fn seeds(self) -> u64 {
                match self {
                    $(Self::$mutant => $seeds,)*
                }
            }
        }
    };
}

mutants! {
    /// A worker writes something else instead of a message, and calls it delivered.
    LostWrite = "lost-write" found by "no acknowledged loss" within 40,
    /// A store says *stored* before it is durable.
    EarlyStored = "early-stored" found by "no acknowledged loss" within 120,
    /// A worker loses a line from its agent and keeps counting.
    LostLine = "lost-line" found by "no acknowledged loss" within 20,
    /// A worker writes every message twice.
    TwiceWritten = "twice-written" found by "one hand-off" within 10,
    /// A relay leaves events out.
    SkippedEvent = "skipped-event" found by "whole log" within 10,
    /// A relay sends two viewers different events under one number.
    DivergentEvent = "divergent-event" found by "whole log" within 20,
    /// A relay tells everyone that their answer counts.
    EveryAnswer = "every-answer" found by "one answer" within 40,
    /// A worker writes every request twice.
    TwiceAsked = "twice-asked" found by "one hand-off" within 60,
    /// A worker allows what is asked when it is told to interrupt.
    AllowOnInterrupt = "allow-on-interrupt" found by "fail closed" within 150,
    /// A worker allows what is asked when it ends a session, on time or on demand.
    AllowOnEnd = "allow-on-end" found by "fail closed" within 150,
    /// A relay says of nothing that it was not delivered.
    SilentEnd = "silent-end" found by "receipts" within 60,
    /// A relay says of everything that is stored that the agent has read it.
    FalseSeen = "false-seen" found by "receipts" within 60,
    /// A relay says *undelivered* where it cannot know.
    BoldEnd = "bold-end" found by "receipts" within 60,
    /// A relay does not note what a worker says that it did not pass on.
    DeafToReports = "deaf-to-reports" found by "receipts" within 200,
    /// A worker turns *deny* into *allow*.
    AllowAll = "allow-all" found by "fail closed" within 40,
    /// A worker lets a tool run whose hook nobody answers.
    OpenHook = "open-hook" found by "guarded" within 120,
    /// A relay does not tell the next agent of a session what a client has declared.
    ForgetsHooks = "forgets-hooks" found by "guarded" within 400,
    /// A relay hides questions from those who could answer them.
    HiddenQuestion = "hidden-question" found by "nothing stuck" within 40,
    /// A relay has room for one viewer of a session, and claims to have more.
    OnePlace = "one-place" found by "nothing stuck" within 20,
    /// A relay reports every session as connected.
    AlwaysConnected = "always-connected" found by "honest status" within 80,
    /// A relay reports a silent worker as connected for a minute longer.
    Lenient = "lenient" found by "honest status" within 120,
    /// A relay tells nobody that a worker is gone.
    SilentLoss = "silent-loss" found by "honest status" within 60,
    /// A worker takes *try again later* for a final refusal.
    Impatient = "impatient" found by "patience" within 60,
    /// A worker does not read `Retry-After`.
    IgnoresRetryAfter = "ignores-retry-after" found by "patience" within 60,
    /// A worker takes whatever answers for the relay.
    Gullible = "gullible" found by "patience" within 60,
    /// A worker starts every agent twice.
    TwoAgents = "two-agents" found by "one agent" within 10,
    /// A relay treats messages as sent as soon as it has requested that they be sent.
    Hoarder = "hoarder" found by "bounded memory" within 150,
    /// A worker treats an unknown control frame as malformed.
    StrictWorker = "strict-worker" found by "two versions" within 60,
    /// A relay refuses a body with an unknown field.
    StrictRelay = "strict-relay" found by "two versions" within 60,
    /// A relay loses track of what it meant to release.
    LosesTrack = "loses-track" found by "no leaks" within 20,
    /// A runtime leaves the agents of a dead worker to themselves.
    LeavesAgents = "leaves-agents" found by "no leaks" within 60,
    /// A worker waits for a deadline that has passed.
    BusyLoop = "busy-loop" found by "contract" within 5,
    /// A worker uses an operation's id twice.
    SameName = "same-name" found by "contract" within 5,
    /// A store does not recognise a repeated idempotency key.
    Keyless = "keyless" found by "one agent" within 200,
    /// A store does not recognise a repeated message.
    Nameless = "nameless" found by "no acknowledged loss" within 60,
    /// A worker removes worktrees with `--force`.
    ForcedRemoval = "forced-removal" found by "worktrees" within 60,
    /// A worker lets git overlook new files if the user's settings say so.
    BlindRemoval = "blind-removal" found by "worktrees" within 240,
    /// A worker never checks for commits that only a session's branch or reflogs have.
    CommitBlind = "commit-blind" found by "worktrees" within 60,
    /// A worker never checks for commits that only reflogs have.
    ReflogBlind = "reflog-blind" found by "worktrees" within 120,
    /// A worker detaches `HEAD` before it removes a worktree.
    Detacher = "detacher" found by "worktrees" within 120,
    /// A worker deletes a session's branch wherever it points by then, and never mind its reflog.
    AnyTip = "any-tip" found by "worktrees" within 120,
    /// A worker keeps its worktrees where others keep theirs, and takes all of them for its own.
    StealsLiveWorktree = "steals-live-worktree" found by "worktrees" within 80,
    /// A worker claims to have removed worktrees, but does not.
    SkipsRemoval = "skips-removal" found by "worktrees" within 20,
    /// A runtime reports a worker's file as saved, but saves it some seconds later.
    EarlySaved = "early-saved" found by "one environment" within 80,
    /// A runtime leaves half a file behind when the worker dies.
    TornFile = "torn-file" found by "safe restart" within 60,
    /// A worker removes a result from its disk as soon as the report is in flight.
    HastyRemoval = "hasty-removal" found by "safe restart" within 20,
    /// A worker does not find what it has kept of itself.
    Forgetful = "forgetful" found by "one environment" within 60,
    /// A worker reads its token file twice at the same time.
    TwiceRead = "twice-read" found by "fresh tokens" within 60,
    /// A worker does not use the token it has read.
    OldToken = "old-token" found by "fresh tokens" within 60,
    /// A worker treats a refusal of its token as a temporary failure.
    Stubborn = "stubborn" found by "fresh tokens" within 60,
    /// A worker abandons a session when its secret is revoked.
    Revoked = "revoked" found by "fresh tokens" within 60,
    /// A worker does not pass on viewers' requests to the agent, and calls them delivered.
    LostRequest = "lost-request" found by "nobody waits" within 60,
    /// A worker accepts healthchecks but never answers them.
    LostCheck = "lost-check" found by "nobody waits" within 60,
    /// A relay leaves a session out of a list.
    ShortList = "short-list" found by "whole list" within 60,
    /// A relay leaves events out of a page.
    ShortPage = "short-page" found by "whole log" within 60,
    /// A relay does not notify everyone of a change.
    StaleOverview = "stale-overview" found by "one view" within 150,
    /// A relay reports wrong session titles.
    BentTitle = "bent-title" found by "one view" within 60,
    /// A relay accepts what comes under an older epoch.
    OldEpoch = "old-epoch" found by "one epoch" within 120,
    /// A worker takes an event of its stream twice.
    TwiceStreamed = "twice-streamed" found by "one hand-off" within 40,
    /// A worker forgets a batch that was refused because its credentials had run out.
    ForgetsBatch = "forgets-batch" found by "no acknowledged loss" within 40,
    /// A program signs with a handle that was good when it was asked for.
    StaleSender = "stale-sender" found by "true sender" within 20,
    /// A relay does not ask its store whether a machine was ended.
    BelievesTokens = "believes-tokens" found by "ended machines" within 20,
    /// A relay takes machines for trusted ones whenever they ask.
    LongWindow = "long-window" found by "ended machines" within 60,
    /// A relay tells its runtime of nobody who they are.
    Unvouched = "unvouched" found by "strangers" within 20,
    /// A runtime closes no connection, however many there are.
    OpenDoor = "open-door" found by "strangers" within 20,
    /// A runtime hands on a request only once its body is there.
    BodyFirst = "body-first" found by "strangers" within 20,
}

impl Mutant {
    /// Whether it takes strangers to find it out. The worlds of the others have none.
    pub(crate) const fn meets_strangers(self) -> bool {
        matches!(self, Self::Unvouched | Self::OpenDoor | Self::BodyFirst)
    }

    /// Whether its worker speaks version 2, which it takes to find it out. Those of the others do not.
    pub(crate) const fn meets_code_sessions(self) -> bool {
        matches!(self, Self::OldEpoch | Self::TwiceStreamed | Self::ForgetsBatch)
    }

    /// Whether it takes an embedded bridge to find it out. The worlds of the others have none.
    pub(crate) const fn meets_a_bridge(self) -> bool {
        matches!(self, Self::StaleSender)
    }

    /// Whether it takes somebody who logs machines in to find it out. The worlds of the others have none.
    pub(crate) const fn meets_machines(self) -> bool {
        matches!(self, Self::BelievesTokens | Self::LongWindow)
    }

    /// The kind of agent that gives it the most opportunities.
    pub(crate) const fn agent(self) -> Option<Kind> {
        match self {
            // It shows only where sessions end on their own.
            Self::SkipsRemoval | Self::StaleSender => Some(Kind::Brief),
            // Others end with their input.
            Self::LeavesAgents => Some(Kind::Deaf),
            _ => None,
        }
    }
}
