//! What a change changes, line by line.

use serde_json::Value;
use similar::DiffTag;
use similar::algorithms::{Capture, Compact, Replace, myers};

use super::limits::DIFF_LINES;
use super::line::{Flow, Span};
use super::style::{ADDED, DIM, HUNK, PLAIN, REMOVED};
use super::text::exact;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// From one text to another.
pub(super) fn diff(old: &str, new: &str) -> Vec<Flow> {
    let (old, new) = (exact(old), exact(new));
    let lines = |text: &str| text.lines().count();
    if lines(&old) > DIFF_LINES || lines(&new) > DIFF_LINES {
        let removed = old.lines().map(|line| changed("-", line, REMOVED));
        return removed.chain(new.lines().map(|line| changed("+", line, ADDED))).collect();
    }
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    // By name: what chooses among algorithms brings all of them along.
    let mut found = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    let Ok(()) = myers::diff(&mut found, &old[..], 0..old.len(), &new[..], 0..new.len());
    let shown = |mark, lines: &[&str], style| -> Vec<Flow> {
        lines.iter().map(|line| changed(mark, line.trim_end_matches('\n'), style)).collect()
    };
    let mut flows = Vec::new();
    let groups = found.into_inner().into_inner().into_grouped_ops(CONTEXT);
    for (at, group) in groups.iter().enumerate() {
        if at > 0 {
            flows.push(Flow::words("⋯", HUNK));
        }
        for op in group {
            let (removed, added) = (&old[op.old_range()], &new[op.new_range()]);
            if op.tag() == DiffTag::Equal {
                flows.extend(shown(" ", removed, DIM));
            } else {
                flows.extend(shown("-", removed, REMOVED));
                flows.extend(shown("+", added, ADDED));
            }
        }
    }
    flows
}

/// A file's whole new content.
pub(super) fn content(text: &str) -> Vec<Flow> {
    exact(text).lines().map(|line| changed("+", line, ADDED)).collect()
}

/// The patch that an agent tells of once it has been applied, with its line numbers; `None` if it tells of
/// none.
pub(super) fn patch(patch: &Value) -> Option<Vec<Flow>> {
    let hunks = patch.as_array().filter(|hunks| !hunks.is_empty())?;
    let mut flows = Vec::new();
    for (at, hunk) in hunks.iter().enumerate() {
        if at > 0 {
            flows.push(Flow::words("⋯", HUNK));
        }
        let mut old = hunk["oldStart"].as_u64()?;
        let mut new = hunk["newStart"].as_u64()?;
        for line in hunk["lines"].as_array()?.iter().filter_map(Value::as_str) {
            let text = exact(line.get(1..).unwrap_or_default());
            let (number, mark, style) = match line.as_bytes().first() {
                Some(b'-') => (&mut old, "-", REMOVED),
                Some(b'+') => (&mut new, "+", ADDED),
                Some(b'\\') => continue,
                _ => {
                    old += 1;
                    (&mut new, " ", DIM)
                }
            };
            flows.push(changed(mark, &text, style).after(&format!("{number:4} "), DIM));
            *number += 1;
        }
    }
    Some(flows)
}

fn changed(mark: &str, text: &str, style: anstyle::Style) -> Flow {
    let mut flow = Flow::code(text, style);
    flow.first = vec![Span::new(format!("{mark} "), style)];
    flow.rest = vec![Span::new("  ", PLAIN)];
    flow
}

#[cfg(test)]
mod tests {
    use super::super::line::Line;
    use super::*;
    use serde_json::json;

    fn text(flows: &[Flow]) -> Vec<String> {
        flows.iter().flat_map(|flow| flow.lines(40)).map(|line: Line| line.text()).collect()
    }

    #[test]
    fn a_change_shows_what_goes_and_what_comes_with_a_few_lines_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\nten\n";
        let new = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\u{1b}[2J\n";
        assert_eq!(text(&diff(old, new)), ["  7", "  8", "  9", "- ten", "+ 10␛[2J"]);
        assert_eq!(text(&diff("a", "b")), ["- a", "+ b"]);
        let long = "x\n".repeat(DIFF_LINES + 1);
        assert_eq!(diff(&long, "y").len(), DIFF_LINES + 2);
    }

    #[test]
    fn a_patch_that_was_applied_has_its_line_numbers() {
        let hunks = json!([{"oldStart": 9, "newStart": 9, "lines": [" a", "-b", "+c", "\\ no"]}]);
        let flows = patch(&hunks).expect("a patch");
        assert_eq!(text(&flows), ["   9   a", "  10 - b", "  10 + c"]);
        assert_eq!(patch(&json!([])), None);
    }
}
