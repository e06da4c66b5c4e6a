//! What the terminal's process and the host say to each other: a letter, and a line of JSON.

use serde::{Deserialize, Serialize};

/// What the host tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Told {
    /// The agent runs.
    Started,
    /// So much is known about the bridge.
    Bridge(Bridge),
    /// It goes on where a chat was killed: so many turns had ended here, and so many are at the relay.
    /// Whether the agent knows what was said.
    TakenUp { turns: u64, stored: u64, resumes: bool },
    /// The chat before was killed, and its session is over.
    NotTakenUp { session: String },
    /// The session is called otherwise now, and so many of its oldest lines are not in it.
    SessionChanged { now: String, lines_missing: u64 },
    /// It is over at the relay.
    SessionEnded { reason: String },
    /// So many lines were not shown.
    Unshown(u64),
    /// The terminal may go: so many turns here, and so many at the relay.
    Detached { session: String, turns: u64, stored: u64 },
    /// It had better not.
    NotDetached { reason: String },
}

/// What of a bridge a person at the terminal wants to know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bridge {
    pub(super) is_connected: bool,
    pub(super) error: Option<String>,
    pub(super) session: Option<String>,
    pub(super) page: Option<String>,
}

/// What the terminal asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Asked {
    Detach,
    End,
}

/// A line between the two.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line<T> {
    /// A message of the agent's conversation.
    Agent(String),
    /// Something that a viewer has said.
    Viewer(String),
    /// Something that the host says in the conversation.
    Program(String),
    /// Not part of the conversation.
    Own(T),
}

impl<T: Serialize + for<'a> Deserialize<'a>> Line<T> {
    /// Without an end of line.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Agent(line) => format!("A{line}"),
            Self::Viewer(line) => format!("V{line}"),
            Self::Program(line) => format!("P{line}"),
            Self::Own(own) => format!("O{}", serde_json::to_string(own).unwrap_or_default()),
        }
    }

    /// `None` if it is none.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let rest = line.get(1..)?;
        match line.get(..1)? {
            "A" => Some(Self::Agent(rest.to_owned())),
            "V" => Some(Self::Viewer(rest.to_owned())),
            "P" => Some(Self::Program(rest.to_owned())),
            "O" => serde_json::from_str(rest).ok().map(Self::Own),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_same_on_the_other_side() {
        for line in [
            Line::Agent("{\"type\":\"result\"}".to_owned()),
            Line::Viewer("{}".to_owned()),
            Line::Program("{}".to_owned()),
            Line::Own(Told::NotDetached { reason: "é".to_owned() }),
        ] {
            assert_eq!(Line::parse(&line.to_text()), Some(line));
        }
        for bad in ["", "X{}", "O{}", "é"] {
            assert_eq!(Line::<Told>::parse(bad), None, "{bad:?}");
        }
    }
}
