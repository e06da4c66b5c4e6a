//! The page in a browser, with the relay, the worker and the shell agent behind it.

use serde_json::json;
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::page::{Page, Screen, hook};
use crate::support::program::{Program, TOKEN, run};

/// What a command printed.
const OUTPUT: &str = "[data-testid=message][data-part=result]";
const CARD: &str = "[data-testid=permission-card]";
const RESOLVED: &str = "[data-testid=permission-resolved]";
/// The end of a turn.
const TURN: &str = "[data-testid=message][data-kind=result]";

/// A program, its directory, and a page connected to it.
struct Scene {
    directory: TempDir,
    program: Program,
    page: Page,
}

impl Scene {
    #[track_caller]
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let program = Program::up(&directory, &[]);
        let page = Page::open(program.page());
        Self { directory, program, page }
    }

    /// The same, with a new session open on the page.
    #[track_caller]
    fn with_session() -> Self {
        let mut scene = Self::new();
        scene.page.click(&hook("new-session"));
        scene.page.see("[data-testid=session-state][data-state=running]");
        scene
    }
}

#[track_caller]
pub(crate) fn send(page: &mut Page, text: &str) {
    page.fill(&hook("composer"), text);
    page.click(&hook("send"));
}

#[test]
fn a_command_needs_permission_runs_and_is_still_shown_after_a_reload() {
    let Scene { page, program, .. } = &mut Scene::with_session();
    send(page, "echo hel''lo");
    page.wait_for(
        "the command in the question",
        &format!(
            "document.querySelector('{}')?.value === \"echo hel''lo\"",
            hook("permission-input")
        ),
    );
    assert_eq!(page.count(OUTPUT), 0, "it ran before it was allowed");
    page.click(&hook("allow"));
    page.see_text(OUTPUT, "hello");
    page.see(&format!("{RESOLVED}[data-outcome=allowed]"));

    page.on_load(&format!(
        "new MutationObserver(() => {{
            window.wasAsked ||= document.querySelector('{CARD}')?.checkVisibility() ?? false;
        }}).observe(document, {{ childList: true, subtree: true, attributes: true }});"
    ));
    page.reload();
    page.see_text(OUTPUT, "hello");
    page.see(&format!("{RESOLVED}[data-outcome=allowed]"));
    assert_eq!(page.count(CARD), 0, "an answered question is asked again");
    assert_eq!(page.evaluate("window.wasAsked"), false, "it was, until its answer came");
    let address = page.evaluate("location.href");
    assert!(!address.as_str().expect("text").contains(TOKEN), "the token is still in the address");
    assert!(!program.stderr().contains(TOKEN), "the token is in the log");
    page.assert_no_complaints();
}

#[test]
fn a_denied_command_does_not_run_and_the_agent_is_told_why() {
    let Scene { page, directory, .. } = &mut Scene::with_session();
    send(page, "touch ran");
    page.see(CARD);
    page.fill(&hook("deny-reason"), "not on a Sunday");
    page.click(&hook("deny"));
    page.see(&format!("{RESOLVED}[data-outcome=denied]"));
    page.see_text(OUTPUT, "not on a Sunday");
    page.see(TURN);
    assert!(!directory.path().join("ran").exists());
    page.assert_no_complaints();
}

#[test]
fn an_edited_command_runs_as_edited() {
    let Scene { page, directory, .. } = &mut Scene::with_session();
    send(page, "touch as-asked");
    page.see(CARD);
    page.fill(&hook("permission-input"), "touch as-edited");
    page.click(&hook("allow"));
    page.see(TURN);
    assert!(directory.path().join("as-edited").exists());
    assert!(!directory.path().join("as-asked").exists());
    page.see_text(RESOLVED, "edited");
    page.assert_no_complaints();
}

#[test]
fn an_interrupt_ends_the_command_and_the_session_continues() {
    let Scene { page, directory, .. } = &mut Scene::with_session();
    send(page, "touch started; sleep 600; touch finished");
    page.click(&hook("allow"));
    let started = directory.path().join("started");
    assert!(crate::support::poll(|| started.exists().then_some(())).is_some(), "it never started");
    page.click(&hook("interrupt"));
    page.see_text(&format!("{TURN}[data-stopped]"), "Interrupted by you");
    assert_eq!(page.count("[data-error]"), 0, "it is shown as a fault");
    send(page, "echo go''es on");
    page.click(&hook("allow"));
    page.see_text(OUTPUT, "goes on");
    assert!(!directory.path().join("finished").exists());
    page.assert_no_complaints();
}

#[test]
fn an_interrupt_withdraws_an_open_question() {
    let Scene { page, .. } = &mut Scene::with_session();
    send(page, "echo never");
    page.see(CARD);
    page.click(&hook("interrupt"));
    page.see(&format!("{RESOLVED}[data-outcome=withdrawn]"));
    page.see("[data-testid=session-state][data-state=running][data-detail=idle]");
    page.assert_no_complaints();
}

#[test]
fn two_viewers_see_the_same_and_converge_on_the_first_answer() {
    let Scene { page: one, program, .. } = &mut Scene::with_session();
    let session = one.evaluate("location.hash");
    let address = format!("{}/{}", program.url(), session.as_str().expect("text"));
    let mut other = one.open_beside(&address);
    send(one, "echo one''two");
    one.see(CARD);
    other.see(CARD);
    // Both at practically the same time, with opposite answers: one of them is first.
    let press = |name: &str| format!("document.querySelector('{}').click()", hook(name));
    one.evaluate(&press("allow"));
    other.evaluate(&press("deny"));
    one.see(RESOLVED);
    other.see(RESOLVED);
    let outcome = format!("document.querySelector('{RESOLVED}').dataset.outcome");
    one.see(TURN);
    other.see(TURN);
    let of_one = one.evaluate(&outcome);
    assert_eq!(of_one, other.evaluate(&outcome));
    let ran =
        one.evaluate(&format!("document.querySelector('{OUTPUT}').textContent.includes('onetwo')"));
    assert_eq!(ran, json!(of_one == json!("allowed")), "the agent was told otherwise: {of_one}");
}

#[test]
fn sessions_are_listed_and_one_can_be_ended() {
    let Scene { page, program, .. } = &mut Scene::with_session();
    let ended = program.api().new_session();
    let item = |id: &str| format!("[data-testid=session-item][data-session-id={id}]");
    page.see(&item(&ended));
    page.click(&format!("{} a", item(&ended)));
    page.see("[data-testid=session-state][data-state=running]");
    page.click(&hook("stop"));
    page.click(&hook("stop-confirm"));
    page.see("[data-testid=session-state][data-state=ended][data-detail=interrupted]");
    page.see(&format!("{}[data-state=ended]", item(&ended)));
    assert_eq!(page.count("[data-testid=session-item][data-state=running]"), 1);
    page.assert_no_complaints();
}

#[test]
fn only_the_right_token_signs_in() {
    let Scene { page, program, .. } = &mut Scene::new();
    page.see(&hook("new-session"));
    let mut stranger = Page::open(program.url());
    stranger.see(&hook("sign-in"));
    stranger.fill("[data-testid=sign-in] input", "a-token-of-somebody-else");
    stranger.press("Enter");
    stranger.see_text("[data-testid=sign-in]", "does not accept this token");
    assert_eq!(stranger.count(&hook("new-session")), 0);
    // The link has signed in the first page, and works no more.
    stranger.fill("[data-testid=sign-in] input", program.page());
    stranger.press("Enter");
    stranger.see_text("[data-testid=sign-in]", "has been used");
    stranger.fill("[data-testid=sign-in] input", TOKEN);
    stranger.press("Enter");
    stranger.see(&hook("new-session"));
    let kept = "Object.values(localStorage).join()";
    assert!(
        !stranger.evaluate(kept).to_string().contains(TOKEN),
        "the browser keeps the access token"
    );
}

#[test]
fn a_used_link_signs_nobody_out_and_a_new_one_signs_in() {
    let Scene { page, program, .. } = &mut Scene::new();
    page.see(&hook("new-session"));
    page.go("about:blank");
    page.go(program.page());
    page.see(&hook("new-session"));
    let mut stranger = Page::open(program.page());
    stranger.see_text("[data-testid=sign-in]", "has been used");
    let made = run(&["sign-in", "--relay", program.url()], TOKEN);
    assert_eq!(made.code, Some(0), "{made:?}");
    stranger.go(made.stdout.trim());
    stranger.see(&hook("new-session"));
    stranger.wait_for("a clean address", "!location.href.includes('code')");
}

#[test]
fn a_browsers_files_hold_nothing_that_signs_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let link = program.page().to_owned();
    let (mut page, profile) = Page::open_with_history(&link);
    page.see(&hook("new-session"));
    page.close_browser();
    let code = link.split_once("#code=").expect("a code").1;
    let holding = |secret: &str| files_with(profile.path(), secret);
    assert!(!holding(code).is_empty(), "this browser keeps no history, and shows nothing");
    assert_eq!(holding(TOKEN), Vec::<std::path::PathBuf>::new());
    let spent = Api::new(program.url(), code);
    assert_eq!(spent.post("/v1/sign-in", &json!({})).0, 401);
    assert_eq!(spent.get("/v1/sessions").0, 401);
    assert!(!program.stderr().contains(code), "the code is in the log");
}

/// The files below a directory that contain a text.
fn files_with(directory: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(content) = std::fs::read(&path)
            && content.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_link_with_a_token_signs_nobody_out_and_takes_nobodys_place_unasked() {
    let Scene { page, program, .. } = &mut Scene::new();
    page.see(&hook("new-session"));
    let kept = page.evaluate("localStorage.getItem('footbridge.token')");
    let link = |token: &str| format!("{}/#token={token}", program.url());
    let beside = |page: &mut Page| {
        assert_eq!(page.evaluate("localStorage.getItem('footbridge.token')"), kept);
        assert_eq!(page.evaluate("location.hash.includes('token')"), json!(false));
    };
    page.go(&link(&"A".repeat(43)));
    page.see_text(&hook("other-token"), "does not accept this token");
    beside(page);
    page.click(&hook("keep-token"));
    page.see(&hook("new-session"));
    page.reload();
    page.see(&hook("new-session"));
    beside(page);
    // Who is not signed in is told why the link does not do it.
    let mut stranger = Page::open(&link(&"A".repeat(43)));
    stranger.see_text("[data-testid=sign-in]", "does not accept this token");
    assert_eq!(stranger.evaluate("localStorage.length"), json!(0));
    stranger.go(&link(TOKEN));
    stranger.see(&hook("new-session"));
}

#[test]
fn it_can_be_used_with_only_the_keyboard() {
    let Scene { page, .. } = &mut Scene::new();
    page.tab_to(&hook("new-session"));
    page.press("Enter");
    page.see("[data-testid=session-state][data-state=running]");
    page.tab_to(&hook("composer"));
    page.type_text("echo by k''ey");
    page.press("Enter");
    page.tab_to(&hook("allow"));
    page.press(" ");
    page.see_text(OUTPUT, "by key");
    page.tab_to(&hook("stop"));
    page.press("Enter");
    page.see(&hook("stop-confirm"));
    page.press("Escape");
    page.wait_for("the dialog to close", "!document.querySelector('dialog[open]')");
    page.assert_no_complaints();
}

#[test]
fn every_control_has_a_name_for_screen_readers() {
    let Scene { page, .. } = &mut Scene::with_session();
    send(page, "echo named");
    page.see(CARD);
    let accessible = page.accessible();
    let roles = ["button", "link", "textbox", "dialog", "region"];
    let usable: Vec<_> =
        accessible.iter().filter(|(role, _)| roles.contains(&role.as_str())).collect();
    assert!(usable.len() > 8, "{accessible:?}");
    assert!(usable.iter().all(|(_, name)| !name.trim().is_empty()), "{usable:?}");
    for name in ["Allow", "Deny", "Interrupt", "Send", "Message the agent"] {
        assert!(usable.iter().any(|(_, known)| known == name), "no {name:?} in {usable:?}");
    }
}

#[test]
fn only_the_transcript_scrolls_however_long_it_is() {
    let Scene { page, .. } = &mut Scene::with_session();
    send(page, "seq 400");
    page.see(CARD);
    page.click(&hook("allow"));
    page.see(TURN);
    let beyond = page.evaluate("document.documentElement.scrollHeight - innerHeight");
    assert_eq!(beyond, 0, "the page itself is longer than the screen");
    page.assert_no_complaints();
}

#[test]
fn it_fits_phones_and_desktops_in_light_and_dark_mode() {
    let Scene { page, .. } = &mut Scene::with_session();
    let long = format!("echo {}", "unbroken".repeat(40));
    send(page, &long);
    page.see(CARD);
    for (width, height, is_phone) in [(320, 568, true), (390, 844, true), (1280, 800, false)] {
        for is_dark in [false, true] {
            let screen = Screen { width, height, is_phone, is_dark };
            page.set_screen(screen);
            for name in ["allow", "deny", "composer", "send", "interrupt"] {
                page.see(&hook(name));
            }
            page.wait_for(
                &format!("nothing outside the screen of {screen:?}"),
                "document.documentElement.scrollWidth <= innerWidth",
            );
            let beside = page.evaluate(
                "[...document.querySelectorAll('button, textarea, input')]
                    .filter((e) => e.checkVisibility() && (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1))
                    .map((e) => e.outerHTML)",
            );
            assert_eq!(beside, json!([]), "{screen:?}");
            let brightness = page.evaluate(
                "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3",
            );
            let brightness = brightness.as_f64().expect("a colour");
            assert_eq!(brightness < 128.0, is_dark, "{screen:?}: {brightness}");
            let picture = page.screenshot();
            assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5_000, "{screen:?}");
        }
    }
    page.assert_no_complaints();
}

/// The receipt of what a person sent, at this stage.
fn receipt(stage: &str) -> String {
    format!("[data-testid=receipt][data-stage={stage}]")
}

#[test]
fn a_message_shows_how_far_it_has_come() {
    let Scene { page, .. } = &mut Scene::with_session();
    send(page, "echo hel''lo");
    page.see(&format!("[data-kind=user] {}", receipt("seen")));
    page.click(&hook("allow"));
    page.see(TURN);
    page.see(&format!("[data-kind=permission] {}", receipt("seen")));
    page.reload();
    page.see(&format!("[data-kind=user] {}", receipt("seen")));
    page.see(&format!("[data-kind=permission] {}", receipt("seen")));
    assert_eq!(page.count(&receipt("seen")), 2);
    page.assert_no_complaints();
}

#[test]
fn what_did_not_reach_the_agent_is_said_where_it_was_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let question = json!({"type": "control_request", "request_id": "q", "request": {
        "subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "rm -r /"}}});
    let script = format!("echo '{question}'; exec sleep 600");
    std::fs::write(directory.path().join("agent.sh"), script).expect("a script");
    let program = Program::up(&directory, &["--agent", "sh ./agent.sh"]);
    let mut page = Page::open(program.page());
    page.click(&hook("new-session"));
    page.click(&hook("allow"));
    send(&mut page, "are you there?");
    // It is in the agent's stdin, where nobody reads it.
    page.see(&format!("[data-kind=permission] {}", receipt("delivered")));
    page.see(&format!("[data-kind=user] {}", receipt("delivered")));
    page.click(&hook("stop"));
    page.click(&hook("stop-confirm"));
    page.see(&format!("[data-kind=permission] {}", receipt("indeterminate")));
    page.see(&format!("[data-kind=user] {}", receipt("indeterminate")));
    page.reload();
    page.see(&format!("[data-kind=permission] {}", receipt("indeterminate")));
    page.see(&format!("[data-kind=user] {}", receipt("indeterminate")));
    page.assert_no_complaints();
}

#[test]
fn housekeeping_is_out_of_sight_until_it_is_asked_for() {
    let Scene { page, .. } = &mut Scene::with_session();
    send(page, "echo one");
    page.see(CARD);
    page.click(&hook("interrupt"));
    page.see(TURN);
    // The agent has acknowledged the interrupt, for programs.
    let quiet = "[data-quiet]";
    page.wait_for(quiet, &format!("document.querySelectorAll('{quiet}').length"));
    let is_shown = format!("document.querySelector('{quiet}').checkVisibility()");
    assert_eq!(page.evaluate(&is_shown), json!(false));
    page.click("[data-kind=result] summary");
    page.click("[data-kind=result] [data-testid=show-technical]");
    assert_eq!(page.evaluate(&is_shown), json!(true));
    page.assert_no_complaints();
}

#[test]
fn a_question_is_seen_from_wherever_on_the_page_one_is() {
    let Scene { page, program, .. } = &mut Scene::with_session();
    let asking = page.evaluate("location.hash.split('/session/')[1]");
    let asking = asking.as_str().expect("an id").to_owned();
    page.see("[data-testid=session-state][data-detail=idle]");
    let quiet = program.api().new_session();
    page.click(&format!("[data-session-id={quiet}] a"));
    page.see("[data-testid=session-state][data-detail=idle]");
    program.api().say(&asking, "echo asked");
    page.see_text(&hook("elsewhere"), "Another session waits for you");
    page.wait_for("the count in the title", "document.title.startsWith('(1) ')");
    page.go(&format!("{}/#/", program.url()));
    page.wait_for("the count in the title", "document.title === '(1) Footbridge'");
    page.see_text(&hook("needs-you"), "Bash");
    let first = "document.querySelector('[data-testid=session-item]').dataset.sessionId";
    assert_eq!(page.evaluate(first), json!(asking), "what waits does not come first");
    page.click("[data-testid=needs-you] a");
    page.click(&hook("deny"));
    page.see(TURN);
    page.wait_for("the title without a count", "!document.title.startsWith('(')");
    page.wait_for("nothing to do", "document.querySelector('[data-testid=needs-you]').hidden");
    page.assert_no_complaints();
}
