use std::io::Write as _;
use std::process::{Command as Process, Stdio};

use super::*;
use crate::program::args;
use crate::program::settings::{SETTINGS, Setting};

/// Every long option of every command, as the tables have them.
fn options() -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for (name, topic) in Topic::COMMANDS {
        let settings = SETTINGS.iter().filter(|setting| setting.applies_to(topic));
        let own = topic.own_options().iter().map(ToString::to_string);
        all.extend(own.chain(settings.map(Setting::flag)).map(|option| (name, option)));
    }
    all
}

#[test]
fn help_is_taken_apart() {
    let help = Help::parse(&help::text(Topic::Work));
    let of = |long: &str| help.options().find(|option| option.long == long).expect(long);
    assert_eq!(of("relay").value.as_deref(), Some("URL"));
    assert_eq!(of("verbose").short, Some('v'));
    assert_eq!(of("token-file").kind(), Some(Kind::File));
    assert_eq!(of("directory").kind(), Some(Kind::Directory));
    assert_eq!(of("check").kind(), None);
    assert_eq!(
        of("never-give-up").summary(),
        "Keep trying to reach the relay forever instead of giving up after 10 minutes"
    );
    assert_eq!(
        of("conn-cap-ms").about,
        "While the relay cannot be reached [default: 2000, 120000, 600000]"
    );
    assert_eq!(help.usage[1], "footbridge work --relay URL --check [OPTIONS]");
    assert!(help.sections.iter().any(|section| section.title.starts_with("Retry delays of")));
    assert_eq!(
        Help::parse(&help::text(Topic::Up)).summary(),
        "Starts a relay with its web page and a worker for a directory in one process, and prints the page's address, with a code that signs one browser in within ten minutes"
    );
}

#[test]
fn every_option_of_every_command_is_in_its_page_and_in_every_shells_completions() {
    let shells = [Shell::Bash, Shell::Zsh, Shell::Fish].map(completions);
    for (command, option) in options() {
        let parsed = commands().into_iter().find(|it| it.name == command).expect("a command");
        assert!(parsed.help.options().any(|it| it.long == option), "{command}: --{option}");
        let page = man_page(Page::Of(Topic::parse(command).expect("a command")));
        let shown = option.replace('-', "\\-");
        assert!(page.contains(&format!("\\fB\\-\\-{shown}\\fR")), "{command}: --{option}");
        let [bash, zsh, fish] = &shells;
        let row = bash.lines().find(|line| line.starts_with(&format!("\t*/{command}) ")));
        let row = row.expect("a row").replace('\'', " ");
        assert!(row.split(' ').any(|word| word == format!("--{option}")), "{command}: --{option}");
        let function = format!("_footbridge_{}() {{", command.replace('-', "_"));
        let part = zsh.split(&function).nth(1).expect("a function");
        let part = part.split("\n}").next().expect("its end");
        let found = ["[", "="].iter().any(|end| part.contains(&format!("'*--{option}{end}")));
        assert!(found, "{command}: --{option} is not in\n{part}");
        let seen = format!("-n '__fish_seen_subcommand_from {command}");
        let is_seen = |line: &&str| {
            line.split_once(&seen).is_some_and(|(_, rest)| rest.starts_with(['\'', ';']))
        };
        let mut rows = fish.lines().filter(is_seen);
        assert!(rows.any(|line| line.contains(&format!(" -l {option} "))), "{command}: --{option}");
    }
    let page = man_page(Page::Small);
    for option in small_commands()[0].help.options() {
        assert!(page.contains(&option.long.replace('-', "\\-")));
        assert!(shells.iter().all(|script| script.contains(&option.long)));
    }
}

#[test]
fn every_word_that_is_offered_for_an_option_is_taken() {
    for (option, words) in options::CHOICES {
        for word in words {
            let command = if option == "permission-mode" { "agent" } else { "config" };
            let line = match option {
                "manager" => {
                    vec!["service", "print", "--manager", word, "--run-as", "daemon", "relay"]
                }
                "scope" => vec!["login", "--scope", word, "http://127.0.0.1:1"],
                _ => {
                    let option = Box::leak(format!("--{option}").into_boxed_str());
                    vec![command, option, word]
                }
            };
            let parsed = args::parse(line.iter().map(Into::into), &[]);
            assert!(parsed.is_ok(), "{line:?}: {parsed:?}");
        }
    }
}

fn is_there(program: &str) -> bool {
    Process::new(program).arg("--version").output().is_ok()
}

/// What a real bash offers for the last of these words.
fn offered(words: &[&str]) -> Vec<String> {
    let script = completions(Shell::Bash);
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let at = words.len() - 1;
    let script = format!(
        "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={at}\n_footbridge\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" ")
    );
    let output = Process::new("bash").args(["--norc", "-c", &script]).output().expect("bash");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_may_come_next() {
    if !is_there("bash") {
        return;
    }
    for (words, expected) in [
        (&["footbridge", "cred"][..], &["credential"][..]),
        (&["footbridge", "--lis"], &["--listen"]),
        (&["footbridge", "work", "--rel"], &["--relay"]),
        (&["footbridge", "work", "--listen"], &[]),
        (&["/usr/bin/footbridge", "work", "--spawn-mode", "s"], &["same-dir", "single-session"]),
        (&["footbridge", "work", "--log-level", "=", "d"], &["debug"]),
        (&["footbridge", "work", "--log-level", "="], &["error", "warn", "info", "debug"]),
        (&["footbridge", "relay", "credential", "--o"], &["--out"]),
        (&["footbridge", "relay", "us"], &["user"]),
        (&["footbridge", "relay", "user", "re"], &["remove"]),
        (&["footbridge", "relay", "user", "--lis"], &[]),
        (&["footbridge", "direct", "s"], &["serve"]),
        (&["footbridge", "direct", "co"], &["connect"]),
        (&["footbridge", "login", "--scope", "w"], &["watch", "work"]),
        (&["footbridge", "service", "pr"], &["print"]),
        (&["footbridge", "service", "print", "work", "--nev"], &["--never-give-up"]),
        (&["footbridge", "completions", ""], &["bash", "zsh", "fish"]),
        (&["footbridge", "help", "back"], &["backup"]),
        (&["footbridge-worker", "--rel"], &["--relay"]),
        (&["footbridge-worker", "ag"], &["agent"]),
        (&["footbridge-worker", "agent", "--sess"], &["--session-id"]),
        (&["footbridge", "work", "--name", ""], &[]),
    ] {
        assert_eq!(offered(words), expected, "{words:?}");
    }
    assert!(offered(&["footbridge", "work", "--directory", "/us"]).contains(&"/usr".to_owned()));
    assert!(
        offered(&["footbridge", "work", "--ca-file", "/etc/pass"])
            .contains(&"/etc/passwd".to_owned())
    );
}

#[test]
fn fish_offers_what_may_come_next() {
    if !is_there("fish") {
        return;
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), completions(Shell::Fish)).expect("written");
    for (line, offered, not_offered) in [
        ("relay ", "credential user", "add"),
        ("relay user ", "add remove list", "credential user"),
        ("relay user add --", "--oidc-email", "--listen"),
        ("relay --", "--listen", "--oidc-subject"),
        ("service ", "print install", "relay"),
        ("service print ", "up relay work", "print install"),
        ("service print relay ", "", "print credential user work"),
        ("service print relay --", "--listen", "--run-as"),
        ("man ", "help completions man worker", ""),
    ] {
        let script = format!("source {}; complete -C 'footbridge {line}'", file.path().display());
        let output = Process::new("fish").args(["--no-config", "-c", &script]).output();
        let output = String::from_utf8(output.expect("fish").stdout).expect("text");
        let words: Vec<_> = output.lines().filter_map(|line| line.split('\t').next()).collect();
        for word in offered.split_whitespace() {
            assert!(words.contains(&word), "{line}: {word} is not in {words:?}");
        }
        for word in not_offered.split_whitespace() {
            assert!(!words.contains(&word), "{line}: {word} is in {words:?}");
        }
    }
}

#[test]
fn help_names_every_option_that_is_no_setting() {
    let text = help::text(Topic::Work);
    let sentence = text.split("is a setting, except ").nth(1).expect("a sentence");
    let sentence = sentence.split('.').next().expect("its end");
    let mut expected: Vec<_> = [Topic::Up, Topic::Relay, Topic::Work]
        .iter()
        .flat_map(|topic| Help::parse(&help::text(*topic)).options().cloned().collect::<Vec<_>>())
        .map(|option| option.long)
        .filter(|long| Setting::of_flag(long).is_none())
        .collect();
    expected.sort();
    expected.dedup();
    let words = sentence.split(|c: char| c.is_whitespace() || c == ',');
    let named: Vec<_> = words.filter_map(|word| word.strip_prefix("--")).collect();
    assert_eq!(named, expected);
}

#[test]
fn zsh_and_fish_read_their_completions() {
    for (shell, args, script) in [
        ("zsh", &["-n"][..], completions(Shell::Zsh)),
        ("fish", &["--no-execute"], completions(Shell::Fish)),
    ] {
        if !is_there(shell) {
            continue;
        }
        let mut process = Process::new(shell);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), script).expect("written");
        let output = process.args(args).arg(file.path()).output().expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    }
}

#[test]
fn groff_sets_every_page_without_a_warning() {
    if !is_there("groff") {
        return;
    }
    let topics = Topic::COMMANDS.map(|(_, topic)| Page::Of(topic));
    for page in [Page::Of(Topic::Program), Page::Small].into_iter().chain(topics) {
        let mut groff = Process::new("groff");
        groff.args(["-man", "-Tascii", "-ww", "-rLL=78n"]);
        groff.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut groff = groff.spawn().expect("it starts");
        let mut stdin = groff.stdin.take().expect("a pipe");
        let text = man_page(page);
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = groff.wait_with_output().expect("it ends");
        writer.join().expect("no panic").expect("written");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{page:?}: {said}");
        assert!(output.stdout.len() > 500, "{page:?}");
    }
}
