//! Completions for zsh.

use super::{Command, Kind, after, others, quoted};
use crate::program::reference::options::Opt;

pub(in crate::program::reference) fn script(commands: &[Command], small: &[Command]) -> String {
    let mut script = String::from(
        "#compdef footbridge footbridge-worker\n# Made by: footbridge completions zsh\n\n",
    );
    for command in commands {
        script += &options_of(&format!("_footbridge_{}", function(command.name)), command);
    }
    for command in small {
        script += &options_of(&format!("_footbridge_worker_{}", function(command.name)), command);
    }
    script += "_footbridge_after() {\n\
         \tlocal command=$1\n\tshift words\n\t((CURRENT -= 1))\n\
         \t_footbridge_${command//-/_}\n}\n\n\
         _footbridge() {\n\
         \tlocal word at\n\tlocal -a commands\n\
         \tif [[ $service == footbridge-worker ]]; then\n\
         \t\tif [[ $words[2] == agent ]]; then\n\
         \t\t\tshift words\n\t\t\t((CURRENT -= 1))\n\t\t\t_footbridge_worker_agent\n\
         \t\telse\n\t\t\t_footbridge_worker_\n\t\tfi\n\t\treturn\n\tfi\n\
         \tcommands=(\n";
    for command in commands {
        let about = command.help.summary().replace(':', "\\:");
        script += &format!("\t\t{}\n", quoted(&format!("{}:{about}", command.name)));
    }
    for (name, _) in others(commands) {
        script += &format!("\t\t{}\n", quoted(name));
    }
    script += "\t)\n\
         \tif ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n\
         \t\t_describe command commands\n\t\treturn\n\tfi\n\
         \tcase $words[2] in\n";
    for (name, words) in others(commands) {
        script += &format!("\t{name}) compadd -- {} ;;\n", words.join(" "));
    }
    script += "\tservice)\n\
         \t\tfor ((at = CURRENT - 1; at > 2; at -= 1)); do\n\
         \t\t\tword=$words[at]\n\
         \t\t\tif [[ $word == (up|relay|work) ]]; then\n\
         \t\t\t\twords=(\"${(@)words[at,-1]}\")\n\t\t\t\t((CURRENT -= at - 1))\n\
         \t\t\t\t_footbridge_$word\n\t\t\t\treturn\n\t\t\tfi\n\t\tdone\n\
         \t\t_footbridge_after service\n\t\t;;\n\
         \trelay)\n\
         \t\tif [[ $words[3] == (credential|user) ]]; then\n\
         \t\t\tshift words\n\t\t\t((CURRENT -= 1))\n\t\t\t_footbridge_after $words[2]\n\
         \t\telse\n\t\t\t_footbridge_after relay\n\t\tfi\n\t\t;;\n\
         \t-*) _footbridge_up ;;\n\
         \t*) ((${commands[(I)$words[2](:*|)]})) && _footbridge_after $words[2] ;;\n\
         \tesac\n}\n\n\
         _footbridge \"$@\"\n";
    script
}

fn function(command: &str) -> String {
    command.replace('-', "_")
}

/// A function that completes what may follow a command.
fn options_of(name: &str, command: &Command) -> String {
    let mut text = format!("{name}() {{\n\t_arguments -s \\\n");
    for option in command.help.options() {
        text += &format!("\t\t{} \\\n", spec(option));
    }
    let words = after(command.name).join(" ");
    text += &match &*words {
        "" => "\t\t'*:argument:'\n".to_owned(),
        words => format!("\t\t'*:argument:({words})'\n"),
    };
    text + "}\n\n"
}

fn spec(option: &Opt) -> String {
    let about = option.summary().replace('[', "(").replace(']', ")").replace(':', "\\:");
    let (equals, value) = match option.kind() {
        None => ("", String::new()),
        Some(kind) => {
            let name = option.value.as_deref().unwrap_or_default().replace([':', '\''], "");
            let action = match kind {
                Kind::File => "_files".to_owned(),
                Kind::Directory => "_files -/".to_owned(),
                Kind::OneOf(words) => format!("({})", words.join(" ")),
                Kind::Other => " ".to_owned(),
            };
            ("=", format!(":{name}:{action}"))
        }
    };
    // One that is given more than once counts once, or adds up.
    quoted(&format!("*--{}{equals}[{about}]{value}", option.long))
}
