//! Completions for shells.

pub(super) mod bash;
pub(super) mod fish;
pub(super) mod zsh;

use super::options::Opt;
use super::{Command, Kind, SMALL, Shell};

/// Commands that are not in the table, since they only print, and what may follow them.
fn others(commands: &[Command]) -> [(&'static str, Vec<&'static str>); 4] {
    let names = || commands.iter().map(|command| command.name).collect::<Vec<_>>();
    // These are in the program's own page.
    let printers = ["help", "version", "completions", "man"];
    let pages = [names(), printers.to_vec(), vec![SMALL]].concat();
    [
        ("help", [names(), printers.to_vec(), vec!["phone"]].concat()),
        ("version", Vec::new()),
        ("completions", Shell::NAMES.to_vec()),
        ("man", pages),
    ]
}

/// What may stand after a command, besides options.
const AFTER: [(&str, &[&str]); 4] = [
    ("service", &["print", "install", "up", "relay", "work"]),
    ("relay", &["credential", "user"]),
    ("user", &["add", "remove", "list"]),
    ("direct", &["serve", "connect"]),
];

/// Those of them that are commands themselves, whose options follow then.
fn commands_after<'a>(command: &str, commands: &'a [Command]) -> Vec<&'a str> {
    let is_after = |name: &&str| after(command).contains(name);
    commands.iter().map(|command| command.name).filter(is_after).collect()
}

fn after(command: &str) -> &'static [&'static str] {
    AFTER.iter().find(|(of, _)| *of == command).map_or(&[], |(_, words)| words)
}

/// Each option of these commands once, by its name.
fn all_options<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Vec<&'a Opt> {
    let mut all: Vec<_> = commands.into_iter().flat_map(|command| command.help.options()).collect();
    all.sort_by(|a, b| a.long.cmp(&b.long));
    all.dedup_by(|a, b| a.long == b.long);
    all
}

/// In single quotes, as every shell reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
