//! Pages for `man`.

use super::options::{Help, Opt};

/// The page of a program, or of a command, with this help.
pub(super) fn page(name: &str, text: &str) -> String {
    let help = Help::parse(text);
    let version = env!("CARGO_PKG_VERSION");
    let title = name.to_uppercase();
    let mut page = format!(
        ".\\\" Made from the help of {name}.\n.TH {} 1 \"\" \"Footbridge {version}\" \"Footbridge\"\n\
         .SH NAME\n{} \\- {}\n.SH SYNOPSIS\n",
        escaped(&title),
        escaped(name),
        escaped(&help.summary()),
    );
    for usage in &help.usage {
        page += &format!(".nf\n{}\n.fi\n", line(usage));
    }
    page += ".SH DESCRIPTION\n";
    for paragraph in help.description.split("\n\n") {
        page += &format!(".PP\n{}\n", paragraph.lines().map(line).collect::<Vec<_>>().join("\n"));
    }
    for section in &help.sections {
        let title = section.title.to_uppercase();
        // A sentence that introduces options is no title.
        let (title, intro) = match section.title.contains(['.', ',']) {
            true => ("", section.title.as_str()),
            false => (&*title, ""),
        };
        if !title.is_empty() {
            page += &format!(".SH {}\n", escaped(title));
        }
        if !intro.is_empty() {
            page += &format!(".PP\n{}:\n", line(intro));
        }
        for option in &section.options {
            page += &option_entry(option);
        }
        let lines = section.lines.join("\n");
        let lines = lines.trim_matches('\n');
        if !lines.is_empty() {
            let lines: Vec<_> = lines.lines().map(line).collect();
            page += &format!(".PP\n.nf\n{}\n.fi\n", lines.join("\n"));
        }
    }
    page += ".SH SEE ALSO\n";
    page += match name {
        "footbridge" => {
            ".BR footbridge\\-up (1),\n.BR footbridge\\-relay (1),\n.BR footbridge\\-work (1),\n\
             .BR footbridge\\-service (1),\n.BR footbridge\\-worker (1)\n"
        }
        _ => ".BR footbridge (1)\n",
    };
    page
}

fn option_entry(option: &Opt) -> String {
    let short = option.short.map(|short| format!("\\fB\\-{short}\\fR, ")).unwrap_or_default();
    let value = option.value.as_deref();
    let value = value.map(|value| format!(" \\fI{}\\fR", escaped(value))).unwrap_or_default();
    let (long, about) = (escaped(&option.long), line(&option.about));
    format!(".TP\n{short}\\fB\\-\\-{long}\\fR{value}\n{about}\n")
}

/// A line that is not taken for a request.
fn line(text: &str) -> String {
    let text = escaped(text);
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            '…' => escaped.push_str("..."),
            c => escaped.push(c),
        }
    }
    escaped
}
