//! What each command line means.

use super::*;
use std::time::Duration;

use footbridge_blocking::program::args::SpawnMode;
use footbridge_blocking::program::exit::Why;
use footbridge_core::agent::PermissionMode;

fn parsed(line: &str) -> Result<Invocation, Error> {
    parse(shell_words::split(line).expect("words").into_iter().map(OsString::from))
}

fn serve() -> Serve {
    Serve {
        reports: Reports::default(),
        listen: "127.0.0.1:8787".parse().expect("an address"),
        public_url: None,
        tls: None,
    }
}

fn work() -> Work {
    Work {
        agent: None,
        directory: None,
        name: None,
        spawn_mode: SpawnMode::SameDir,
        max_sessions: 32,
        session_limit: Duration::from_secs(24 * 3600),
        shutdown_grace: Duration::from_secs(30),
    }
}

fn listening(address: &str) -> Serve {
    Serve { listen: address.parse().expect("an address"), ..serve() }
}

#[test]
fn each_command_line_means_one_thing() {
    let base = |url| BaseUrl::parse(url).expect("a URL");
    let quiet = Reports { verbosity: Verbosity::Quiet, json: true, token_file: None };
    let up = |serve, work| Invocation::Up { serve, work };
    let cases = [
        ("", up(serve(), work())),
        ("up", up(serve(), work())),
        ("--listen :0", up(listening("127.0.0.1:0"), work())),
        ("up --listen localhost:80", up(listening("127.0.0.1:80"), work())),
        ("up --listen=[::1]:1", up(listening("[::1]:1"), work())),
        ("-q --json", up(Serve { reports: quiet, ..serve() }, work())),
        ("up --behind-proxy --listen 0.0.0.0:1", up(listening("0.0.0.0:1"), work())),
        (
            "up --agent 'claude --model m' --name n --spawn-mode worktree --max-sessions 1 --session-limit 1h --shutdown-grace 5s --directory /d",
            up(
                serve(),
                Work {
                    agent: Some("claude --model m".to_owned()),
                    directory: Some("/d".into()),
                    name: Some("n".to_owned()),
                    spawn_mode: SpawnMode::Worktree,
                    max_sessions: 1,
                    session_limit: Duration::from_secs(3600),
                    shutdown_grace: Duration::from_secs(5),
                },
            ),
        ),
        (
            "relay --listen 0.0.0.0:443 --tls-cert c --tls-key k --public-url https://r.example",
            Invocation::Relay {
                serve: Serve {
                    tls: Some(("c".into(), "k".into())),
                    public_url: Some(base("https://r.example")),
                    ..listening("0.0.0.0:443")
                },
            },
        ),
        (
            "work --relay https://r.example --never-give-up --ca-file ca --token-file t -v",
            Invocation::Work {
                relay: base("https://r.example"),
                reach: Reach {
                    reports: Reports {
                        verbosity: Verbosity::Verbose,
                        json: false,
                        token_file: Some("t".into()),
                    },
                    never_give_up: true,
                    ca_file: Some("ca".into()),
                },
                work: work(),
            },
        ),
        ("agent", Invocation::Agent(Agent::default())),
        (
            "agent --permission-mode bypassPermissions --session-id s",
            Invocation::Agent(Agent {
                session_id: Some("s".to_owned()),
                permission_mode: PermissionMode::BypassPermissions,
                ..Agent::default()
            }),
        ),
        ("--help", Invocation::Help(Topic::Program)),
        ("help", Invocation::Help(Topic::Program)),
        ("help work", Invocation::Help(Topic::Work)),
        ("relay -h", Invocation::Help(Topic::Relay)),
        ("work --help", Invocation::Help(Topic::Work)),
        ("--version", Invocation::Version),
        ("-V", Invocation::Version),
    ];
    for (line, expected) in cases {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_and_what_to_do() {
    let cases = [
        ("down", "no command \"down\""),
        ("up down", "down"),
        ("help --x", "--x"),
        ("--frobnicate", "no option --frobnicate: see footbridge help up"),
        ("up --ca-file x", "belongs to footbridge work"),
        ("work --listen :0", "belongs to footbridge up and footbridge relay"),
        ("work", "needs --relay URL"),
        ("work --relay example.org", "http://"),
        ("work --relay http://example.org", "not safe"),
        ("relay --tls-cert c", "go together"),
        ("relay --listen 0.0.0.0:1", "in the clear"),
        ("up --listen [::]:1", "in the clear"),
        ("up --listen example.org:1", "127.0.0.1:8787"),
        ("up --listen :99999", "127.0.0.1:8787"),
        ("up --listen", "--listen"),
        ("up --json=yes", "--json"),
        ("up --max-sessions 0", "from 1 to 1024"),
        ("up --session-limit 5", "--session-limit: \"5\" is no duration"),
        ("up --spawn-mode tree", "same-dir, worktree or single-session"),
        ("up --name ''", "--name"),
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
fn every_option_of_every_command_stands_in_its_help() {
    for (_, topic) in Topic::COMMANDS {
        let help = crate::program::help::text(topic);
        for option in topic.options().iter().chain(&["help"]) {
            assert!(help.contains(&format!("--{option}")), "{topic:?}: --{option}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{topic:?}");
    }
}
