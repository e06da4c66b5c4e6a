//! A session is named, put away and deleted on the page.

use serde_json::json;

use crate::support::page::{Page, hook};
use crate::support::program::Program;

#[test]
fn a_session_is_renamed_archived_and_deleted_once_it_has_ended() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let mut page = Page::open(program.page());
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
    page.click(&hook("tidy"));
    page.see_text(&hook("tidy-dialog"), "once it has ended");
    page.fill(&hook("title-input"), "The bridge");
    page.click(&hook("rename"));
    page.see_text(".session-name h2", "The bridge");
    page.see_text(&hook("session-item"), "The bridge");

    page.click(&hook("stop"));
    page.click(&hook("stop-confirm"));
    page.see("[data-testid=session-state][data-state=ended]");
    page.click(&hook("tidy"));
    page.click(&hook("archive"));
    page.wait_for("the dialog to close", "!document.querySelector('dialog[open]')");
    page.go(&format!("{}/#/", program.url()));
    page.see_text(&hook("archived"), "1 archived");
    assert_eq!(page.count(&hook("session-item")), 0);
    page.click(&hook("archived"));
    // Before the relay has said what this session is, it cannot be deleted: the question would
    // come after the end of what it asks about.
    let link = format!("{} a", hook("session-item"));
    page.see(&link);
    let is_early = page.evaluate(&format!(
        "new Promise((done) => {{
            addEventListener('hashchange', () => done(document.querySelector({}).disabled), {{ once: true }});
            document.querySelector({}).click();
        }})",
        json!(hook("tidy")),
        json!(link),
    ));
    assert_eq!(is_early, json!(true));

    page.click(&hook("tidy"));
    page.click(&hook("delete"));
    page.see_text(&hook("delete"), "for good");
    page.click(&hook("delete"));
    page.wait_for("the overview", "location.hash === '#/'");
    page.wait_for("its end", "!document.querySelector('[data-testid=session-item], [data-testid=archived]')?.checkVisibility()");
    let (_, list) = program.api().get("/v1/sessions");
    assert_eq!(list["sessions"].as_array().map(Vec::len), Some(0));
    page.assert_no_complaints();
}
