//! Several relays on one store: each learns what the others have changed.

use super::*;

#[test]
fn a_viewer_of_one_relay_sees_what_a_worker_of_another_one_sends() {
    let mut one = World::new();
    let (_, taken, link) = one.running();
    let mut other = one.beside();
    let viewer = other.subscribe(&taken.session, 0);
    let before = seqs(&other.received(viewer));
    other.hear(&mut one);
    assert!(
        other.received(viewer).iter().all(|came| came["seq"].is_null()),
        "nothing arrives twice"
    );

    one.lines(link, &question("q1"));
    other.hear(&mut one);
    let came = other.received(viewer);
    assert_eq!(seqs(&came), [before.len() as u64 + 1]);
    let told = came.iter().find(|came| came["type"] == "session").expect("the session");
    assert_eq!(told["session"]["pending_permissions"][0]["request_id"], "q1", "{told}");
}

#[test]
fn a_worker_of_one_relay_gets_the_messages_of_another_ones_viewer() {
    let mut one = World::new();
    let (worker, taken, link) = one.running();
    let mut other = one.beside();
    assert_eq!(other.say(&taken.session, "mend the bridge").0, 200);
    assert!(one.received(link).is_empty());
    one.hear(&mut other);
    assert_eq!(one.received(link)[0]["message"]["content"], "mend the bridge");

    let held = one.poll_waiting(&worker, "wait=50", "key");
    other.create(&worker);
    one.hear(&mut other);
    assert_eq!(one.answer(held).0, 200, "the held poll has work");
}

#[test]
fn changes_learned_of_out_of_order_are_shown_in_order_and_complete() {
    let mut one = World::new();
    let (_, taken, link) = one.running();
    let mut other = one.beside();
    let viewer = other.subscribe(&taken.session, 0);
    let seen = seqs(&other.received(viewer)).len() as u64;
    one.lines(link, "{\"type\":\"assistant\"}");
    // Its own change is later, but known earlier.
    assert_eq!(other.say(&taken.session, "hello").0, 200);
    other.hear(&mut one);
    assert_eq!(seqs(&other.received(viewer)), [seen + 1, seen + 2]);
}
