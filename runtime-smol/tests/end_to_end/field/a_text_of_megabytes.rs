//! An agent may print anything, of any length: nothing of it may hold the page.

use serde_json::{Value, json};

use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::Program;

/// Between two frames, the page adds no more than this to what it shows: so many characters, and so
/// many elements. How long that takes is another matter on every machine, and only reported.
const MOST: (u64, u64) = (26_000, 1_200);

#[test]
fn no_text_that_an_agent_prints_is_shown_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let mut page = Page::open(program.page());
    page.see(&hook("new-session"));
    let script = include_str!("long_texts.js");
    page.evaluate(&format!("{}().then((found) => (window.found = found)); 0", script.trim_end()));
    // It takes longer than anything else on the page.
    let found =
        (0..15).find_map(|_| poll(|| Some(page.evaluate("window.found")).filter(Value::is_array)));
    let progress = page.evaluate("window.progress");
    let found = found.unwrap_or_else(|| panic!("it does not come to an end: {progress}"));
    for one in found.as_array().expect("a list") {
        let number = |name: &str| one[name].as_u64().expect("a number");
        println!("{one}");
        assert!(number("chars") <= MOST.0 && number("nodes") <= MOST.1, "{one} of {found:#}");
        assert_eq!(one["end"], json!(true), "not all of it is shown: {one}");
    }
    page.assert_no_complaints();
}
