//! Completions for fish.

use super::{AFTER, Command, Kind, after, commands_after, others, quoted};
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
        let deeper = commands_after(name, commands);
        // Options that follow a command are that command's.
        let own = and_not(&seen, &deeper);
        for option in command.help.options() {
            script += &row("footbridge", &own, option);
        }
        let begin = and_not(&and_not(&seen, after(name)), &before(name, commands));
        let begun: Vec<_> =
            after(name).iter().copied().filter(|word| !deeper.contains(word)).collect();
        for word in after(name) {
            let when = match deeper.contains(word) && !begun.is_empty() {
                true => format!("{own}; and __fish_seen_subcommand_from {}", begun.join(" ")),
                false => begin.clone(),
            };
            script += &format!("complete -c footbridge -n {} -a {word}\n", quoted(&when));
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

/// The condition, as long as none of these words stands there.
fn and_not(condition: &str, words: &[&str]) -> String {
    match words {
        [] => condition.to_owned(),
        words => format!("{condition}; and not __fish_seen_subcommand_from {}", words.join(" ")),
    }
}

/// The commands after which this one is run, and not asked for a part of itself.
fn before(name: &str, commands: &[Command]) -> Vec<&'static str> {
    let runs_it = |(of, words): &&(&'static str, &[&str])| {
        words.contains(&name) && commands_after(of, commands).len() < words.len()
    };
    AFTER.iter().filter(runs_it).map(|(of, _)| *of).collect()
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
