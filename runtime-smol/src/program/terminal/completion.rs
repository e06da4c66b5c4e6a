//! What a word that is being typed may become: a command of the agent after a slash, one of this terminal
//! after a colon, a file that the agent has used after an at sign.

use super::editor::Editor;
use super::facts::Facts;
use super::keys::Key;
use super::limits::OFFERS;
use super::standing::Standing;

/// This terminal's own commands.
pub(super) fn own_commands(
    standing: Standing,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    const OWN: [(&str, &str); 4] = [
        (":help", "the keys and these commands"),
        (":mode", "MODE: default, acceptEdits, plan, …"),
        (":model", "MODEL: another model"),
        (":mouse", "leave the mouse to the terminal, or take it back"),
    ];
    let further = match standing {
        Standing::Follows | Standing::LooksOn => {
            [(":quit", "leave; the session continues"), (":stop", "end the session")]
        }
        Standing::Owns => [
            (":detach", "leave; the agent goes on, and viewers drive it"),
            (":exit", "end the agent and the session"),
        ],
    };
    OWN.into_iter().chain(further)
}

/// Something that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) word: String,
    pub(super) about: String,
}

/// The offers, and which one is chosen.
#[derive(Debug, Default)]
pub(super) struct Completion {
    pub(super) offers: Vec<Offer>,
    pub(super) chosen: usize,
    /// Where the word begins that they are for.
    from: usize,
    /// They were put away for this word.
    closed_at: Option<usize>,
}

impl Completion {
    pub(super) fn is_open(&self) -> bool {
        !self.offers.is_empty()
    }

    /// After the text has changed.
    pub(super) fn update(&mut self, editor: &Editor, facts: &Facts, standing: Standing) {
        let before = &editor.text()[..editor.cursor()];
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        self.chosen = 0;
        self.from = start;
        if self.closed_at.is_some_and(|at| at != start || word.is_empty()) {
            self.closed_at = None;
        }
        let offer = |(word, about): (String, String)| Offer { word, about };
        let fitting: Vec<Offer> = match word.chars().next() {
            _ if self.closed_at.is_some() => Vec::new(),
            Some('/') if start == 0 => {
                let all = facts.commands.iter();
                let all = all.map(|(name, about)| (format!("/{name}"), about.clone()));
                fitting(word, all.collect()).into_iter().map(offer).collect()
            }
            Some(':') if start == 0 => {
                let all = own_commands(standing);
                let all = all.map(|(name, about)| (name.to_owned(), about.to_owned()));
                fitting(word, all.collect()).into_iter().map(offer).collect()
            }
            Some('@') => {
                let all = facts.paths.iter().rev().map(|path| (format!("@{path}"), String::new()));
                fitting(word, all.collect()).into_iter().map(offer).collect()
            }
            _ => Vec::new(),
        };
        let is_complete = matches!(&fitting[..], [one] if one.word == word);
        self.offers = if is_complete { Vec::new() } else { fitting };
    }

    /// Whether the key was for it.
    pub(super) fn key(&mut self, key: &Key, editor: &mut Editor) -> bool {
        if !self.is_open() {
            return false;
        }
        let count = self.offers.len();
        match key {
            Key::Up => self.chosen = (self.chosen + count - 1) % count,
            Key::Down => self.chosen = (self.chosen + 1) % count,
            Key::Esc => {
                self.closed_at = Some(self.from);
                self.offers.clear();
            }
            // What is complete already is sent.
            Key::Enter
                if editor.text()[self.from..editor.cursor()] == self.offers[self.chosen].word =>
            {
                self.offers.clear();
                return false;
            }
            Key::Tab | Key::Enter => {
                let word = format!("{} ", self.offers[self.chosen].word);
                editor.complete(self.from, &word);
                self.offers.clear();
            }
            _ => return false,
        }
        true
    }
}

/// Those that begin so, and then those that have it in them.
fn fitting(word: &str, all: Vec<(String, String)>) -> Vec<(String, String)> {
    let wanted = word.to_lowercase();
    let inner = wanted.get(1..).unwrap_or_default();
    let (mut begin, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(name, _)| name.to_lowercase().starts_with(&wanted));
    begin.extend(rest.into_iter().filter(|(name, _)| name.to_lowercase().contains(inner)));
    begin.truncate(OFFERS);
    begin
}
