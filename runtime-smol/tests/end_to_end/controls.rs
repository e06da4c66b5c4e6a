//! What a person does besides answering: choosing how the agent works, commands, pictures, searching;
//! without a connection, and on screens of every kind.

use serde_json::{Value, json};

use crate::field::Case;
use crate::page::send;
use crate::support::page::{Page, Screen, hook};
use crate::support::program::Program;

/// An agent that introduces itself, and agrees to whatever it is asked for.
const AGREEABLE: &str = r#"
printf '%s\n' '{"type":"system","subtype":"init","model":"model-a","permissionMode":"default","cwd":"/w","slash_commands":["review","compact"]}'
while true; do
  hear
  id=$(printf '%s' "$heard" | sed -n 's/.*"request_id":"\([^"]*\)".*/\1/p')
  case $heard in
    *'"initialize"'*) answer='{"commands":[{"name":"review","description":"Look at a change"}],"models":[{"value":"model-b","displayName":"Model B"}]}' ;;
    *) answer='{}' ;;
  esac
  [ -n "$id" ] && printf '{"type":"control_response","response":{"subtype":"success","request_id":"%s","response":%s}}\n' "$id" "$answer"
done"#;

/// Chooses in a list, as a person would with its own menu.
fn choose(page: &mut Page, name: &str, value: &str) {
    page.see(&hook(name));
    page.evaluate(&format!(
        "(() => {{ const e = document.querySelector('{}'); e.focus(); e.value = '{value}'; e.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()",
        hook(name)
    ));
}

fn value(name: &str) -> String {
    format!("document.querySelector('{}').value", hook(name))
}

#[test]
fn mode_and_model_are_asked_of_the_agent_and_shown_once_it_has_agreed() {
    let mut case = Case::of(AGREEABLE);
    case.page.wait_for("the model", &format!("{} === 'model-a'", value("model-select")));
    choose(&mut case.page, "mode-select", "plan");
    assert_eq!(
        case.heard(1)[0]["request"],
        json!({"subtype": "set_permission_mode", "mode": "plan"})
    );
    case.page.wait_for("the mode", &format!("{} === 'plan'", value("mode-select")));
    // The models that the agent knows are asked for once somebody wants another.
    case.page.evaluate(&format!(
        "document.querySelector('{}').dispatchEvent(new Event('focus'))",
        hook("model-select")
    ));
    let knows = format!(
        "[...document.querySelector('{}').options].some((one) => one.value === 'model-b')",
        hook("model-select")
    );
    case.page.wait_for("the models", &knows);
    choose(&mut case.page, "model-select", "model-b");
    case.page.wait_for("the model", &format!("{} === 'model-b'", value("model-select")));
    case.page.reload();
    case.page.wait_for("the mode", &format!("{} === 'plan'", value("mode-select")));
    case.page.wait_for("the model", &format!("{} === 'model-b'", value("model-select")));
    case.page.assert_no_complaints();
}

#[test]
fn commands_are_completed_with_the_keyboard() {
    let mut case = Case::of(AGREEABLE);
    case.page.wait_for("the model", &format!("{} === 'model-a'", value("model-select")));
    case.page.click(&hook("composer"));
    case.page.type_text("/re");
    case.page.see_text(&hook("offers"), "/review");
    case.page.see_text(&hook("offers"), "Look at a change");
    case.page.press("Enter");
    assert_eq!(case.page.evaluate(&value("composer")), json!("/review "));
    case.page.fill(&hook("composer"), "/co");
    case.page.see(&hook("offers"));
    case.page.press("Escape");
    case.page
        .wait_for("no offers", &format!("document.querySelector('{}').hidden", hook("offers")));
    case.page.assert_no_complaints();
}

#[test]
fn a_picture_is_scaled_down_and_goes_with_the_message() {
    let mut case = Case::of("hear\nexec sleep 600");
    case.page.see(&hook("composer"));
    case.page.evaluate(
        "(async () => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 3000, height: 1500 });
            canvas.getContext('2d').fillRect(0, 0, 900, 900);
            const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
            const transfer = new DataTransfer();
            transfer.items.add(new File([blob], 'photo.png', { type: 'image/png' }));
            const input = document.querySelector('[data-testid=picture-input]');
            input.files = transfer.files;
            input.dispatchEvent(new Event('change'));
        })()",
    );
    case.page.see(".pictures .thumbnail");
    send(&mut case.page, "what is this?");
    let heard = case.heard(1)[0]["message"]["content"].clone();
    assert_eq!(heard[1], json!({"type": "text", "text": "what is this?"}));
    assert_eq!(heard[0]["source"]["media_type"], "image/jpeg");
    case.page.see("[data-kind=user] img");
    let width = "document.querySelector('[data-kind=user] img').naturalWidth";
    case.page.wait_for("the picture", &format!("{width} === 1568"));
    case.page.assert_no_complaints();
}

#[test]
fn what_is_written_and_answered_without_a_connection_is_sent_once_when_it_is_back() {
    let mut case = Case::of("ask '\"q\"' ls\nhear\nhear\nhear\nexec sleep 600");
    let page = &mut case.page;
    page.see(&hook("permission-card"));
    page.set_offline(true);
    page.click(&hook("allow"));
    page.see_text(&hook("permission-card"), "waits for the connection");
    send(page, "one");
    send(page, "two");
    let queued = "[data-testid=outgoing][data-state=queued]";
    page.wait_for(
        "both in the queue",
        &format!("document.querySelectorAll('{queued}').length === 2"),
    );
    page.see_text(queued, "sent when the connection is back");
    // A phone drops a page that nobody looks at.
    page.reload();
    page.wait_for(
        "both in the queue again",
        &format!("document.querySelectorAll('{queued}').length === 2"),
    );
    page.set_offline(false);
    page.evaluate("window.dispatchEvent(new Event('online'))");
    page.see("[data-testid=permission-resolved]");
    page.wait_for("an empty queue", "!document.querySelector('[data-testid=outgoing]')");
    let heard = case.heard(3);
    let texts: Vec<&Value> = heard
        .iter()
        .map(|line| &line["message"]["content"])
        .filter(|text| text.is_string())
        .collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(heard.iter().filter(|line| line["type"] == "control_response").count(), 1);
}

#[test]
fn words_are_found_in_the_whole_log_and_an_entry_has_an_address() {
    let said = |text: &str| {
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}})
            .to_string()
    };
    let flood =
        format!("i=0; while [ $i -lt 2300 ]; do echo '{}'; i=$((i + 1)); done\n", said("hay"));
    let mut case = Case::of(&format!(
        "echo '{}'\n{flood}echo '{}'\nexec sleep 600",
        said("a needle in it"),
        said("the end")
    ));
    let page = &mut case.page;
    page.wait_for("the end", "document.querySelector('.log')?.innerText.includes('the end')");
    page.reload();
    page.wait_for("the end", "document.querySelector('.log')?.innerText.includes('the end')");
    assert_eq!(
        page.evaluate("document.querySelector('.log').innerText.includes('needle')"),
        json!(false)
    );
    page.click(&hook("search"));
    page.type_text("NEEDLE");
    page.press("Enter");
    page.see_text(".hits", "a needle in it");
    page.see_text(".search", "1 place");
    page.click(".hits button");
    page.see_text(".sought", "a needle in it");
    let seq = page.evaluate("document.querySelector('.sought').dataset.seq");
    let there = page.evaluate("location.href");
    let address = format!("{}/{}", there.as_str().expect("text"), seq.as_str().expect("text"));
    let mut other = page.open_beside(&address);
    other.see_text(".sought", "a needle in it");
    page.assert_no_complaints();
}

#[test]
fn what_can_be_stopped_is_said_before_it_is() {
    let started = json!({"type": "system", "subtype": "task_started", "task_id": "t1", "description": "build it", "is_backgrounded": true});
    let mut case = Case::of(&format!("echo '{started}'\nhear\nhear\nexec sleep 600"));
    let page = &mut case.page;
    page.see("[data-testid=session-state][data-state=running]");
    page.wait_for("the task", "document.querySelector('[data-quiet], .entry')");
    page.click(&hook("stop"));
    page.see_text("dialog[open]", "The conversation continues");
    page.see_text("dialog[open]", "in a new session");
    page.click("dialog[open] li:nth-child(2) button");
    assert_eq!(case.heard(1)[0]["request"], json!({"subtype": "stop_task", "task_id": "t1"}));
    case.page.click(&hook("stop"));
    case.page.click(&hook("stop-confirm"));
    case.page.see_text(".ending", "Stopped by you");
    case.page.click(&hook("another-session"));
    case.page.see("[data-testid=session-state][data-state=running]");
    case.page.assert_no_complaints();
}

#[test]
fn it_installs_as_an_app_and_opens_without_its_relay() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let mut page = Page::open(program.page());
    page.see(&hook("new-session"));
    let icons = page.evaluate(
        "(async () => {
            const manifest = await (await fetch(document.querySelector('link[rel=manifest]').href)).json();
            const sizes = [];
            for (const { src, sizes: said, type } of manifest.icons.filter(({ type }) => type === 'image/png')) {
                const bitmap = await createImageBitmap(await (await fetch(src)).blob());
                sizes.push(`${bitmap.width}x${bitmap.height}` === said && type);
            }
            return sizes;
        })()",
    );
    assert_eq!(icons, json!(["image/png", "image/png", "image/png"]));
    let kept = "fetch(document.querySelector('script[type=module]').src).then((r) => r.headers.get('cache-control'))";
    assert_eq!(page.evaluate(kept), json!("public, max-age=31536000, immutable"));
    page.wait_for(
        "the worker",
        "navigator.serviceWorker.ready.then(() => Boolean(navigator.serviceWorker.controller))",
    );
    page.reload();
    page.see(&hook("new-session"));
    let cached = "caches.keys().then((names) => Promise.all(names.map((name) => caches.open(name).then((cache) => cache.keys())))).then((all) => all.flat().map(({ url }) => new URL(url).pathname))";
    page.wait_for("the shell in the browser", &format!("{cached}.then((all) => all.length > 40)"));
    let data = page
        .evaluate(&format!("{cached}.then((all) => all.filter((path) => path.startsWith('/v1')))"));
    assert_eq!(data, json!([]), "data is kept");
    program.stop(rustix::process::Signal::TERM);
    page.reload();
    page.see_text(&hook("connection"), "Reconnecting");
}

#[test]
fn it_can_be_used_on_every_screen_and_in_every_direction() {
    let words = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "مرحبا **بك** في `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |"}]}});
    let mut case = Case::of(&format!("printf '%s\\n' '{words}'\n{AGREEABLE}"));
    let page = &mut case.page;
    page.wait_for("the model", &format!("{} === 'model-a'", value("model-select")));
    // 640 pixels at 200 % are 320.
    for (width, height, is_phone) in
        [(320, 480, true), (320, 640, false), (390, 844, true), (1280, 800, false)]
    {
        page.set_screen(Screen { width, height, is_phone, is_dark: false });
        for name in ["composer", "send", "mode-select", "search", "stop"] {
            page.see(&hook(name));
        }
        let outside = page.evaluate(
            "[...document.querySelectorAll('button, select, textarea, input, a, .prose')]
                .filter((e) => e.checkVisibility() && !e.closest('.skip') && !e.classList.contains('skip'))
                .filter((e) => { const r = e.getBoundingClientRect(); return r.width && (r.right > innerWidth + 1 || r.left < -1); })
                .map((e) => e.outerHTML.slice(0, 200))",
        );
        assert_eq!(outside, json!([]), "{width}");
        let beyond = "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth";
        page.wait_for("no page longer than its screen", beyond);
        if is_phone && height > 600 {
            let around = "(innerHeight - document.querySelector('.scroller').getBoundingClientRect().height) / innerHeight";
            let around = page.evaluate(around).as_f64().expect("a number");
            assert!(around < 0.25, "bars and box take {around} of the screen");
        }
    }
    let is_rtl = "getComputedStyle(document.querySelector('.entry-assistant .prose p')).direction === 'rtl' || getComputedStyle(document.querySelector('.entry-assistant .prose')).direction === 'rtl'";
    page.wait_for("text from right to left", is_rtl);
    page.assert_no_complaints();
}
