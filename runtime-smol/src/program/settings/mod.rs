//! Everything that can be set: in the configuration file, the environment, or flags, each
//! overriding the one before.
//!
//! A setting has one name in three spellings: `max_sessions = 8` in the file,
//! `FOOTBRIDGE_MAX_SESSIONS=8` in the environment, `--max-sessions 8` on the command line. Each
//! remembers where its value came from.

#[cfg(test)]
mod any;
mod file;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use footbridge_cli::agent_line::{AgentLine, ResumeLine};
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;
use footbridge_cli::token::{TOKEN_VARIABLE, TRUST_VARIABLES};
use footbridge_cli::value::{
    Count, DemandTrust, FileNames, Flags, Format, Hosts, Kind, Level, MachineName, Millis,
    PlainText, Relays, Secrets, Size, Span, SpawnMode, Transport, Value, Variables, WorkBy,
};
use footbridge_core::base::limits::{
    DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_LIMIT, DEFAULT_SHUTDOWN_GRACE,
    DEFAULT_STOP_WORK_BASE_DELAY, ENDED_SESSION_KEPT_FOR, STORE_BYTES,
};
use footbridge_core::engine::backoff::{BackoffConfig, Track};
use footbridge_core::wire::url::BaseUrl;

pub(super) use file::Place;

use super::topic::Topic;

/// Where a relay listens by default.
const DEFAULT_PORT: u16 = 8787;
/// The prefix of all variables.
const PREFIX: &str = "FOOTBRIDGE_";
/// Variables with that prefix that are not settings: credentials, and those set for agents.
const OTHER_VARIABLES: [&str; 8] = [
    "FOOTBRIDGE_CONFIG",
    TOKEN_VARIABLE,
    TRUST_VARIABLES[0],
    "FOOTBRIDGE_SESSION_ID",
    "FOOTBRIDGE_SESSION_URL",
    "FOOTBRIDGE_SESSION_TOKEN",
    "FOOTBRIDGE_SESSION",
    "FOOTBRIDGE_ENVIRONMENT",
];

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    #[default]
    Default,
    /// The configuration file.
    File { path: PathBuf, line: usize },
    /// The environment, with the variable's name.
    Variable(String),
    /// The command line, with the flag as it was given.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One setting's value, if it has one, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// A setting, by its name in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// The commands it applies to.
    pub(super) commands: &'static [Topic],
}

impl Setting {
    pub(super) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Whether a command accepts it.
    pub(super) fn applies_to(&self, command: Topic) -> bool {
        command == Topic::Config || self.commands.contains(&command)
    }

    fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_ascii_uppercase())
    }

    /// The setting for this flag, given without dashes.
    pub(super) fn of_flag(flag: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.flag() == flag)
    }
}

/// One row of the settings in effect.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) setting: &'static Setting,
    /// As it would be written in the environment; `None` if it has no value.
    pub(super) value: Option<String>,
    pub(super) origin: &'a Origin,
}

macro_rules! settings {
    ($($key:ident: $type:ty, [$($command:ident),*], $default:expr;)*) => {
        /// All settings, by name.
        pub(super) const SETTINGS: &[Setting] = &[$(Setting {
            key: stringify!($key),
            kind: <$type as Value>::KIND,
            commands: &[$(Topic::$command),*],
        }),*];

        /// The settings in effect.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) struct Settings {
            $(pub(super) $key: Slot<$type>,)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($key: Slot { value: $default, origin: Origin::Default },)* }
            }
        }

        impl Settings {
            /// Sets one of [`SETTINGS`]; the error says what its values look like.
            fn set(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), String> {
                match key {
                    $(stringify!($key) => {
                        self.$key = Slot { value: <$type as Value>::parse(text)?, origin };
                    })*
                    _ => return Err(format!("unknown setting {key}")),
                }
                Ok(())
            }

            /// All rows, in the order of the help.
            pub(super) fn rows(&self) -> Vec<Row<'_>> {
                let values = [$((self.$key.value.show(), &self.$key.origin)),*];
                let rows = SETTINGS.iter().zip(values);
                rows.map(|(setting, (value, origin))| Row { setting, value, origin }).collect()
            }
        }
    };
}

settings! {
    listen: SocketAddr, [Up, Relay, SignIn, Devices, Audit, Mirror], SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT));
    behind_proxy: bool, [Up, Relay], false;
    public_url: Option<BaseUrl>, [Up, Relay, SignIn], None;
    allow_host: Hosts, [Up, Relay], Hosts(Vec::new());
    allow_private_push: bool, [Up, Relay], false;
    own_certificate: bool, [Up, Relay], false;
    tls_cert: Option<PathBuf>, [Up, Relay], None;
    tls_key: Option<PathBuf>, [Up, Relay], None;
    data: Option<PathBuf>, [Up, Relay, Backup, SignIn, Devices, Audit, Mirror, Credential, User], None;
    in_memory: bool, [Up, Relay], false;
    max_data: Size, [Up, Relay], Size(STORE_BYTES);
    keep_ended: Span, [Up, Relay], Span(ENDED_SESSION_KEPT_FOR);
    code_sessions: bool, [Up, Relay], false;
    demand_trusted_device: DemandTrust, [Up, Relay], DemandTrust::Off;
    oidc_issuer: Option<PlainText>, [Up, Relay], None;
    oidc_client_id: Option<PlainText>, [Up, Relay], None;
    oidc_client_secret_file: Option<PathBuf>, [Up, Relay], None;
    oidc_ca_file: Option<PathBuf>, [Up, Relay], None;
    no_trusted_device: bool, [LogIn], false;
    relay: Option<BaseUrl>, [Chat, Work, Attach, AnswerLink, SignIn, LogIn, LogOut, WhoAmI, Devices, Audit, Mirror, Send, Mcp], None;
    ca_file: Option<PathBuf>, [Chat, Work, Attach, AnswerLink, SignIn, LogIn, LogOut, WhoAmI, Devices, Audit, Mirror, Send, Mcp], None;
    token_file: Option<PathBuf>, [Chat, Up, Relay, Work, Attach, AnswerLink, Backup, SignIn, Devices, Audit, Mirror, Credential, Send, Mcp], None;
    secrets: Secrets, [Chat, Work, Attach, AnswerLink, LogIn, LogOut, WhoAmI, Mirror, Send, Mcp], Secrets::File;
    agent: Option<AgentLine>, [Chat, Up, Work], None;
    agent_resume: Option<ResumeLine>, [Up, Work], None;
    allow_missing_agent: bool, [Up, Work], false;
    directory: Option<PathBuf>, [Chat, Up, Work], None;
    name: Option<MachineName>, [Chat, Up, Work, LogIn, Credential], None;
    spawn_mode: SpawnMode, [Up, Work], SpawnMode::SameDir;
    disposable: FileNames, [Up, Work], FileNames(Vec::new());
    max_sessions: Count, [Up, Work], Count(DEFAULT_MAX_SESSIONS);
    session_limit: Span, [Up, Work], Span(DEFAULT_SESSION_LIMIT);
    shutdown_grace: Span, [Chat, Up, Work], Span(DEFAULT_SHUTDOWN_GRACE);
    allow_variable: Variables, [Up, Work], Variables(Vec::new());
    allow_flag: Flags, [Up, Work], Flags(Vec::new());
    allow_relay: Relays, [Up, Work], Relays(Vec::new());
    trust_repository: bool, [Up, Work], false;
    hand_over: bool, [Up, Work], false;
    never_give_up: bool, [Work], false;
    trust_relay: bool, [Work], false;
    transport: Transport, [Chat, Up, Work], Transport::Auto;
    work_by: WorkBy, [Up, Work], WorkBy::Auto;
    health: Option<SocketAddr>, [Up, Relay, Work], None;
    conn_initial_ms: Millis, [Work], Millis(BackoffConfig::default().connection.initial);
    conn_cap_ms: Millis, [Work], Millis(BackoffConfig::default().connection.cap);
    conn_give_up_ms: Millis, [Work], Millis::of(BackoffConfig::default().connection.give_up);
    general_initial_ms: Millis, [Work], Millis(BackoffConfig::default().general.initial);
    general_cap_ms: Millis, [Work], Millis(BackoffConfig::default().general.cap);
    general_give_up_ms: Millis, [Work], Millis::of(BackoffConfig::default().general.give_up);
    stop_work_base_delay_ms: Millis, [Work], Millis(DEFAULT_STOP_WORK_BASE_DELAY);
    log_level: Level, [Chat, Up, Relay, Work, Attach, AnswerLink, Backup, SignIn, LogIn, LogOut, WhoAmI, Devices, Audit, Mirror, Credential, User], Level::Info;
    log_format: Format, [Chat, Up, Relay, Work, Attach, AnswerLink, Backup, SignIn, LogIn, LogOut, WhoAmI, Devices, Audit, Mirror, Credential, User], Format::Text;
}

/// One setting as given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    /// The flag as it was given: `--name`, `-v`.
    pub(super) flag: String,
    pub(super) text: String,
}

impl Settings {
    /// Layers the sources: defaults, file, environment, flags. All of them are parsed in full,
    /// whichever command it is for.
    pub(super) fn gather(
        place: Option<&Place>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Given],
    ) -> Result<(Self, Vec<String>), Error> {
        let mut settings = Self::default();
        if let Some(place) = place {
            for entry in file::read(place)? {
                settings.put(entry.key, &entry.text, entry.origin)?;
            }
        }
        let mut unknown = Vec::new();
        for (name, text) in environment {
            let is_ours = name.starts_with(PREFIX) && !OTHER_VARIABLES.contains(&name.as_str());
            if !is_ours || text.is_empty() {
                continue;
            }
            match SETTINGS.iter().find(|setting| setting.variable() == name) {
                Some(setting) => settings.put(setting.key, &text, Origin::Variable(name))?,
                None => unknown.push(unknown_variable(&name)),
            }
        }
        unknown.sort();
        for Given { setting, flag, text } in flags {
            // A repeatable flag adds to those before it, and replaces what lower layers set.
            let text = match (setting.kind, settings.rows_of(setting)) {
                (Kind::List, Some((before, Origin::Flag(_)))) => format!("{before},{text}"),
                _ => text.clone(),
            };
            settings.put(setting.key, &text, Origin::Flag(flag.clone()))?;
        }
        Ok((settings, unknown))
    }

    fn rows_of(&self, setting: &Setting) -> Option<(String, Origin)> {
        let row = self.rows().into_iter().find(|row| row.setting == setting)?;
        Some((row.value?, row.origin.clone()))
    }

    fn put(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), Error> {
        let at = match &origin {
            Origin::File { .. } => format!("{origin}: {key}"),
            other => other.to_string(),
        };
        self.set(key, text, origin).map_err(|wrong| Error::usage(format!("{at}: {wrong}")))
    }

    /// A worker's retry delays, and when it gives up (W-2).
    pub(super) fn backoff(&self) -> BackoffConfig {
        let track = |initial: &Slot<Millis>, cap: &Slot<Millis>, give_up: &Slot<Millis>| Track {
            initial: initial.value.0,
            cap: cap.value.0.max(initial.value.0),
            give_up: (!self.never_give_up.value).then_some(give_up.value.0),
        };
        BackoffConfig {
            connection: track(&self.conn_initial_ms, &self.conn_cap_ms, &self.conn_give_up_ms),
            general: track(
                &self.general_initial_ms,
                &self.general_cap_ms,
                &self.general_give_up_ms,
            ),
        }
    }
}

/// Names it, and the one that was meant.
fn unknown_variable(name: &str) -> String {
    let known: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
    match nearest(name, known.iter().map(String::as_str).chain(OTHER_VARIABLES)) {
        Some(near) => format!("{name} is set but is not a setting; did you mean {near}?"),
        None => format!("{name} is set but is not a setting; see footbridge config"),
    }
}
