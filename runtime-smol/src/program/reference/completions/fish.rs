//! Completions for fish.

use super::{Command, Kind, after, others, quoted};
use crate::program::reference::options::Opt;

pub(in crate::program::reference) fn script(commands: &[Command], small: &[Command]) -> String {
    let mut script = String::from(
        "# Completions for footbridge and footbridge-worker. Made by: footbridge completions fish\n\n",
    );
    let others = others(commands);
    let names: Vec<_> = commands.iter().map(|command| command.name).collect();
    let all = [names.clone(), others.iter().map(|(name, _)| *name).collect()].concat().join(" ");
    script += "complete -c footbridge -f\ncomplete -c footbridge-worker -f\n";
    let none = format!("not __fish_seen_subcommand_from {all}");
    for command in commands {
        let (name, about) = (command.name, quoted(&command.help.summary()));
        script += &format!("complete -c footbridge -n {} -a {name} -d {about}\n", quoted(&none));
        let seen = format!("__fish_seen_subcommand_from {name}");
        for option in command.help.options() {
            script += &row("footbridge", &seen, option);
        }
        for word in after(name) {
            script += &format!("complete -c footbridge -n {} -a {word}\n", quoted(&seen));
        }
    }
    for option in
        commands.iter().filter(|command| command.name == "up").flat_map(|up| up.help.options())
    {
        script += &row("footbridge", &none, option);
    }
    for (name, words) in &others {
        script += &format!("complete -c footbridge -n {} -a {name}\n", quoted(&none));
        let seen = quoted(&format!("__fish_seen_subcommand_from {name}"));
        for word in words {
            script += &format!("complete -c footbridge -n {seen} -a {word}\n");
        }
    }
    for command in small {
        let condition = match command.name {
            "" => "not __fish_seen_subcommand_from agent".to_owned(),
            name => format!("__fish_seen_subcommand_from {name}"),
        };
        for option in command.help.options() {
            script += &row("footbridge-worker", &condition, option);
        }
    }
    script += "complete -c footbridge-worker -n 'not __fish_seen_subcommand_from agent' -a agent\n";
    script
}

fn row(program: &str, condition: &str, option: &Opt) -> String {
    let short = option.short.map(|short| format!(" -s {short}")).unwrap_or_default();
    let value = match option.kind() {
        None => String::new(),
        Some(Kind::File) => " -r -F".to_owned(),
        Some(Kind::Directory) => " -x -a '(__fish_complete_directories)'".to_owned(),
        Some(Kind::OneOf(words)) => format!(" -x -a '{}'", words.join(" ")),
        Some(Kind::Other) => " -x".to_owned(),
    };
    let (condition, about) = (quoted(condition), quoted(option.summary()));
    format!("complete -c {program} -n {condition}{short} -l {}{value} -d {about}\n", option.long)
}
