//! The program `footbridge-worker`: reads its command line, builds a machine, and has it driven.

mod agent;
mod help;
mod signals;
mod work;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use footbridge_blocking::program::args::{Agent, Options, Reach, Verbosity, Work};
use footbridge_blocking::program::exit::Error;
use footbridge_blocking::program::print;
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Arg, Parser};

/// Runs the program to its end.
pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A stderr that is gone cannot be told.
            let _ = writeln!(std::io::stderr(), "footbridge-worker: {error}");
            ExitCode::from(&error)
        }
    }
}

fn run() -> Result<(), Error> {
    match parse(std::env::args_os().skip(1))? {
        Invocation::Help(text) => print(text),
        Invocation::Version => {
            print(concat!("footbridge-worker ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Invocation::Work { relay, reach, work } => work::run(&relay, &reach, &work),
        Invocation::Agent(args) => agent::run(args),
    }
}

/// What the program is to do.
#[derive(Clone, Debug, PartialEq)]
enum Invocation {
    Work { relay: BaseUrl, reach: Reach, work: Work },
    Agent(Agent),
    Help(&'static str),
    Version,
}

/// Reads the command line, without the program's own name.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let mut parser = Parser::from_args(args);
    let mut options = Options::default();
    let mut is_agent = false;
    let mut is_first = true;
    while let Some(arg) = parser.next()? {
        let is_first = std::mem::replace(&mut is_first, false);
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => {
                return Ok(Invocation::Help(if is_agent { help::AGENT } else { help::WORK }));
            }
            Arg::Long("version") | Arg::Short('V') => return Ok(Invocation::Version),
            Arg::Long("verbose") | Arg::Short('v') => {
                options.verbosity = Verbosity::Verbose;
                continue;
            }
            Arg::Long("quiet") | Arg::Short('q') => {
                options.verbosity = Verbosity::Quiet;
                continue;
            }
            Arg::Value(word) if is_first && word == "agent" => {
                is_agent = true;
                continue;
            }
            Arg::Long(name) => name.to_owned(),
            Arg::Short(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
        };
        let known = if is_agent { &Options::AGENT[..] } else { &Options::WORK };
        if !known.contains(&name.as_str()) {
            return Err(Error::usage(format!("there is no option --{name}: see --help")));
        }
        options.take(&name, &mut parser)?;
    }
    if is_agent {
        return Ok(Invocation::Agent(options.agent()));
    }
    let relay = options.relay().ok_or_else(|| {
        Error::usage("footbridge-worker needs --relay URL, the address of the relay")
    })?;
    Ok(Invocation::Work { relay, reach: options.reach(), work: options.work() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_blocking::program::args::{Reports, SpawnMode};
    use footbridge_blocking::program::exit::Why;
    use footbridge_core::agent::PermissionMode;
    use std::time::Duration;

    fn parsed(line: &str) -> Result<Invocation, Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn each_command_line_means_one_thing() {
        let work = Work {
            agent: None,
            directory: None,
            name: None,
            spawn_mode: SpawnMode::SameDir,
            max_sessions: 32,
            session_limit: Duration::from_secs(24 * 3600),
            shutdown_grace: Duration::from_secs(30),
        };
        let relay = BaseUrl::parse("https://r.example").expect("a URL");
        let quiet = Reports { verbosity: Verbosity::Quiet, json: true, token_file: None };
        let cases = [
            (
                "--relay https://r.example",
                Invocation::Work {
                    relay: relay.clone(),
                    reach: Reach::default(),
                    work: work.clone(),
                },
            ),
            (
                "-q --json --relay=https://r.example --never-give-up --ca-file ca --agent a \
                 --name n --spawn-mode worktree --max-sessions 2 --session-limit 1h \
                 --shutdown-grace 5s --directory /d",
                Invocation::Work {
                    relay,
                    reach: Reach {
                        reports: quiet,
                        never_give_up: true,
                        ca_file: Some("ca".into()),
                    },
                    work: Work {
                        agent: Some("a".to_owned()),
                        directory: Some("/d".into()),
                        name: Some("n".to_owned()),
                        spawn_mode: SpawnMode::Worktree,
                        max_sessions: 2,
                        session_limit: Duration::from_secs(3600),
                        shutdown_grace: Duration::from_secs(5),
                    },
                },
            ),
            (
                "agent --permission-mode bypassPermissions --session-id s -v",
                Invocation::Agent(Agent {
                    verbosity: Verbosity::Verbose,
                    directory: None,
                    session_id: Some("s".to_owned()),
                    permission_mode: PermissionMode::BypassPermissions,
                }),
            ),
            ("--help", Invocation::Help(help::WORK)),
            ("agent -h", Invocation::Help(help::AGENT)),
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
            ("--frobnicate", "no option --frobnicate: see --help"),
            ("--listen :0", "no option --listen"),
            ("agent --relay https://r.example", "no option --relay"),
            ("--relay example.org", "http://"),
            ("--relay http://example.org", "not safe"),
            ("--max-sessions 0", "from 1 to 1024"),
            ("--session-limit 5", "--session-limit: \"5\" is no duration"),
            ("--spawn-mode tree", "same-dir, worktree or single-session"),
            ("--name=", "--name"),
            ("agent --permission-mode plan", "acceptEdits"),
            ("-x", "-x"),
        ];
        for (line, expected) in cases {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.why, Why::Usage, "{line}");
            assert!(error.message.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn every_option_stands_in_the_help() {
        let topics = [(help::WORK, &Options::WORK[..]), (help::AGENT, &Options::AGENT)];
        for (text, options) in topics {
            for option in options.iter().chain(&["help"]) {
                assert!(text.contains(&format!("--{option}")), "--{option}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 80));
        }
    }
}
