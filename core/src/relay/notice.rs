//! What a program can tell a relay to do, and what the relay reports.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::config::AccessToken;
use super::oidc::config::OidcPerson;
use crate::base::id::{DeviceId, EnvironmentId, SessionId};
use crate::base::secret::Secret;
use crate::contract::action::Method;
use crate::wire::device::Scopes;
use crate::wire::session::SessionState;

/// What the program can tell a relay to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayCommand {
    /// Stop: accept nothing new, tell everyone to come back, and finish.
    Shutdown,
    /// Make a code that signs a browser in, for the person of the first access token; it comes as
    /// [`RelayNotice::SignInCode`].
    MakeSignInCode,
    /// From now on these people may use it, and nobody else. Whoever no longer may is cut off at once,
    /// and their devices, browsers and environments end.
    SetPeople {
        /// The first one is whom the program runs it for.
        people: Vec<AccessToken>,
        /// The accounts that were removed, also while it was not running.
        gone: Vec<String>,
    },
    /// From now on its certificate is for these names, by which it may be reached as well.
    SetCertifiedNames {
        /// All of them.
        names: Vec<String>,
    },
    /// From now on the provider knows them so, if there is one.
    SetOidcPeople {
        /// All of them.
        people: Vec<OidcPerson>,
    },
}

/// What a relay reports to its program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayNotice {
    /// It is accepting requests.
    Listening {
        /// At this address.
        address: String,
    },
    /// The code that was asked for.
    SignInCode {
        /// It signs one browser in, once, and soon.
        code: Secret,
    },
    /// A request was answered, for an access log.
    Answered {
        /// Its method.
        method: Method,
        /// The beginning of its path, without its query.
        path: String,
        /// The status of its answer; 101 for a WebSocket.
        status: u16,
        /// The address it came from.
        client: IpAddr,
    },
    /// Credentials were refused that this relay does not know. Reported now and then, not each time.
    CredentialsRefused {
        /// The address they came from.
        client: IpAddr,
        /// How many, since the last such report about it.
        count: u64,
    },
    /// Somebody has logged in (T-6).
    LoggedIn {
        /// The device.
        device: DeviceId,
        /// What it calls itself.
        name: String,
        /// What it may do.
        scopes: Scopes,
    },
    /// A device was revoked, has logged out, or has shown a refresh token twice.
    LoggedOut {
        /// The device.
        device: DeviceId,
    },
    /// A worker has registered.
    EnvironmentRegistered {
        /// The environment.
        environment: EnvironmentId,
        /// The name the machine gave itself.
        machine_name: String,
    },
    /// It takes no new requests, and ends once those under way are answered, or soon.
    ShuttingDown {
        /// Requests under way.
        requests: usize,
    },
    /// A worker has deregistered, or was silent for too long.
    EnvironmentGone {
        /// The environment.
        environment: EnvironmentId,
    },
    /// A session has changed state: queued when it is created, ended at its end.
    SessionState {
        /// The session.
        session: SessionId,
        /// Its state now.
        state: SessionState,
    },
    /// An ended session was removed, because the store takes up all that it may.
    SessionMadeRoom {
        /// The session.
        session: SessionId,
        /// The account that it belonged to.
        owner: String,
    },
    /// A session's worker has been given more than this relay has ever given it: the relay was set back
    /// to an earlier state. Both go on from there.
    WorkerAhead {
        /// The session.
        session: SessionId,
    },
    /// A session's link is up.
    WorkerConnected {
        /// The session.
        session: SessionId,
    },
    /// A session's link is down.
    WorkerDisconnected {
        /// The session.
        session: SessionId,
    },
    /// A push service has not taken a message to somebody's browser (Y-7).
    PushFailed {
        /// Its host.
        service: String,
        /// The status that it answered with; 0 if it did not.
        status: u16,
        /// What happened.
        detail: String,
    },
    /// Somebody could not sign in with the provider, for a reason that whom the relay runs for can mend.
    OidcFailed {
        /// What happened, and what to try.
        detail: String,
    },
    /// The store failed to carry something out; whoever was waiting was told to try again. The same
    /// failure is reported at most every
    /// [`STORE_FAILURES_REPORTED_EVERY`](crate::base::limits::STORE_FAILURES_REPORTED_EVERY).
    StoreFailed {
        /// The store's own message.
        detail: String,
        /// How many operations have failed so since it was reported last.
        times: u64,
    },
}
