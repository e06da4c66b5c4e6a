//! The line that says where one is and how things stand.

use anstyle::Style;

use super::line::{Line, width};
use super::style::{DIM, PLAIN};

/// A part of it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) style: Style,
    /// What gives way first on a narrow screen: the greatest.
    pub(super) rank: u8,
}

/// As many of the parts as there is room for, in their order.
pub(super) fn line(mut parts: Vec<Part>, most: usize) -> Line {
    const BETWEEN: &str = " · ";
    parts.retain(|part| !part.text.is_empty());
    let needed = |parts: &[Part]| {
        let texts: usize = parts.iter().map(|part| width(&part.text)).sum();
        texts + BETWEEN.chars().count() * parts.len().saturating_sub(1)
    };
    while needed(&parts) > most && parts.len() > 1 {
        let worst = parts.iter().enumerate().max_by_key(|(_, part)| part.rank);
        let Some(at) = worst.map(|(at, _)| at) else { break };
        parts.remove(at);
    }
    let mut line = Line::default();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            line.push(BETWEEN, DIM);
        }
        line.push(&part.text, part.style);
    }
    let rest = most.saturating_sub(line.width());
    line.push(&" ".repeat(rest), PLAIN);
    line.cut(most)
}
