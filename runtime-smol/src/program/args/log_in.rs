//! The arguments of the commands about log-ins: `login`, `logout`, `whoami`, `devices` and `audit`.

use std::time::Duration;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::duration;
use footbridge_cli::exit::Error;
use footbridge_core::base::id::DeviceId;
use footbridge_core::base::time::UnixTime;
use footbridge_core::wire::device::Scopes;
use footbridge_core::wire::url::BaseUrl;

use super::SignIn;

/// A request to log this machine in.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct LogIn {
    pub(in crate::program) relay: BaseUrl,
    pub(in crate::program) reach: RelayArgs,
    pub(in crate::program) name: Option<String>,
    pub(in crate::program) scopes: Scopes,
    /// Whether it becomes a trusted device.
    pub(in crate::program) is_enrolled: bool,
}

/// A request about this machine's log-in at a relay.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct OwnLogIn {
    pub(in crate::program) relay: BaseUrl,
    pub(in crate::program) reach: RelayArgs,
}

/// A request about a person's devices, made with the access token, as `sign-in` is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct Devices {
    pub(in crate::program) sign_in: SignIn,
    /// The one to end, if one is to.
    pub(in crate::program) revoke: Option<DeviceId>,
}

/// A request for a person's audit log, made with the access token.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct Audit {
    pub(in crate::program) sign_in: SignIn,
    /// Only what was done since then.
    pub(in crate::program) since: Option<Since>,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum Since {
    /// So long ago.
    Ago(Duration),
    At(UnixTime),
}

impl Audit {
    pub(super) fn of(sign_in: SignIn, since: Option<&str>) -> Result<Self, Error> {
        let since = since.map(|text| {
            let at = UnixTime::from_rfc3339(text).map(Since::At);
            let ago = || duration::parse(text).ok().map(Since::Ago);
            at.or_else(ago).ok_or_else(|| {
                Error::usage(format!(
                    "--since takes a time like 2026-01-31T12:00:00Z or a duration like 7d, not {text:?}"
                ))
            })
        });
        Ok(Self { sign_in, since: since.transpose()? })
    }
}

/// What may be asked for, as text.
pub(super) fn scopes(text: Option<&str>) -> Result<Scopes, Error> {
    let text = text.unwrap_or("work").replace(',', " ");
    Scopes::parse(&text).ok_or_else(|| {
        Error::usage(format!("--scope takes some of: {}, with commas between them", {
            Scopes::ALL.to_string().replace(' ', ", ")
        }))
    })
}
