//! What each command line means.

use super::*;

use footbridge_cli::exit::ExitKind;
use footbridge_cli::value::SpawnMode;

fn parsed(line: &str) -> Result<Invocation, Error> {
    parse(shell_words::split(line).expect("words").into_iter().map(OsString::from), &[])
}

fn serve() -> Serve {
    Serve {
        reports: LogArgs::default(),
        listen: "127.0.0.1:8787".parse().expect("an address"),
        public_url: None,
        hosts: Vec::new(),
        is_behind_proxy: false,
        allows_private_push: false,
        tls: None,
        data: Data::Default,
        keeping: Keeping { max_data: 10 << 30, keep_ended: Duration::from_secs(90 * 86_400) },
        has_code_sessions: false,
        demand_trusted: None,
        oidc: None,
        health: None,
    }
}

fn listening(address: &str) -> Serve {
    Serve { listen: address.parse().expect("an address"), ..serve() }
}

#[test]
fn each_command_line_means_one_thing() {
    let base = |url| BaseUrl::parse(url).expect("a URL");
    let quiet = LogArgs { level: Level::Error, json: true, ..LogArgs::default() };
    let mut for_ever = BackoffConfig::default();
    for_ever.connection.give_up = None;
    for_ever.general.give_up = None;
    let up = |serve, work| Invocation::Up { serve, work };
    let cases = [
        ("", up(serve(), Work::default())),
        ("up", up(serve(), Work::default())),
        ("--listen :0", up(listening("127.0.0.1:0"), Work::default())),
        ("up --listen localhost:80", up(listening("127.0.0.1:80"), Work::default())),
        ("up --listen=[::1]:1", up(listening("[::1]:1"), Work::default())),
        ("-q --json", up(Serve { reports: quiet, ..serve() }, Work::default())),
        ("up --data /d", up(Serve { data: Data::In("/d".into()), ..serve() }, Work::default())),
        (
            "relay --data /d --in-memory",
            Invocation::Relay { serve: Serve { data: Data::InMemory, ..serve() } },
        ),
        (
            "up --behind-proxy --listen 0.0.0.0:1",
            up(Serve { is_behind_proxy: true, ..listening("0.0.0.0:1") }, Work::default()),
        ),
        (
            "up --agent 'claude --model m' --name n --spawn-mode worktree --max-sessions 1 --session-limit 1h --shutdown-grace 5s --directory /d --allow-variable A --allow-variable B --allow-flag settings,mcp-config --allow-relay https://i.example",
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
                    allowance: Allowance {
                        variables: vec!["A".to_owned(), "B".to_owned()],
                        flags: vec!["settings".to_owned(), "mcp-config".to_owned()],
                        relays: vec![base("https://i.example")],
                    },
                    ..Work::default()
                },
            ),
        ),
        (
            "relay --listen 0.0.0.0:443 --tls-cert c --tls-key k --public-url https://r.example",
            Invocation::Relay {
                serve: Serve {
                    tls: Some(Tls::Files { chain: "c".into(), key: "k".into() }),
                    public_url: Some(base("https://r.example")),
                    ..listening("0.0.0.0:443")
                },
            },
        ),
        (
            "work --relay https://r.example --never-give-up --ca-file ca --token-file t -v --log-format json --stop-work-base-delay-ms 5 --check",
            Invocation::Work {
                relay: base("https://r.example"),
                reach: RelayArgs {
                    reports: LogArgs {
                        level: Level::Debug,
                        format: Format::Json,
                        token_file: Some("t".into()),
                        ..LogArgs::default()
                    },
                    ca_file: Some("ca".into()),
                },
                work: Work {
                    backoff: for_ever,
                    stop_work_base_delay: Duration::from_millis(5),
                    ..Work::default()
                },
                is_check: true,
            },
        ),
        (
            "backup --data /d copy",
            Invocation::Backup(Backup {
                reports: LogArgs::default(),
                data: Data::In("/d".into()),
                target: "copy".into(),
            }),
        ),
        ("agent", Invocation::Agent(Agent::default())),
        (
            "agent --session-id s",
            Invocation::Agent(Agent { session_id: Some("s".to_owned()), ..Agent::default() }),
        ),
        ("--help", Invocation::Help(Topic::Program)),
        ("help", Invocation::Help(Topic::Program)),
        ("help work", Invocation::Help(Topic::Work)),
        ("help relay credential", Invocation::Help(Topic::Credential)),
        ("relay -h", Invocation::Help(Topic::Relay)),
        ("work --help", Invocation::Help(Topic::Work)),
        ("--version", Invocation::Version),
        ("version", Invocation::Version),
        ("-V", Invocation::Version),
        ("man man", Invocation::Man(Page::Of(Topic::Program))),
        ("man completions", Invocation::Man(Page::Of(Topic::Program))),
        ("man help", Invocation::Man(Page::Of(Topic::Program))),
    ];
    for (line, expected) in cases {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }
}

#[test]
fn a_wrong_command_line_says_what_is_wrong_and_what_to_do() {
    let cases = [
        ("down", "unknown command \"down\""),
        ("serve", "unknown command \"serve\"; did you mean direct serve?"),
        ("wrok", "unknown command \"wrok\"; did you mean work?"),
        ("work --relai x", "unknown option --relai; did you mean --relay?"),
        ("--config x agent", "footbridge agent has no option --config"),
        ("up down", "down"),
        ("backup", "needs the directory to make"),
        ("backup one two", "two"),
        ("help --x", "--x"),
        ("help work relay", "relay"),
        ("--frobnicate", "unknown option --frobnicate; see footbridge help up"),
        ("up --ca-file x", "belongs to footbridge work"),
        ("work --listen :0", "belongs to footbridge up, footbridge relay and others"),
        ("work", "needs --relay URL"),
        ("work --relay example.org", "http://"),
        ("relay --tls-cert c", "go together"),
        ("relay --own-certificate --tls-cert c --tls-key k", "one of the two"),
        ("up --own-certificate --tls-key k", "one of the two"),
        ("relay --listen 0.0.0.0:1", "in the clear"),
        ("up --listen [::]:1", "in the clear"),
        ("up --listen example.org:1", "127.0.0.1:8787"),
        ("up --listen", "--listen"),
        ("up --json=yes", "--json"),
        ("up --behind-proxy=maybe", "--behind-proxy: \"maybe\" is not true or false"),
        ("up --check", "belongs to footbridge work"),
        ("up --max_sessions 3", "unknown option --max_sessions; did you mean --max-sessions?"),
        ("work --conn-cap-ms 0", "--conn-cap-ms: \"0\" is not a number of milliseconds"),
        ("up --name ''", "--name"),
        ("agent --permission-mode plan", "acceptEdits"),
        ("-x", "-x"),
        ("--version extra", "extra"),
        ("-V work", "work"),
        ("version extra", "extra"),
        ("completions bash zsh", "zsh"),
        ("man work relay", "relay"),
        ("man nothing", "unknown command"),
    ];
    for (line, expected) in cases {
        let error = parsed(line).expect_err(line);
        assert_eq!(error.why, ExitKind::Usage, "{line}");
        assert!(error.message.contains(expected), "{line}: {error}");
    }
}

#[test]
fn what_every_command_has_may_stand_before_it() {
    for line in ["--json config", "-q config", "--log-level error config --json"] {
        assert!(matches!(parsed(line), Ok(Invocation::Config(_))), "{line}");
    }
}

#[test]
fn every_option_of_every_command_is_in_its_help() {
    for (_, topic) in Topic::COMMANDS {
        let help = crate::program::help::text(topic);
        for option in options(topic).iter().map(String::as_str).chain(["help"]) {
            let option = format!("--{option}");
            let is_there = |line: &str| line.split([' ', ',']).any(|word| word == option);
            assert!(help.lines().any(is_there), "{topic:?}: {option}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{topic:?}");
    }
}
