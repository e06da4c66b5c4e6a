//! A full disk, and the death of the worker itself.

use super::stage::program::Program;
use super::stage::proxy::{Fate, Request};
use super::stage::{Proxy, Relay, until};
use crate::Runtime;

/// Uses the limit on how much a process may write to a file.
pub fn a_result_that_cannot_be_saved_is_still_reported<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    // The outputs are files too: they are written by a `cat` that began before the limit.
    let full = "mkfifo out; cat out & exec > out 2>&1; trap '' XFSZ; ulimit -f 0";
    let options = ["--agent", "sh -c 'exit 3'"];
    let mut program = Program::start::<R>(&relay.address, home.path(), full, &options);
    let session = relay.session();
    let result = session.result();
    assert_eq!(result["exit_code"], 3, "{result}");
    until("the warning", || program.printed().contains("would not survive a crash").then_some(()));
    assert_eq!(program.end(), Some(0), "{}", program.printed());
}

/// It is killed when its session has ended and the report of that is in flight.
pub fn a_result_survives_its_workers_death_and_is_reported_by_the_next_run<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    proxy.plan(Request::Report, Fate::Held);
    let options = ["--agent", "sh -c 'exit 3'"];
    let first = Program::start::<R>(&proxy.address, home.path(), "", &options);
    let session = relay.session();
    proxy.holds();
    drop(first);
    proxy.release();
    assert_ne!(session.now()["state"], "ended", "nobody has notified the relay");
    let mut second = Program::start::<R>(&proxy.address, home.path(), "", &options);
    let result = session.result();
    assert_eq!(
        (&result["status"], &result["exit_code"]),
        (&"failed".into(), &3.into()),
        "{result}"
    );
    assert_eq!(second.end(), Some(0), "{}", second.printed());
}
