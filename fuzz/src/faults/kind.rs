//! The kinds of things that can go wrong.

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kinds of things that go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        /// All of them.
        pub const FAULT_KINDS: &[FaultKind] = &[$(FaultKind::$kind,)*];

        impl FaultKind {
            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

fault_kinds! {
    /// The relay is killed; its store stays.
    RelayCrash = "relay-crash",
    /// The relay is killed, and its store is lost.
    RelayLost = "relay-lost",
    /// The relay is shut down in order, and started again.
    RelayRestart = "relay-restart",
    /// A worker is killed.
    WorkerCrash = "worker-crash",
    /// A worker is shut down in order, and started again.
    WorkerRestart = "worker-restart",
    /// A host has no network for a while.
    Cut = "cut",
    /// A connection breaks.
    Reset = "reset",
    /// A connection swallows everything from some point on.
    Swallow = "swallow",
    /// A client's connection breaks just after its request.
    HangUp = "hang-up",
    /// A host's line is slow for a while.
    SlowLine = "slow-line",
    /// Packets are lost and sent again.
    Loss = "loss",
    /// An answer gets lost after its effect.
    LostAnswer = "lost-answer",
    /// A request arrives twice.
    Duplicate = "duplicate",
    /// Something on the way answers in the relay's place.
    Proxy = "proxy",
    /// A host sleeps.
    Suspend = "suspend",
    /// A wall clock is set.
    WallStep = "wall-step",
    /// A disk takes nothing more.
    DiskFull = "disk-full",
    /// A disk cannot be read, or a file is spoilt.
    DiskError = "disk-error",
    /// A worker is killed while it writes a file.
    WriteCrash = "write-crash",
    /// The store takes long.
    SlowStore = "slow-store",
    /// The store fails.
    StoreError = "store-error",
    /// The relay's system takes no connections for a moment.
    AcceptError = "accept-error",
    /// The limits of the relay and its store are small.
    SmallLimits = "small-limits",
    /// Session tokens run out soon.
    TokenExpiry = "token-expiry",
    /// The access token is changed.
    TokenRotation = "token-rotation",
    /// The relay comes up with another signing key.
    KeyRotation = "key-rotation",
    /// The log keeps little.
    Retention = "retention",
    /// Other programs hold lock files of git.
    GitLock = "git-lock",
    /// Git fails, takes long, and is cut short.
    GitTrouble = "git-trouble",
    /// Parties speak an older or a newer version of the wire.
    Versions = "versions",
}

impl FaultKind {
    /// What came later has chance of its own, so that the runs without it stay as they were.
    pub(super) const fn stream(self) -> Option<u64> {
        match self {
            Self::WriteCrash => Some(0x7772_6974),
            Self::TokenRotation => Some(0x726f_7461),
            Self::KeyRotation => Some(0x6b65_7973),
            Self::Versions => Some(0x0bad_5eed_008a),
            _ => None,
        }
    }
}
