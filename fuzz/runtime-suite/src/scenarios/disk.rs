//! A full disk, and the death of the worker itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::stage::process::until_gone;
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

/// A small disk of its own, where the system lets a test have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).expect("made");
        let mount = ["-t", "tmpfs", "-o", "size=256k,mode=700", "none"];
        let mounted = Command::new("mount").args(mount).arg(path).output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            println!("skipped: this user cannot mount a disk");
            return None;
        }
        Some(Self(path.into()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).expect("made");
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// The worker's own part of its state directory.
fn own_state(home: &Path) -> PathBuf {
    let workers = home.join(".local/state/footbridge/workers");
    let mut own = fs::read_dir(workers).expect("there").filter_map(Result::ok);
    own.next().expect("one").path()
}

pub fn what_a_full_disk_did_not_take_is_written_once_there_is_room<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let Some(disk) = SmallDisk::at(&home.path().join(".local/state")) else { return };
    let start = || Program::start::<R>(&relay.address, home.path(), "", &[]);
    let worker = start();
    let first = relay.session();
    first.running();
    disk.fill();
    let second = relay.session();
    let agent = second.running();
    second.say("echo d''one");
    second.answer(serde_json::json!({"behavior": "allow"}));
    second.turn(1);
    let is_said = |words: &str| worker.printed().contains(words);
    until("what that means", || is_said("would not survive a restart").then_some(()));
    assert!(is_said("worker.json") && is_said("No space left"), "{}", worker.printed());
    first.stop();
    assert_eq!(first.result()["status"], "interrupted", "it is reported all the same");
    disk.make_room();
    until("that it is over", || is_said("survive a restart of this worker again").then_some(()));
    worker.kill();
    until_gone(agent);
    let mut worker = start();
    second.event("it goes on", |message| message["subtype"] == "agent_restarted");
    assert_eq!(worker.end(), Some(0));
    drop(disk);
}

pub fn a_state_file_that_cannot_be_read_is_waited_for_and_kept<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let start = || Program::start::<R>(&relay.address, home.path(), "", &[]);
    let worker = start();
    let session = relay.session();
    let agent = session.running();
    let (file, aside) = (own_state(home.path()).join("worker.json"), home.path().join("aside"));
    // It may be written a little later than its agent starts.
    let is_kept = || fs::read_to_string(&file).is_ok_and(|kept| kept.contains(&session.id));
    until("its session is kept", || is_kept().then_some(()));
    worker.kill();
    until_gone(agent);
    // Permissions would not keep every user away.
    fs::rename(&file, &aside).expect("moved");
    fs::create_dir(&file).expect("made");
    let mut worker = start();
    until("what it waits for", || {
        let printed = worker.printed();
        (printed.contains("waiting for the file") && printed.contains("worker.json")).then_some(())
    });
    // At once: a worker that met no file in between would rightly begin anew.
    renameat_with(CWD, &aside, CWD, &file, RenameFlags::EXCHANGE).expect("moved back");
    fs::remove_dir(&aside).expect("it is left as it was");
    session.event("it goes on", |message| message["subtype"] == "agent_restarted");
    assert_eq!(relay.api.environments().len(), 1);
    assert_eq!(worker.end(), Some(0));
}
