//! The page at a relay that takes answers from trusted devices alone (D-3).

use serde_json::json;

use crate::page::send;
use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::{Program, TOKEN, run};

/// What `footbridge sign-in` prints for whoever has this token.
#[track_caller]
fn link(program: &Program, token: &str) -> String {
    let made = run(&["sign-in", "--relay", program.url()], token);
    assert_eq!(made.code, Some(0), "{made:?}");
    made.stdout.trim().to_owned()
}

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

#[test]
fn signing_in_again_by_a_link_makes_a_browser_a_trusted_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &["--demand-trusted-device", "answer,drive"]);
    let (_, own) = program.api().post("/v1/sign-in", &json!({}));
    let mut page = Page::open(program.url());
    page.see("[data-testid=sign-in]");
    // It has the token, and not the cookie.
    page.evaluate(&format!("localStorage.setItem('footbridge.token', {})", own["token"]));
    page.reload();
    page.click(&hook("new-session"));
    page.wait_for("a refusal", "document.body.innerText.includes('trusted')");
    page.go(&link(&program, TOKEN));
    page.see_text(&hook("other-token"), "signed in already");
    page.click(&hook("use-token"));
    page.wait_for("no question", "!document.querySelector('dialog[open]')");
    page.wait_for(
        "another token",
        &format!("localStorage.getItem('footbridge.token') !== {}", own["token"]),
    );
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
}

#[test]
fn a_link_opened_by_somebody_who_is_signed_in_asks_first_and_names_who_that_is() {
    let (directory, state) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let data = directory.path().join("data");
    let data = data.to_str().expect("text");
    let args = ["up", "--listen", "127.0.0.1:0", "--data", data, "--directory"];
    let worked = directory.path().to_str().expect("text");
    let program = Program::start_on(state.path(), &[&args[..], &[worked]].concat());
    let mut page = Page::open(program.page());
    page.see(&hook("new-session"));
    assert_eq!(page.evaluate("document.querySelector('.account').hidden"), json!(true));
    let added = run(&["relay", "user", "--data", data, "add", "eva"], TOKEN);
    assert_eq!(added.code, Some(0), "{added:?}");
    let file = std::fs::read_dir(format!("{data}/users")).expect("a directory").next();
    let token = std::fs::read_to_string(file.expect("a file").expect("a file").path());
    let token = token.expect("text").trim().to_owned();
    let owner = program.api();
    let is_shared = || owner.get("/v1/whoami").1["shared"] == json!(true);
    assert!(poll(|| is_shared().then_some(())).is_some(), "she is let in");
    page.reload();
    page.see_text(&hook("account"), "owner");

    let link = link(&program, &token);
    let kept = page.evaluate("localStorage.getItem('footbridge.token')");
    page.go(&link);
    page.see_text(&hook("other-token"), "signed in as owner");
    assert_eq!(page.evaluate("location.hash.includes('code')"), json!(false));
    page.click(&hook("keep-token"));
    page.wait_for("no question", "!document.querySelector('dialog[open]')");
    assert_eq!(page.evaluate("localStorage.getItem('footbridge.token')"), kept);
    // The code was not used up.
    page.go(&link);
    page.click(&hook("use-token"));
    page.see_text(&hook("account"), "eva");
    page.go(&link);
    page.see_text(&hook("other-token"), "signed in as eva");
    page.click(&hook("use-token"));
    page.see_text(&hook("other-token"), "has been used");
    page.click(&hook("keep-token"));
    page.go(&format!("{}/device", program.url()));
    page.see_text(&hook("account"), "eva");
    // There, too, nobody's place is taken unasked, and nobody goes on as somebody else unasked.
    let code = self::link(&program, TOKEN);
    let code = code.split_once('#').expect("a link with a code").1;
    page.go(&format!("{}/device?user_code=ABCD-EFGH#{code}", program.url()));
    page.see_text(&hook("other-token"), "signed in as eva");
    page.click(&hook("use-token"));
    page.see_text(&hook("account"), "owner");
}
