//! Why somebody is not signed in by the provider, for them and for whom the relay runs.

use alloc::string::String;

/// Why a sign-in with the provider has led to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OidcError {
    #[error("this relay signs nobody in with a provider: sign in with a link or an access token")]
    Off,
    #[error("too many people sign in at once: try again in a moment")]
    Busy,
    #[error(
        "this sign-in was begun in another browser, or too long ago, or cookies are blocked: begin again"
    )]
    Ticket,
    #[error(
        "the provider did not sign you in ({0}): begin again, or ask whoever runs the provider"
    )]
    Refused(String),
    #[error(
        "the provider could not be asked ({0}): try again in a moment; if it stays, whoever runs this relay has to look at its log"
    )]
    Unreachable(String),
    #[error("the provider gives an answer that this relay does not take: {0}")]
    Provider(String),
    #[error("the provider's token does not hold ({0}): begin again")]
    Token(&'static str),
    #[error(
        "the provider knows you, and this relay does not: ask whoever runs it to add you as {0}"
    )]
    Unknown(String),
}

impl OidcError {
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::Off => 404,
            Self::Busy => 503,
            Self::Ticket | Self::Refused(_) => 400,
            Self::Unreachable(_) | Self::Provider(_) | Self::Token(_) => 502,
            Self::Unknown(_) => 403,
        }
    }

    /// Whether whom the relay runs for should hear of it: others can cause the rest at will.
    pub(super) const fn is_reported(&self) -> bool {
        match self {
            Self::Off | Self::Busy | Self::Ticket | Self::Refused(_) => false,
            Self::Unreachable(_) | Self::Provider(_) | Self::Token(_) | Self::Unknown(_) => true,
        }
    }
}
