//! An agent may print anything, of any length: nothing of it may hold the page.

use serde_json::{Value, json};

use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::Program;

/// Between two frames, the page adds no more than this to what it shows: so many characters, and so
/// many nodes. Time depends on what else the machine does.
const MOST: (u64, u64) = (200_000, 20_000);
/// The longest that the page may ever be held, in milliseconds, on a machine that is busy with many
/// other things: in processor time, no task takes 50.
const LONGEST_TASK: f64 = 5_000.0;

#[test]
#[ignore = "takes many minutes on a busy machine, where it measures the others: run it alone"]
fn no_text_that_an_agent_prints_holds_the_page() {
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
        let (chars, nodes) = (one["chars"].as_u64(), one["nodes"].as_u64());
        assert!(chars <= Some(MOST.0) && nodes <= Some(MOST.1), "{one} of {found}");
        assert!(one["longest"].as_f64() <= Some(LONGEST_TASK), "{one} of {found}");
        assert_eq!(one["end"], json!(true), "not all of it is shown: {one}");
    }
    page.assert_no_complaints();
}
