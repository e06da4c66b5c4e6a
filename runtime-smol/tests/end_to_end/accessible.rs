//! What axe says of the page in each of its states, on each kind of screen (U-7): nothing.
//!
//! axe is for this test alone. `AXE` names its script; without that, npm puts it below the target
//! directory, and where there is no npm the test is skipped and says so. With `PICTURES`, a directory,
//! it also leaves a picture there of each state.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::page::send;
use crate::support::page::{Page, Screen, hook};
use crate::support::program::Program;

/// An agent that does what it is told to: shows a card of each kind, asks a question of each kind, works
/// for ever, fails, or ends.
pub(crate) const AGENT: &str = r#"
while read -r heard; do
  case $heard in
    *footbridge-check*) exit 0 ;;
    *'"content":"cards"'*) cat cards.jsonl ;;
    *'"content":"questions"'*) cat questions.jsonl ;;
    *'"content":"work"'*) cat work.jsonl ;;
    *'"content":"fail"'*) echo 'Segmentation fault' >&2; exit 139 ;;
    *'"content":"end"'*) exit 0 ;;
  esac
done"#;
const CARDS: &str = include_str!("gallery/cards.jsonl");
const TRUST: &str = include_str!("../../web/trust.html");
const QUESTIONS: &str = include_str!("gallery/questions.jsonl");
/// A turn in its middle: a tool that runs, and words that come.
const WORK: &str = r#"{"type":"system","subtype":"init","model":"opus","permissionMode":"default","cwd":"/w","slash_commands":["review","compact"]}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"tool_use","id":"w","name":"Bash","input":{"command":"cargo test","description":"Run the tests"}}]}}
{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"While it **runs**, I "}},"parent_tool_use_id":null}
"#;

/// The script of axe, if it can be had.
fn axe() -> Option<String> {
    let path = std::env::var_os("AXE").map(PathBuf::from).or_else(installed)?;
    Some(
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    )
}

fn installed() -> Option<PathBuf> {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let script = prefix.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        std::fs::create_dir_all(&prefix).expect("a directory");
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]).arg(&prefix);
        let _ = npm.arg("axe-core@4").output();
    }
    if !script.exists() {
        eprintln!("skipped: axe-core is not here, and npm cannot install it");
    }
    Some(script).filter(|script| script.exists())
}

const SCREENS: [Screen; 4] = [
    Screen { width: 1280, height: 800, is_phone: false, is_dark: false },
    Screen { width: 320, height: 640, is_phone: true, is_dark: true },
    Screen { width: 1280, height: 800, is_phone: false, is_dark: true },
    Screen { width: 390, height: 844, is_phone: true, is_dark: false },
];

/// All that axe finds is collected, so that one run shows all.
struct Inspection {
    axe: String,
    findings: Vec<String>,
}

impl Inspection {
    /// Inspects what the page shows now. The first two screens get every rule, the others that of colours.
    #[track_caller]
    fn of(&mut self, page: &mut Page, state: &str) {
        if page.evaluate("typeof axe") != json!("object") {
            page.evaluate(&self.axe);
        }
        // What is not on the screen is to be looked at, too.
        page.evaluate(
            "(() => { const all = new CSSStyleSheet(); all.replaceSync('* { content-visibility: visible !important; animation: none !important }'); document.adoptedStyleSheets = [all]; })()",
        );
        for (at, screen) in SCREENS.into_iter().enumerate() {
            page.set_screen(screen);
            let rules = if at < 2 {
                "{ type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }"
            } else {
                "{ type: 'rule', values: ['color-contrast'] }"
            };
            let found = page.evaluate(&format!(
                "axe.run(document, {{ resultTypes: ['violations'], runOnly: {rules} }})
                    .then(({{ violations }}) => violations.flatMap(({{ id, nodes }}) => nodes.map(({{ html, failureSummary }}) => `${{id}}: ${{html.slice(0, 300)}} ${{failureSummary}}`)), String)"
            ));
            let found: Vec<String> = serde_json::from_value(found).expect("a list of texts");
            self.findings
                .extend(found.into_iter().map(|one| format!("{state}, {screen:?}: {one}")));
            let beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth");
            if beyond.as_f64().is_some_and(|beyond| beyond > 0.0) {
                self.findings.push(format!("{state}, {screen:?}: it scrolls sideways by {beyond}"));
            }
            picture(page, state, screen);
        }
        page.set_screen(SCREENS[0]);
    }
}

fn picture(page: &mut Page, state: &str, Screen { width, is_dark, .. }: Screen) {
    let Some(directory) = std::env::var_os("PICTURES") else { return };
    let name = format!(
        "{}-{width}-{}.png",
        state.replace(' ', "-"),
        if is_dark { "dark" } else { "light" }
    );
    std::fs::write(Path::new(&directory).join(name), page.screenshot()).expect("a picture");
}

/// A session that has been told this, on the page.
#[track_caller]
fn told(page: &mut Page, program: &Program, words: &str) -> String {
    let api = program.api();
    let session = api.new_session();
    api.say(&session, words);
    page.go(&format!("{}/#/session/{session}", program.url()));
    page.see("[data-testid=session-state][data-state]");
    session
}

#[track_caller]
fn escape(page: &mut Page) {
    page.press("Escape");
    page.wait_for("the dialog to close", "!document.querySelector('dialog[open]')");
}

#[test]
fn axe_finds_nothing_in_any_state_on_any_screen() {
    let Some(axe) = axe() else { return };
    let mut seen = Inspection { axe, findings: Vec::new() };
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in [
        ("agent.sh", AGENT),
        ("cards.jsonl", CARDS),
        ("questions.jsonl", QUESTIONS),
        ("work.jsonl", WORK),
    ] {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let relay = Program::start(&["relay", "--listen", "127.0.0.1:0"]);
    let mut page = Page::open(relay.url());
    page.see(&hook("sign-in"));
    seen.of(&mut page, "sign-in");
    page.go(&format!("{}/device", relay.url()));
    page.see("h1, h2");
    seen.of(&mut page, "device");
    // Only a relay with a certificate of its own serves this one.
    page.evaluate(&format!("document.documentElement.innerHTML = {}", json!(TRUST)));
    let is_styled = "getComputedStyle(document.body).backgroundColor !== 'rgba(0, 0, 0, 0)'";
    page.wait_for("its style", is_styled);
    seen.of(&mut page, "trust");
    page.go(&format!("{}/#token={}", relay.url(), crate::support::program::TOKEN));
    page.see_text(".overview", "No machine is registered yet");
    seen.of(&mut page, "overview empty");

    let program = Program::up(&directory, &["--agent", "sh ./agent.sh"]);
    let mut page = Page::open(program.page());
    page.see(&hook("new-session"));
    for (words, is_there) in [
        ("cards", "[data-kind=result]:last-child"),
        ("questions", "[data-testid=permission-card][data-request-id=qh]"),
        ("work", "[data-streaming] strong"),
    ] {
        told(&mut page, &program, words);
        page.see(is_there);
        if words == "work" {
            let moving = "document.getAnimations().length";
            page.wait_for("something that moves", moving);
            page.reduce_motion();
            page.wait_for("nothing that moves", &format!("{moving} === 0"));
        }
        seen.of(&mut page, words);
    }
    // The session that works has what a session can have over it.
    page.click(&hook("stop"));
    page.see("dialog[open]");
    seen.of(&mut page, "stop");
    escape(&mut page);
    page.click(&hook("tidy"));
    page.see("dialog[open]");
    seen.of(&mut page, "tidy");
    escape(&mut page);
    page.click(&hook("search"));
    page.type_text("tests");
    page.press("Enter");
    page.see(".hits button");
    seen.of(&mut page, "search");
    page.click(&hook("search"));
    page.click(&hook("composer"));
    page.type_text("/re");
    page.see(&hook("offers"));
    seen.of(&mut page, "offers");
    page.set_offline(true);
    page.see("[data-testid=connection]:not([data-state=connected])");
    send(&mut page, "later");
    page.see("[data-testid=outgoing]");
    seen.of(&mut page, "offline");
    page.set_offline(false);
    page.see("[data-testid=connection][data-state=connected]");
    for (words, detail) in [("fail", "failed"), ("end", "completed")] {
        told(&mut page, &program, words);
        page.see(&format!("[data-testid=session-state][data-detail={detail}]"));
        seen.of(&mut page, detail);
    }
    page.go(&format!("{}/#/session/session_nosuch", program.url()));
    page.see(&hook("session-gone"));
    seen.of(&mut page, "gone");
    page.go(&format!("{}/#/", program.url()));
    page.see(&hook("needs-you"));
    seen.of(&mut page, "overview");
    // What was said in any session is found, and leads there.
    page.fill(&hook("search-all"), "NOBODY notices");
    page.press("Enter");
    page.see(".search-all .hits a");
    seen.of(&mut page, "search all");
    page.click(".search-all .hits a");
    page.see_text(".sought", "nobody notices");
    page.go(&format!("{}/#/", program.url()));
    page.see(&hook("needs-you"));
    page.click(&hook("notifications"));
    page.see("dialog[open]");
    seen.of(&mut page, "notifications");
    let findings = seen.findings;
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
