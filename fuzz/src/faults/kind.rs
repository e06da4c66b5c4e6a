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
    /// The relay is shut down cleanly and restarted.
    RelayRestart = "relay-restart",
    /// A worker is killed.
    WorkerCrash = "worker-crash",
    /// A worker is shut down cleanly and restarted.
    WorkerRestart = "worker-restart",
    /// A host has no network for a while.
    Cut = "cut",
    /// A connection breaks.
    Reset = "reset",
    /// A connection swallows everything from some point on.
    Swallow = "swallow",
    /// A client's connection breaks just after its request.
    HangUp = "hang-up",
    /// A host's network is slow for a while.
    SlowLine = "slow-line",
    /// Packets are lost and sent again.
    Loss = "loss",
    /// A response gets lost after its request took effect.
    LostAnswer = "lost-answer",
    /// A request arrives twice.
    Duplicate = "duplicate",
    /// An intermediary responds in the relay's place.
    Proxy = "proxy",
    /// A worker's host is behind something that answers all its requests, as a captive portal does.
    Portal = "portal",
    /// A worker's host is behind something that collects streams of events until they end.
    Collects = "collects",
    /// Something before the relay waits for an answer for so long only, and then gives its own.
    ShortLimit = "short-limit",
    /// A host sleeps.
    Suspend = "suspend",
    /// The relay's process is stopped for a while; its clocks go on.
    RelayStop = "relay-stop",
    /// A wall clock is set.
    WallStep = "wall-step",
    /// A disk is full.
    DiskFull = "disk-full",
    /// A disk cannot be read, or a file is corrupted.
    DiskError = "disk-error",
    /// A worker is killed while writing a file.
    WriteCrash = "write-crash",
    /// The store is slow.
    SlowStore = "slow-store",
    /// The store fails.
    StoreError = "store-error",
    /// The relay's system accepts no connections for a moment.
    AcceptError = "accept-error",
    /// The limits of the relay and its store are small.
    SmallLimits = "small-limits",
    /// Session tokens expire quickly.
    TokenExpiry = "token-expiry",
    /// The access token is changed.
    TokenRotation = "token-rotation",
    /// The relay restarts with another signing key.
    KeyRotation = "key-rotation",
    /// The log keeps little.
    Retention = "retention",
    /// Other programs hold git's lock files.
    GitLock = "git-lock",
    /// Git fails, is slow, or is killed halfway.
    GitTrouble = "git-trouble",
    /// Parties speak an older or a newer version of the wire.
    Versions = "versions",
}

impl FaultKind {
    /// Kinds added later draw from their own random streams, so that runs without them are
    /// unchanged.
    pub(super) const fn stream(self) -> Option<u64> {
        match self {
            Self::WriteCrash => Some(0x7772_6974),
            Self::TokenRotation => Some(0x726f_7461),
            Self::KeyRotation => Some(0x6b65_7973),
            Self::RelayStop => Some(0x7374_6f70),
            Self::Versions => Some(0x0bad_5eed_008a),
            Self::Portal => Some(0x706f_7274_616c),
            Self::Collects => Some(0x0063_6f6c_6c65_6374),
            Self::ShortLimit => Some(0x7368_6f72_7400),
            _ => None,
        }
    }
}
