//! What is made of the help texts, which are the one description of every option: completions for
//! shells, and pages for `man`.

mod completions;
mod man;
mod options;
#[cfg(test)]
mod tests;

use footbridge_cli::exit::Error;
use footbridge_cli::help::small;
use footbridge_cli::print;

use self::completions::{bash, fish, zsh};
use self::options::{Help, Kind};
use super::help;
use super::topic::Topic;

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub(super) const NAMES: [&str; 3] = ["bash", "zsh", "fish"];

    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "bash" => Ok(Self::Bash),
            "zsh" => Ok(Self::Zsh),
            "fish" => Ok(Self::Fish),
            _ => Err(Error::usage(format!("no completions for {name:?}: use bash, zsh or fish"))),
        }
    }
}

/// The name of the small program, which has a page and completions of its own.
pub(super) const SMALL: &str = "worker";

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The program, or one of its commands.
    Of(Topic),
    /// `footbridge-worker`.
    Small,
}

/// One command of either program, with all that its help says.
struct Command {
    name: &'static str,
    help: Help,
}

/// All commands of `footbridge`, in the order of its help.
fn commands() -> Vec<Command> {
    let all = Topic::COMMANDS.into_iter();
    all.map(|(name, topic)| Command { name, help: Help::parse(&help::text(topic)) }).collect()
}

/// Both commands of `footbridge-worker`; the first one has no name.
fn small_commands() -> [Command; 2] {
    let texts = [("", small::worker()), ("agent", small::agent())];
    texts.map(|(name, text)| Command { name, help: Help::parse(&text) })
}

pub(super) fn print_completions(shell: Shell) -> Result<(), Error> {
    print(&completions(shell))
}

fn completions(shell: Shell) -> String {
    let (all, small) = (commands(), small_commands());
    match shell {
        Shell::Bash => bash::script(&all, &small),
        Shell::Zsh => zsh::script(&all, &small),
        Shell::Fish => fish::script(&all, &small),
    }
}

pub(super) fn print_man(page: Page) -> Result<(), Error> {
    print(&man_page(page))
}

fn man_page(page: Page) -> String {
    match page {
        Page::Of(Topic::Program) => man::page("footbridge", &help::text(Topic::Program)),
        Page::Of(topic) => man::page(&format!("footbridge-{}", topic.name()), &help::text(topic)),
        Page::Small => man::page("footbridge-worker", &small::worker()),
    }
}
