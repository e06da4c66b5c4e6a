//! The commands.

use footbridge_cli::args::Agent;
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;

use super::args::attach::Wanted;

/// The commands, and the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Program,
    Up,
    Relay,
    Work,
    SignIn,
    LogIn,
    LogOut,
    WhoAmI,
    Devices,
    Audit,
    Credential,
    User,
    Backup,
    Mirror,
    Direct,
    Ps,
    Send,
    Mcp,
    Config,
    Agent,
    Attach,
    AnswerLink,
    Chat,
    Service,
    /// No command: how a phone gets to a relay.
    Phone,
}

/// Commands that are about the program itself.
const MORE_COMMANDS: [&str; 4] = ["help", "version", "completions", "man"];
/// What some commands want as their second word, in case it comes as the first.
const SECOND_WORDS: [(&str, &str); 4] =
    [("serve", "direct"), ("connect", "direct"), ("install", "service"), ("print", "service")];

impl Topic {
    pub(super) const COMMANDS: [(&str, Self); 23] = [
        ("up", Self::Up),
        ("relay", Self::Relay),
        ("work", Self::Work),
        ("sign-in", Self::SignIn),
        ("login", Self::LogIn),
        ("logout", Self::LogOut),
        ("whoami", Self::WhoAmI),
        ("devices", Self::Devices),
        ("audit", Self::Audit),
        ("credential", Self::Credential),
        ("user", Self::User),
        ("backup", Self::Backup),
        ("mirror", Self::Mirror),
        ("direct", Self::Direct),
        ("ps", Self::Ps),
        ("send", Self::Send),
        ("mcp", Self::Mcp),
        ("config", Self::Config),
        ("agent", Self::Agent),
        ("attach", Self::Attach),
        ("answer-link", Self::AnswerLink),
        ("chat", Self::Chat),
        ("service", Self::Service),
    ];

    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        let found = Self::COMMANDS.iter().find(|(command, _)| *command == name);
        found.map(|(_, topic)| *topic).ok_or_else(|| {
            let names = Self::COMMANDS.iter().map(|(command, _)| *command);
            let second = SECOND_WORDS.iter().find(|(second, _)| *second == name);
            let advice = match (second, nearest(name, names.clone().chain(MORE_COMMANDS))) {
                (Some((second, first)), _) => format!("did you mean {first} {second}?"),
                (None, Some(near)) => format!("did you mean {near}?"),
                (None, None) => format!("use {} or help", names.collect::<Vec<_>>().join(", ")),
            };
            Error::usage(format!("unknown command {name:?}; {advice}"))
        })
    }

    /// Whether it takes a relay's address without a flag.
    pub(super) fn takes_relay(self) -> bool {
        matches!(self, Self::LogIn | Self::LogOut | Self::WhoAmI)
    }

    /// Whether it is about the sessions on this machine.
    pub(super) const fn is_about_peers(self) -> bool {
        matches!(self, Self::Ps | Self::Send | Self::Mcp)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Program => "",
            Self::Up => "up",
            Self::Relay => "relay",
            Self::Work => "work",
            Self::SignIn => "sign-in",
            Self::LogIn => "login",
            Self::LogOut => "logout",
            Self::WhoAmI => "whoami",
            Self::Devices => "devices",
            Self::Audit => "audit",
            Self::Credential => "credential",
            Self::User => "user",
            Self::Backup => "backup",
            Self::Mirror => "mirror",
            Self::Direct => "direct",
            Self::Ps => "ps",
            Self::Send => "send",
            Self::Mcp => "mcp",
            Self::Config => "config",
            Self::Agent => "agent",
            Self::Attach => "attach",
            Self::AnswerLink => "answer-link",
            Self::Chat => "chat",
            Self::Service => "service",
            Self::Phone => "phone",
        }
    }

    /// Its long options, other than settings and those common to all commands.
    pub(super) const fn own_options(self) -> &'static [&'static str] {
        match self {
            Self::Program | Self::Phone => &[],
            Self::Up | Self::Relay | Self::Config => &["config", "json"],
            Self::User => &["config", "oidc-subject", "oidc-email"],
            Self::Backup | Self::SignIn | Self::LogOut => &["config"],
            Self::Mirror => &["config", "json", "to"],
            Self::Direct => super::args::direct::OPTIONS,
            Self::Ps => &["json"],
            Self::Send | Self::Mcp => &["config"],
            Self::LogIn => &["config", "scope"],
            Self::WhoAmI => &["config", "json"],
            Self::Devices => &["config", "json", "revoke"],
            Self::Audit => &["config", "json", "since"],
            Self::Credential => &["config", "out"],
            Self::Work => &["config", "json", "check", "continue"],
            Self::Agent => &Agent::OPTIONS,
            Self::Attach => &Wanted::OPTIONS,
            Self::AnswerLink => &["config", "json", "request", "expires-in"],
            Self::Chat => &["config", "title", "plain"],
            Self::Service => &["user", "system", "manager", "run-as", "program", "unit"],
        }
    }
}
