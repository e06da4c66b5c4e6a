//! The page at a relay that takes answers from trusted devices alone (D-3).

use crate::page::send;
use crate::support::page::{Page, hook};
use crate::support::program::Program;

#[test]
fn a_browser_that_has_signed_in_is_trusted_by_what_its_scripts_cannot_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &["--demand-trusted-device", "answer,drive"]);
    let mut page = Page::open(program.page());
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
    send(&mut page, "echo hel''lo");
    page.click(&hook("allow"));
    page.see_text("[data-testid=message][data-part=result]", "hello");
    assert_eq!(page.evaluate("document.cookie"), "");
    // A page that is loaded again is the same browser.
    page.reload();
    page.see_text("[data-testid=message][data-part=result]", "hello");
    send(&mut page, "echo aga''in");
    page.click(&hook("allow"));
    page.wait_for("its result", "document.body.textContent.includes('again')");
    page.assert_no_complaints();
}
