//! A person's day with the real Claude Code, from a phone, in one browser; `REAL_AGENT` says whether it is
//! here.

use serde_json::{Value, json};

use crate::page::send;
use crate::real_agent::{Disk, is_here};
use crate::support::page::{Page, Screen, hook};
use crate::support::{api::Api, poll};

const CARD: &str = "[data-testid=permission-card]";
const PHONE: Screen = Screen { width: 390, height: 844, is_phone: true, is_dark: false };

fn results(api: &Api, session: &str) -> usize {
    api.log(session).iter().filter(|event| event["message"]["type"] == "result").count()
}

/// Waits until the agent has ended one more turn.
#[track_caller]
fn turn_ends(api: &Api, session: &str, before: usize) {
    let ended = poll(|| (results(api, session) > before).then_some(()));
    assert!(ended.is_some(), "{:#?}", api.log(session).iter().rev().take(5).collect::<Vec<_>>());
}

fn choose(page: &mut Page, name: &str, value: &str) {
    page.see(&hook(name));
    page.evaluate(&format!(
        "(() => {{ const e = document.querySelector('{}'); e.value = '{value}'; e.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()",
        hook(name)
    ));
}

/// What is longer than the screen has to be read: each press goes to what has not been seen.
#[track_caller]
fn read_and_allow(page: &mut Page) {
    let press = format!("document.querySelector('{}')?.click()", hook("allow"));
    let answered = poll(|| {
        page.evaluate(&press);
        (page.count(CARD) == 0).then_some(())
    });
    assert!(answered.is_some(), "it is never read");
}

/// A picture from the camera.
const PICTURE: &str = "(async () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [640, 480];
    canvas.getContext('2d').fillRect(0, 0, 300, 300);
    const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
    const transfer = new DataTransfer();
    transfer.items.add(new File([blob], 'photo.png', { type: 'image/png' }));
    const input = document.querySelector('[data-testid=picture-input]');
    input.files = transfer.files;
    input.dispatchEvent(new Event('change'));
})()";

#[test]
fn real_day_from_a_phone() {
    if !is_here() {
        return;
    }
    let (disk, machine) = (Disk::new(20), Disk::new(21));
    let relay = disk.relay();
    let _worker = machine.work(relay.url());
    let file = machine.directory.path().join("main.py");
    std::fs::write(&file, "def greet():\n    print('hello')\n").expect("a file");
    let api = relay.api();
    let link = format!("{}/#token={}", relay.url(), api.token());
    let mut page = Page::open(&link);
    page.set_screen(PHONE);
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
    let session = page.evaluate("location.hash.split('/session/')[1]");
    let session = session.as_str().expect("an id").to_owned();

    // A question.
    let option = |label: &str| json!({"label": label, "description": "d"});
    let asked = json!({"questions": [{"question": "Which one?", "header": "One", "multiSelect": false, "options": [option("A"), option("B")]}]});
    send(&mut page, &format!("TOOL AskUserQuestion {asked}"));
    page.click(&format!("{CARD} .choice:nth-of-type(2)"));
    page.click(&hook("allow"));
    turn_ends(&api, &session, 0);
    page.see_text(&hook("permission-resolved"), "Answered");

    // A plan, in the mode for it.
    choose(&mut page, "mode-select", "plan");
    let mode = format!("document.querySelector('{}').value", hook("mode-select"));
    page.wait_for("the mode", &format!("{mode} === 'plan'"));
    send(&mut page, "SCRIPT plan2");
    page.see_text(&format!("{CARD} .prose"), "Change greet to take a name");
    read_and_allow(&mut page);
    turn_ends(&api, &session, 1);
    page.wait_for("the mode", &format!("{mode} === 'default'"));

    // An edit with its diff, from now on without a question.
    let read = json!({ "file_path": file });
    send(&mut page, &format!("TOOL Read {read}"));
    turn_ends(&api, &session, 2);
    let edit = |from: &str, to: &str| json!({"file_path": file, "old_string": from, "new_string": to, "replace_all": false});
    send(&mut page, &format!("TOOL Edit {}", edit("'hello'", "'hello, you'")));
    page.see_text(&format!("{CARD} .diff"), "hello, you");
    page.click(&hook("allow-always"));
    turn_ends(&api, &session, 3);
    send(&mut page, &format!("TOOL Edit {}", edit("'hello, you'", "'hello, all'")));
    turn_ends(&api, &session, 4);
    assert_eq!(page.count(CARD), 0, "it asks again");
    let text = std::fs::read_to_string(&file).expect("text");
    assert!(text.contains("hello, all"), "{text}");

    // A picture.
    page.evaluate(PICTURE);
    page.see(".pictures .thumbnail");
    send(&mut page, "what is this?");
    turn_ends(&api, &session, 5);
    page.see("[data-kind=user] img");

    // An interrupt.
    send(&mut page, "SLOW");
    page.see("[data-testid=session-state][data-detail=working]");
    page.see("[data-streaming]");
    page.click(&hook("interrupt"));
    turn_ends(&api, &session, 6);
    page.see_text("[data-testid=message][data-kind=result][data-stopped]", "Interrupted by you");

    // Something that runs in the background.
    let beside = json!({"command": "sleep 600", "description": "Watch", "run_in_background": true});
    send(&mut page, &format!("TOOL Bash {beside}"));
    turn_ends(&api, &session, 7);
    page.click(&hook("stop"));
    page.see_text("dialog[open]", "Ends only this");
    page.press("Escape");

    // The phone has no network for a while, and meanwhile its relay restarts.
    page.set_offline(true);
    page.see("[data-testid=connection][data-state=offline]");
    let write = json!({"command": "python3 -c \"open('written', 'w')\"", "description": "a file"});
    send(&mut page, &format!("TOOL Bash {write}"));
    page.see_text(&hook("outgoing"), "sent when the connection is back");
    relay.kill();
    let relay = disk.relay();
    page.set_offline(false);
    page.see("[data-testid=connection][data-state=connected]");
    page.see(CARD);
    page.wait_for("an empty queue", "!document.querySelector('[data-testid=outgoing]')");

    // Another device answers.
    let api = relay.api();
    let mut other = Page::open(&format!("{}/#token={}", relay.url(), api.token()));
    other.see_text(&hook("needs-you"), "Bash");
    other.click("[data-testid=needs-you] a");
    other.click(&hook("allow"));
    page.wait_for("the answer", &format!("!document.querySelector('{CARD}')"));
    turn_ends(&api, &session, 8);
    assert!(machine.directory.path().join("written").exists());
    let is_sent = |event: &&Value| {
        event["from"] == "viewer"
            && event["message"]["type"] == "user"
            && event["message"].to_string().contains("written")
    };
    assert_eq!(api.log(&session).iter().filter(is_sent).count(), 1);
}
