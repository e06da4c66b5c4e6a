//! The command line.

use std::ffi::OsString;

use footbridge_cli::agent_line::{AgentLine, ResumeLine};
use footbridge_cli::args::{Agent, RelayArgs, Work, text};
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;
use footbridge_cli::value::{
    Count, FileNames, Flags, Format, Level, MachineName, Relays, Span, Value, Variables,
};
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Arg, Parser};

/// What the program should do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Invocation {
    Work { relay: BaseUrl, reach: RelayArgs, work: Box<Work> },
    Agent(Agent),
    Help(Topic),
    Version,
}

/// A help topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Worker,
    Agent,
}

impl Invocation {
    /// How it reports errors.
    pub(super) const fn format(&self) -> Format {
        match self {
            Self::Work { reach, .. } => reach.reports.format,
            Self::Agent(_) | Self::Help(_) | Self::Version => Format::Text,
        }
    }
}

/// Parses the command line, without the program's own name.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let mut parser = Parser::from_args(args);
    let mut line = Line::default();
    let mut is_agent = false;
    let mut is_first = true;
    while let Some(arg) = parser.next()? {
        let is_first = std::mem::replace(&mut is_first, false);
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => {
                return Ok(Invocation::Help(if is_agent { Topic::Agent } else { Topic::Worker }));
            }
            Arg::Long("version") | Arg::Short('V') => {
                return match parser.next()? {
                    None => Ok(Invocation::Version),
                    Some(more) => Err(more.unexpected().into()),
                };
            }
            Arg::Long("verbose") | Arg::Short('v') => {
                line.reach.reports.level = Level::Debug;
                continue;
            }
            Arg::Long("quiet") | Arg::Short('q') => {
                line.reach.reports.level = Level::Error;
                continue;
            }
            Arg::Value(word) if is_first && word == "agent" => {
                is_agent = true;
                continue;
            }
            Arg::Long(name) => name.to_owned(),
            Arg::Short(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
        };
        if is_agent {
            line.shell.take(&name, &mut parser)?;
        } else {
            line.take(&name, &mut parser)?;
        }
    }
    let Line { relay, reach, work, shell } = line;
    if is_agent {
        return Ok(Invocation::Agent(Agent { level: reach.reports.level, ..shell }));
    }
    let relay = relay.ok_or_else(|| {
        Error::usage("footbridge-worker needs --relay URL, the address of the relay")
    })?;
    Ok(Invocation::Work { relay, reach, work: Box::new(work) })
}

/// The long options of the worker: each is accepted, and is in its help.
const OPTIONS: [&str; 28] = [
    "allow-missing-agent",
    "health",
    "continue",
    "hand-over",
    "relay",
    "never-give-up",
    "trust-relay",
    "transport",
    "work-by",
    "ca-file",
    "token-file",
    "secrets",
    "json",
    "agent",
    "agent-resume",
    "directory",
    "name",
    "spawn-mode",
    "disposable",
    "max-sessions",
    "session-limit",
    "shutdown-grace",
    "allow-variable",
    "allow-flag",
    "allow-relay",
    "trust-repository",
    "log-level",
    "log-format",
];

/// What has been parsed so far.
#[derive(Default)]
struct Line {
    relay: Option<BaseUrl>,
    reach: RelayArgs,
    work: Work,
    shell: Agent,
}

impl Line {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        let Self { reach, work, .. } = self;
        match name {
            "json" => reach.reports.json = true,
            "continue" => work.continues = true,
            "hand-over" => work.hand_over = true,
            "never-give-up" => {
                work.backoff.connection.give_up = None;
                work.backoff.general.give_up = None;
            }
            "allow-missing-agent" => work.may_lack_agent = true,
            "health" => work.health = Some(value(name, parser)?),
            "trust-relay" => work.trusts_relay = true,
            "transport" => work.transport = value(name, parser)?,
            "work-by" => work.work_by = value(name, parser)?,
            "trust-repository" => work.trusts_repository = true,
            "relay" => self.relay = Some(value(name, parser)?),
            "ca-file" => reach.ca_file = Some(value(name, parser)?),
            "secrets" => reach.reports.secrets = value(name, parser)?,
            "token-file" => reach.reports.token_file = Some(value(name, parser)?),
            "log-level" => reach.reports.level = value(name, parser)?,
            "log-format" => reach.reports.format = value(name, parser)?,
            "agent" => work.agent = Some(value::<AgentLine>(name, parser)?.0),
            "agent-resume" => work.agent_resume = Some(value::<ResumeLine>(name, parser)?.0),
            "directory" => work.directory = Some(value(name, parser)?),
            "name" => work.name = Some(value::<MachineName>(name, parser)?.0),
            "spawn-mode" => work.spawn_mode = value(name, parser)?,
            "max-sessions" => work.max_sessions = value::<Count>(name, parser)?.0,
            "session-limit" => work.session_limit = value::<Span>(name, parser)?.0,
            "shutdown-grace" => work.shutdown_grace = value::<Span>(name, parser)?.0,
            "allow-variable" => {
                work.allowance.variables.extend(value::<Variables>(name, parser)?.0);
            }
            "allow-flag" => work.allowance.flags.extend(value::<Flags>(name, parser)?.0),
            "disposable" => work.disposable.extend(value::<FileNames>(name, parser)?.0),
            "allow-relay" => work.allowance.relays.extend(value::<Relays>(name, parser)?.0),
            _ => {
                let advice = match nearest(name, OPTIONS) {
                    Some(near) => format!("did you mean --{near}?"),
                    None => "see --help".to_owned(),
                };
                return Err(Error::usage(format!("unknown option --{name}; {advice}")));
            }
        }
        Ok(())
    }
}

/// The value of the option `name`.
fn value<T: Value>(name: &str, parser: &mut Parser) -> Result<T, Error> {
    T::parse(&text(parser)?).map_err(|wrong| Error::usage(format!("--{name}: {wrong}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_cli::args::LogArgs;
    use footbridge_cli::exit::ExitKind;
    use footbridge_cli::value::{Secrets, SpawnMode, Transport, WorkBy};
    use footbridge_core::engine::backoff::BackoffConfig;
    use footbridge_core::worker::Allowance;
    use std::time::Duration;

    fn parsed(line: &str) -> Result<Invocation, Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn each_command_line_means_one_thing() {
        let mut for_ever = BackoffConfig::default();
        for_ever.connection.give_up = None;
        for_ever.general.give_up = None;
        let relay = BaseUrl::parse("https://r.example").expect("a URL");
        let quiet = LogArgs {
            level: Level::Error,
            format: Format::Json,
            json: true,
            secrets: Secrets::Keyring,
            ..LogArgs::default()
        };
        let cases = [
            (
                "--relay https://r.example",
                Invocation::Work {
                    relay: relay.clone(),
                    reach: RelayArgs::default(),
                    work: Box::default(),
                },
            ),
            (
                "-q --json --relay=https://r.example --never-give-up --ca-file ca --agent a \
                 --name n --spawn-mode worktree --max-sessions 2 --session-limit 1h \
                 --shutdown-grace 5s --directory /d --log-format json --allow-variable A \
                 --allow-variable B --allow-flag --settings --allow-relay https://i.example \
                 --trust-repository --trust-relay --transport v2 --work-by poll --secrets keyring --disposable out --disposable *.log",
                Invocation::Work {
                    relay,
                    reach: RelayArgs { reports: quiet, ca_file: Some("ca".into()) },
                    work: Box::new(Work {
                        agent: Some("a".to_owned()),
                        directory: Some("/d".into()),
                        name: Some("n".to_owned()),
                        spawn_mode: SpawnMode::Worktree,
                        max_sessions: 2,
                        session_limit: Duration::from_secs(3600),
                        shutdown_grace: Duration::from_secs(5),
                        allowance: Allowance {
                            variables: vec!["A".to_owned(), "B".to_owned()],
                            flags: vec!["settings".to_owned()],
                            relays: vec![BaseUrl::parse("https://i.example").expect("a URL")],
                        },
                        trusts_repository: true,
                        disposable: vec!["out".to_owned(), "*.log".to_owned()],
                        trusts_relay: true,
                        transport: Transport::V2,
                        work_by: WorkBy::Poll,
                        backoff: for_ever,
                        ..Work::default()
                    }),
                },
            ),
            (
                "agent --session-id s -v",
                Invocation::Agent(Agent {
                    level: Level::Debug,
                    session_id: Some("s".to_owned()),
                    ..Agent::default()
                }),
            ),
            ("--help", Invocation::Help(Topic::Worker)),
            ("agent -h", Invocation::Help(Topic::Agent)),
            ("-V", Invocation::Version),
        ];
        for (line, expected) in cases {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong_and_what_to_do() {
        let cases = [
            ("", "needs --relay URL"),
            ("work", "work"),
            ("-q agent", "agent"),
            ("--frobnicate", "unknown option --frobnicate; see --help"),
            ("--relai x", "unknown option --relai; did you mean --relay?"),
            ("--listen :0", "unknown option --listen"),
            ("agent --relay https://r.example", "unknown option --relay"),
            ("--relay example.org", "http://"),
            ("--session-limit 5", "--session-limit: \"5\" is not a duration"),
            ("--name=", "--name"),
            ("agent --permission-mode plan", "acceptEdits"),
            ("-x", "-x"),
        ];
        for (line, expected) in cases {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.why, ExitKind::Usage, "{line}");
            assert!(error.message.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn every_option_is_in_the_help() {
        let topics = [(Topic::Worker, &OPTIONS[..]), (Topic::Agent, &Agent::OPTIONS)];
        for (topic, options) in topics {
            let text = crate::program::help::text(topic);
            for option in options.iter().chain(&["help"]) {
                assert!(text.contains(&format!("--{option}")), "--{option}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 80));
        }
    }
}
