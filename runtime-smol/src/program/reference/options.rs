//! A help text, taken apart.
//!
//! Options stand at the beginning of a line, after two or six spaces; what is said about one is right of
//! it, or below. A section begins with a line that is not indented and ends with a colon.

/// What a help text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Help {
    /// What comes before everything else.
    pub(super) description: String,
    /// How it is called: the lines after `Usage:`.
    pub(super) usage: Vec<String>,
    /// Its sections, in their order.
    pub(super) sections: Vec<Section>,
}

/// A section of a help text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// What stands before its colon.
    pub(super) title: String,
    pub(super) options: Vec<Opt>,
    /// Its other lines, as they are.
    pub(super) lines: Vec<String>,
}

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    pub(super) short: Option<char>,
    /// Without its dashes.
    pub(super) long: String,
    /// What its value is called, if it takes one.
    pub(super) value: Option<String>,
    /// What it does, in one line.
    pub(super) about: String,
}

/// What a value is, as far as a shell can help with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    OneOf(&'static [&'static str]),
    Other,
}

/// Options that take one of a few words.
pub(super) const CHOICES: [(&str, &[&str]); 10] = [
    ("transport", &["auto", "v1", "v2"]),
    ("work-by", &["auto", "stream", "poll"]),
    ("secrets", &["file", "keyring"]),
    ("spawn-mode", &["same-dir", "worktree", "single-session"]),
    ("log-level", &["error", "warn", "info", "debug"]),
    ("log-format", &["text", "json"]),
    ("permission-mode", &["default", "acceptEdits", "bypassPermissions"]),
    ("manager", &["systemd", "openrc", "procd"]),
    ("scope", &["watch", "answer", "drive", "work"]),
    ("demand-trusted-device", &["answer", "drive", "answer,drive"]),
];

impl Opt {
    /// What its value is; `None` if it takes none.
    pub(super) fn kind(&self) -> Option<Kind> {
        let value = self.value.as_deref()?;
        if let Some((_, words)) = CHOICES.iter().find(|(long, _)| *long == self.long) {
            return Some(Kind::OneOf(words));
        }
        Some(match value {
            "FILE" => Kind::File,
            "DIR" => Kind::Directory,
            _ => Kind::Other,
        })
    }

    /// The first sentence about it, or as much as fits in a menu.
    pub(super) fn summary(&self) -> &str {
        let end = self.about.find(['.', ';', ':']).unwrap_or(self.about.len());
        let end = self.about.find(" [default").map_or(end, |default| end.min(default));
        self.about[..end].trim_end()
    }
}

impl Section {
    /// A title that is the end of a sentence, with its beginning, which was taken for lines of this
    /// section.
    fn sentence_to(&mut self, end: &str) -> String {
        let is_part = |line: &&String| line.starts_with(|c: char| !c.is_whitespace());
        let parts = self.lines.iter().rev().take_while(is_part).count();
        let mut words = self.lines.split_off(self.lines.len() - parts);
        words.push(end.to_owned());
        words.join(" ")
    }
}

impl Help {
    pub(super) fn parse(text: &str) -> Self {
        let mut help = Self::default();
        let mut lines = text.lines().peekable();
        let mut is_usage = false;
        while let Some(line) = lines.next() {
            if let Some(usage) = line.strip_prefix("Usage:") {
                help.usage.push(usage.trim().to_owned());
                is_usage = true;
            } else if let Some(more) = line.strip_prefix("       ").filter(|_| is_usage) {
                help.usage.push(more.trim().to_owned());
            } else if let Some(end) = title(line) {
                is_usage = false;
                let whole = help.sections.last_mut().map(|above| above.sentence_to(end));
                let title = whole.unwrap_or_else(|| end.to_owned());
                help.sections.push(Section { title, ..Section::default() });
            } else if let Some(section) = help.sections.last_mut() {
                match options(line) {
                    Some((mut found, mut about)) => {
                        while let Some(more) = lines.next_if(|line| line.starts_with(ABOUT)) {
                            about = format!("{about} {}", more.trim());
                        }
                        for option in &mut found {
                            about.trim().clone_into(&mut option.about);
                        }
                        section.options.extend(found);
                    }
                    None => section.lines.push(line.to_owned()),
                }
            } else {
                is_usage &= line.is_empty();
                help.description += line;
                help.description.push('\n');
            }
        }
        help.description = help.description.trim().to_owned();
        help
    }

    /// All its options.
    pub(super) fn options(&self) -> impl Iterator<Item = &Opt> {
        self.sections.iter().flat_map(|section| &section.options)
    }

    /// The first sentence of it.
    pub(super) fn summary(&self) -> String {
        let words = self.description.replace('\n', " ");
        let end = words.find(". ").unwrap_or(words.len());
        words[..end].trim_end_matches('.').to_owned()
    }
}

/// What is said about an option has at least this before it.
const ABOUT: &str = "                    ";

/// A line that begins a section.
fn title(line: &str) -> Option<&str> {
    let begins = line.starts_with(|c: char| !c.is_whitespace());
    line.strip_suffix(':').filter(|title| begins && !title.contains('\n'))
}

/// The options that a line begins with, and what it says about them.
fn options(line: &str) -> Option<(Vec<Opt>, String)> {
    let words = line.strip_prefix("      --").map(|_| line.trim_start()).or_else(|| {
        let rest = line.strip_prefix("  -")?;
        rest.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| line.trim_start())
    })?;
    let (head, about) = match words.find("  ") {
        Some(at) => words.split_at(at),
        None => (words, ""),
    };
    let mut found = Vec::new();
    let mut short = None;
    for one in head.split(", ") {
        if let Some(rest) = one.strip_prefix("--") {
            let (long, value) = match rest.split_once(' ') {
                Some((long, value)) => (long, Some(value.to_owned())),
                None => (rest, None),
            };
            let (long, about) = (long.to_owned(), String::new());
            found.push(Opt { short: short.take(), long, value, about });
        } else {
            short = one.chars().nth(1);
        }
    }
    (!found.is_empty()).then(|| (found, about.to_owned()))
}
