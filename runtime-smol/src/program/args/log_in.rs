//! The arguments of the commands about log-ins: `login`, `logout`, `whoami` and `devices`.

use footbridge_cli::args::RelayArgs;
use footbridge_cli::exit::Error;
use footbridge_core::base::id::DeviceId;
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

/// What may be asked for, as text.
pub(super) fn scopes(text: Option<&str>) -> Result<Scopes, Error> {
    let text = text.unwrap_or("work").replace(',', " ");
    Scopes::parse(&text).ok_or_else(|| {
        Error::usage(format!("--scope takes some of: {}, with commas between them", {
            Scopes::ALL.to_string().replace(' ', ", ")
        }))
    })
}
