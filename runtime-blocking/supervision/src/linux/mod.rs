//! Linux: everything.

mod cgroup;
mod end;
mod guard;
mod launch;
mod proc;
mod strays;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use footbridge_core::base::id::OpId;
use rustix::process::{Pid, WaitId, WaitIdOptions, set_child_subreaper, waitid};

use self::cgroup::Cgroup;
use self::end::Tree;
use self::guard::Guard;
use self::proc::Entry;
use crate::{Supervision, mark};

pub(crate) use launch::give;
pub use strays::end_strays;

/// What the mark of a command ends in, where a tree's has a number.
const COMMAND: &str = "command";
/// How long to try to end a tree.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Orphans that have exited are looked for no more often than this.
const REAP_PAUSE: Duration = Duration::from_secs(1);

/// How many trees of this process have not been ended, whosever they are.
static OPEN: AtomicUsize = AtomicUsize::new(0);
/// The children of this process that somebody waits for.
static CHILDREN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

pub(crate) fn intercept() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    match args.next()?.to_str()? {
        launch::COMMAND => Some(launch::run(args)),
        guard::COMMAND => Some(guard::run(args)),
        _ => None,
    }
}

/// Everything that one supervisor has started.
#[derive(Debug)]
pub(crate) struct Trees {
    /// Begins all of its marks; ends in a full stop.
    run: String,
    /// The session that this process is in.
    session: i32,
    whole: Option<Mutex<Whole>>,
}

/// What [`Supervision::Whole`] adds.
#[derive(Debug, Default)]
struct Whole {
    guard: Option<Guard>,
    /// `None` until the first process; then `Some(None)` if it cannot be had.
    cgroup: Option<Option<Cgroup>>,
    /// Those that have not been ended.
    open: BTreeSet<OpId>,
    reaped: Option<Instant>,
}

impl Trees {
    pub(crate) fn new(supervision: Supervision) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = Entry::read(own_pid());
        let start = own.as_ref().map_or(0, |own| own.start);
        let namespace = proc::namespace().unwrap_or_default();
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            run: format!("{}.{namespace}.{}.{start}.{nth}.", mark::owner_word(), own_pid()),
            session: own.map_or(0, |own| own.session),
            whole: match supervision {
                Supervision::Marks => None,
                Supervision::Whole => Some(Mutex::default()),
            },
        }
    }

    pub(crate) const fn is_launching(&self) -> bool {
        self.whole.is_some()
    }

    pub(crate) fn command(&self, tree: OpId, program: &Path, args: &[String]) -> Command {
        let Some(whole) = &self.whole else {
            let mut command = Command::new(program);
            command.args(args);
            return command;
        };
        let mut whole = lock(whole);
        if whole.open.insert(tree) {
            OPEN.fetch_add(1, Ordering::Relaxed);
        }
        whole.prepare(&self.run, self.session);
        let group = whole.cgroup.as_ref().and_then(Option::as_ref);
        let group = group.and_then(|all| all.below(&tree.get().to_string()));
        launch::command(group.as_ref().map(Cgroup::path), program, args)
    }

    pub(crate) fn mark(&self, tree: OpId, command: &mut Command) {
        let own = format!("{}{}", self.run, tree.get());
        command.env(mark::VARIABLE, mark::value(&own));
    }

    /// Marks a command that is in no tree: it ends with this process only.
    pub(crate) fn mark_command(&self, command: &mut Command) {
        command.env(mark::VARIABLE, mark::value(&format!("{}{COMMAND}", self.run)));
    }

    pub(crate) fn spawn<C>(&self, spawn: impl FnOnce() -> io::Result<(C, u32)>) -> io::Result<C> {
        // Nobody must take the child for an orphan before it is noted.
        let mut children = lock(&CHILDREN);
        let (child, pid) = spawn()?;
        children.insert(pid);
        Ok(child)
    }

    pub(crate) fn reaped(&self, pid: u32) {
        lock(&CHILDREN).remove(&pid);
    }

    pub(crate) fn abandon(&self, tree: OpId) {
        if let Some(whole) = &self.whole
            && let Some(cgroup) = lock(whole).close(tree)
        {
            cgroup.remove();
        }
    }

    pub(crate) fn end_tree(&self, tree: OpId, root: Option<u32>) -> Vec<String> {
        let mark = format!("{}{}", self.run, tree.get());
        let root = root.and_then(|root| Entry::read(i32::try_from(root).ok()?));
        let mut cgroup = None;
        let mut is_last = false;
        if let Some(whole) = &self.whole {
            let mut whole = lock(whole);
            cgroup = whole.close(tree);
            is_last = OPEN.load(Ordering::Relaxed) == 0;
        }
        // Only while no other tree is open that it could belong to. Checked for each process, since
        // a tree may be opened meanwhile, and its root has no mark until it runs its program.
        let is_orphan = |entry: &Entry| {
            let is_ours = is_last && entry.parent == own_pid();
            is_ours && u32::try_from(entry.pid).is_ok_and(|pid| !lock(&CHILDREN).contains(&pid))
        };
        let ended = end::end(
            &Tree {
                mark: &mark,
                is_prefix: false,
                root: root.map(|root| (root.pid, root.start)),
                outer_session: self.session,
                is_orphan: &is_orphan,
                cgroup: cgroup.as_ref(),
            },
            END_LIMIT,
        );
        if let Some(cgroup) = cgroup {
            cgroup.remove();
        }
        if ended.count > 0 {
            self.reap();
        }
        ended.survivors
    }

    pub(crate) fn reap_orphans(&self) -> Option<Duration> {
        let whole = self.whole.as_ref()?;
        let now = Instant::now();
        let mut whole = lock(whole);
        let left = whole.reaped.map(|last| (last + REAP_PAUSE).saturating_duration_since(now));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Some(left);
        }
        whole.reaped = Some(now);
        drop(whole);
        // One call tells whether any child waits to be reaped; only then is it worth a look.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::All, options), Ok(Some(_))) {
            self.reap();
        }
        None
    }

    fn reap(&self) {
        if self.whole.is_none() {
            return;
        }
        let mut children = lock(&CHILDREN);
        let own = self::children();
        // Some are reaped without a word, by what waits for them in the background.
        children.retain(|pid| own.contains_key(pid));
        for (pid, entry) in own {
            if entry.is_dead
                && !children.contains(&pid)
                && let Some(pid) = Pid::from_raw(entry.pid)
            {
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
        }
    }
}

impl Whole {
    /// A tree is being ended; its cgroup.
    fn close(&mut self, tree: OpId) -> Option<Cgroup> {
        if self.open.remove(&tree) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
        let all = self.cgroup.as_ref()?.as_ref()?;
        Some(Cgroup::existing(all.path().join(tree.get().to_string())))
    }

    /// Does what has to be done before the first process, and whatever has to be done again.
    fn prepare(&mut self, run: &str, session: i32) {
        if self.cgroup.is_none() {
            // Without it, orphans go elsewhere and are found by their marks.
            let _ = set_child_subreaper(Some(rustix::process::getpid()));
            // A shell may have started some before it became this program: they are nobody's
            // orphans.
            lock(&CHILDREN).extend(children().into_keys());
            self.cgroup = Some(Cgroup::create(run.trim_end_matches('.')));
        }
        if self.guard.as_mut().is_none_or(|guard| !guard.is_running()) {
            let mut children = lock(&CHILDREN);
            if let Some(gone) = self.guard.take() {
                children.remove(&gone.id());
            }
            let cgroup = self.cgroup.as_ref().and_then(Option::as_ref);
            // Without it, a sudden end of this process is seen to by its next run.
            self.guard = Guard::start(run, session, cgroup).ok();
            children.extend(self.guard.as_ref().map(Guard::id));
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        OPEN.fetch_sub(self.open.len(), Ordering::Relaxed);
        self.guard = None;
        if let Some(Some(cgroup)) = &self.cgroup {
            cgroup.remove();
        }
    }
}

/// All children of this process.
fn children() -> BTreeMap<u32, Entry> {
    let own = proc::all().filter(|entry| entry.parent == own_pid());
    own.filter_map(|entry| Some((u32::try_from(entry.pid).ok()?, entry))).collect()
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
