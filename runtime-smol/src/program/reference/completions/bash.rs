//! Completions for bash.

use super::{AFTER, Command, Kind, after, all_options, commands_after, others};

pub(in crate::program::reference) fn script(commands: &[Command], small: &[Command]) -> String {
    let mut script = String::from(
        "# Completions for footbridge and footbridge-worker. Made by: footbridge completions bash\n\
         # shellcheck shell=bash disable=SC2207\n\n\
         _footbridge() {\n\
         \tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' word words\n\
         \tCOMPREPLY=()\n\
         \t# --option=value comes in three words.\n\
         \tif [ \"$cur\" = = ]; then\n\
         \t\tcur=''\n\
         \telif [ \"$prev\" = = ] && [ \"$COMP_CWORD\" -gt 1 ]; then\n\
         \t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n\
         \tfi\n\
         \tcase $prev in\n",
    );
    let options = all_options(commands.iter().chain(small));
    let of_kind = |wanted: &Kind| {
        let found = options.iter().filter(|option| option.kind().as_ref() == Some(wanted));
        found.map(|option| format!("--{}", option.long)).collect::<Vec<_>>().join(" | ")
    };
    script += &format!(
        "\t{})\n\t\tcompopt -o filenames 2>/dev/null\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\t\treturn\n\t\t;;\n",
        of_kind(&Kind::File)
    );
    script += &format!(
        "\t{})\n\t\tcompopt -o filenames 2>/dev/null\n\t\tCOMPREPLY=($(compgen -d -- \"$cur\"))\n\t\treturn\n\t\t;;\n",
        of_kind(&Kind::Directory)
    );
    for option in &options {
        if let Some(Kind::OneOf(words)) = option.kind() {
            script += &choice(&format!("--{}", option.long), &words.join(" "));
        }
    }
    script += &format!("\t{})\n\t\treturn\n\t\t;;\n", of_kind(&Kind::Other));
    for (command, words) in others(commands) {
        script += &choice(command, &words.join(" "));
    }
    script += "\tesac\n";
    let names: Vec<_> = commands.iter().map(|command| command.name).collect();
    let deeper = AFTER.iter().flat_map(|(of, _)| {
        commands_after(of, commands).into_iter().map(move |word| format!(" | {of}/{word}"))
    });
    script += &format!(
        "\tfor word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n\
         \t\tcase $command/$word in\n\
         \t\t/{}{}) command=$word ;;\n\
         \t\tesac\n\tdone\n",
        names.join(" | /"),
        deeper.collect::<String>()
    );
    script += "\tcase ${COMP_WORDS[0]##*/}/$command in\n";
    for command in small {
        let more = if command.name.is_empty() { "agent" } else { "" };
        script += &row(&format!("footbridge-worker/{}", command.name), command, more);
    }
    script += "\tfootbridge-worker/*) words='' ;;\n";
    for command in commands {
        let more = after(command.name).join(" ");
        script += &row(&format!("*/{}", command.name), command, &more);
        if command.name == "up" {
            let others = others(commands).map(|(name, _)| name).join(" ");
            script += &row("*/", command, &format!("{} {others}", names.join(" ")));
        }
    }
    script += "\tesac\n\
         \tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\
         }\n\n\
         complete -F _footbridge footbridge footbridge-worker\n";
    script
}

fn choice(of: &str, words: &str) -> String {
    format!("\t{of})\n\t\tCOMPREPLY=($(compgen -W '{words}' -- \"$cur\"))\n\t\treturn\n\t\t;;\n")
}

/// What may come next where this command is.
fn row(pattern: &str, command: &Command, more: &str) -> String {
    let options: Vec<_> =
        command.help.options().map(|option| format!("--{}", option.long)).collect();
    format!("\t{pattern}) words='{}' ;;\n", format!("{more} {}", options.join(" ")).trim_start())
}
