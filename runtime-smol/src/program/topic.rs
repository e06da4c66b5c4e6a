//! The commands.

use footbridge_cli::args::Agent;
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;

/// The commands, and the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Program,
    Up,
    Relay,
    Work,
    SignIn,
    Credential,
    Backup,
    Config,
    Agent,
}

impl Topic {
    pub(super) const COMMANDS: [(&str, Self); 8] = [
        ("up", Self::Up),
        ("relay", Self::Relay),
        ("work", Self::Work),
        ("sign-in", Self::SignIn),
        ("credential", Self::Credential),
        ("backup", Self::Backup),
        ("config", Self::Config),
        ("agent", Self::Agent),
    ];

    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        let found = Self::COMMANDS.iter().find(|(command, _)| *command == name);
        found.map(|(_, topic)| *topic).ok_or_else(|| {
            let names = Self::COMMANDS.iter().map(|(command, _)| *command);
            let advice = match nearest(name, names.chain(["help", "version"])) {
                Some(near) => format!("did you mean {near}?"),
                None => "use up, relay, work, sign-in, credential, backup, config, agent or help"
                    .to_owned(),
            };
            Error::usage(format!("unknown command {name:?}; {advice}"))
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Program => "",
            Self::Up => "up",
            Self::Relay => "relay",
            Self::Work => "work",
            Self::SignIn => "sign-in",
            Self::Credential => "credential",
            Self::Backup => "backup",
            Self::Config => "config",
            Self::Agent => "agent",
        }
    }

    /// Its long options, other than settings and those common to all commands.
    pub(super) const fn own_options(self) -> &'static [&'static str] {
        match self {
            Self::Program => &[],
            Self::Up | Self::Relay | Self::Config => &["config", "json"],
            Self::Backup | Self::SignIn => &["config"],
            Self::Credential => &["config", "out"],
            Self::Work => &["config", "json", "check", "continue"],
            Self::Agent => &Agent::OPTIONS,
        }
    }
}
