//! A process costs no thread. Alone in its program, because drivers that end with live children
//! leave a thread to reap them.

mod runtime;

use footbridge_core::contract::action::{Action, Signal};
use footbridge_core::contract::event::Event;
use footbridge_runtime_suite::harness::Driven;
use runtime::Smol;

#[test]
fn a_process_is_waited_for_without_a_thread() {
    let mut driven = Driven::start::<Smol>();
    let op = driven.spawn("exec sleep 1000");
    assert!(matches!(driven.next(), Event::Spawned { .. }));
    // A thread names itself once it runs.
    driven.is_quiet();
    let names = std::fs::read_dir("/proc/self/task").expect("threads");
    let names =
        names.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let own: Vec<_> = names.filter(|name| name.starts_with("async-")).collect();
    assert_eq!(own, ["async-io\n"]);
    driven.act(Action::Signal { op, signal: Signal::Kill });
    driven.end();
}
