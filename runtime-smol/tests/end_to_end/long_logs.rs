//! A session with tens of thousands of events on the page: what is counted, and with `FIGURES` also
//! what is measured.

use crate::support::api::Api;
use crate::support::page::{Page, Screen, hook};
use crate::support::poll;
use crate::support::program::Program;

/// An agent that has said a lot by the time that anybody looks: calls of tools with their results, and text
/// in between.
const AGENT: &str = r#"
read -r heard; case $heard in *footbridge-check*) exit 0 ;; esac
n=$(printf '%s' "$heard" | sed -n 's/.*"content":"\([0-9]*\)".*/\1/p')
awk -v n="$n" 'BEGIN {
  print "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"the first needle\"}]}}"
  for (i = 1; i < n / 4; i++) {
    printf "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"Step **%d**: I look at `file%d.rs`.\\n\\n- one\\n- two\"}]}}\n", i, i
    printf "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\",\"id\":\"t%d\",\"name\":\"Bash\",\"input\":{\"command\":\"cargo test step_%d\",\"description\":\"Run the tests\"}}]}}\n", i, i
    printf "{\"type\":\"user\",\"message\":{\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t%d\",\"content\":\"running 12 tests\\n............\\ntest result: ok. 12 passed; 0 failed\"}]}}\n", i
    printf "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"\",\"duration_ms\":%d,\"num_turns\":3,\"session_id\":\"c\"}\n", i
  }
  print "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"the very end\"}]}}"
}'
exec sleep 600"#;

/// Elements, bytes of events, and requests for data, once the end of the log is there.
const COUNTED: &str = "({
    nodes: document.querySelectorAll('*').length, entries: document.querySelectorAll('.log > *').length, read: watched.read,
    requests: performance.getEntriesByType('resource').filter(({ name }) => name.includes('/v1/')).length })";

/// What it is like to scroll up for three seconds.
const SCROLLING: &str = "(async () => {
    watched.tasks = [];
    const scroller = document.querySelector('.scroller');
    const began = performance.now();
    let [frames, worst, last] = [0, 0, began];
    while (performance.now() - began < 3000) {
        scroller.scrollTop -= 200;
        await new Promise(requestAnimationFrame);
        worst = Math.max(worst, performance.now() - last);
        last = performance.now();
        frames += 1;
    }
    const nodes = document.querySelectorAll('*').length;
    return JSON.stringify({ frames, worst, long: watched.tasks.length, longest: Math.max(0, ...watched.tasks), nodes, entries: document.querySelectorAll('.log > *').length });
})()";

/// When something is first seen, what holds the page up for more than 50 ms, and how much it reads.
const WATCH: &str = "
window.watched = { tasks: [], first: 0, end: 0, read: 0 };
new PerformanceObserver((list) => { for (const one of list.getEntries()) watched.tasks.push(Math.round(one.duration)); }).observe({ type: 'longtask', buffered: true });
window.WebSocket = class extends WebSocket {
    constructor(...args) { super(...args); this.addEventListener('message', ({ data }) => { watched.read += data.length; }); }
};
const look = () => {
    if (!watched.first && document.querySelector('.log > *')) watched.first = Math.round(performance.now());
    if (document.querySelector('.log')?.lastElementChild?.textContent.includes('the very end')) watched.end = Math.round(performance.now());
    else requestAnimationFrame(look);
};
requestAnimationFrame(look);";

/// A session whose agent has printed so many events.
#[track_caller]
fn with_events(api: &Api, count: u64) -> String {
    let session = api.new_session();
    api.say(&session, &count.to_string());
    api.wait_for(&session, "all of it", |one| one["last_seq"].as_u64() >= Some(count - 4));
    let last = |one: &serde_json::Value| one["last_seq"].clone();
    poll(|| {
        let before = last(&api.session(&session));
        std::thread::sleep(std::time::Duration::from_millis(200));
        (last(&api.session(&session)) == before).then_some(())
    });
    session
}

const PHONE: Screen = Screen { width: 390, height: 844, is_phone: true, is_dark: false };

#[test]
fn of_a_long_log_only_what_is_near_is_on_the_page_and_everything_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("agent.sh"), AGENT).expect("a file");
    let program = Program::up(&directory, &["--agent", "sh ./agent.sh"]);
    let api = program.api();
    let mut first = Page::open(program.page());
    first.see(&hook("new-session"));
    let is_measured = std::env::var_os("FIGURES").is_some();
    let session = with_events(&api, if is_measured { 50_000 } else { 5_000 });
    let address = format!("{}/#/session/{session}", program.url());
    for times in if is_measured { &[1, 4][..] } else { &[1] } {
        let mut page = first.open_beside("about:blank");
        page.set_screen(PHONE);
        page.slow_down(*times);
        page.on_load(WATCH);
        page.go(&address);
        page.wait_for("the end of the log", "window.watched?.end");
        let counted = page.evaluate(COUNTED);
        let of = |what: &str| counted[what].as_u64().expect("a number");
        assert!(of("nodes") < 4_000 && of("entries") <= 250, "{counted}");
        assert!(of("read") < 600_000 && of("requests") <= 12, "{counted}");
        if is_measured {
            println!("{times}x {counted} {}", page.evaluate("JSON.stringify({ ...watched, tasks: watched.tasks.length, longest: Math.max(0, ...watched.tasks), heap: performance.memory.usedJSHeapSize })"));
            println!("scrolling: {}", page.evaluate(SCROLLING));
        }
    }
    let mut page = first.open_beside(&address);
    page.set_screen(PHONE);
    page.see_text(".log", "the very end");
    // What is earlier comes as the reader goes there.
    let shown = page.count(".log > *");
    page.evaluate("document.querySelector('.scroller').scrollTop = 0");
    page.wait_for(
        "earlier entries",
        &format!("document.querySelectorAll('.log > *').length > {shown}"),
    );
    page.click(&hook("search"));
    page.type_text("NEEDLE");
    page.press("Enter");
    page.click(".hits button");
    page.see_text(&format!("{} .sought", hook("excerpt")), "the first needle");
    assert!(page.evaluate(COUNTED)["nodes"].as_u64() < Some(12_000));
    page.click(&format!("{} .earlier:not([hidden])", hook("excerpt")));
    page.see_text(&hook("excerpt"), "Step 70");
    page.click(&hook("to-latest"));
    page.see_text(".log", "the very end");
    assert_eq!(page.count(&hook("excerpt")), 1);
    page.assert_no_complaints();
}
