//! What a run left behind that has ended, and whose guard has too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::cgroup::{self, Cgroup};
use super::end::{Tree, end};
use super::own_pid;
use super::proc::{self, Entry};
use crate::{Strays, mark};

/// How long to try to end what is left of one run.
const LIMIT: Duration = Duration::from_secs(2);
/// How long to try to end what is left of all of them.
const LIMIT_OF_ALL: Duration = Duration::from_secs(6);

/// Ends everything with the mark of a dead run of this process's own worker, and returns once it is
/// over. What other workers have left is theirs. Those of other process namespaces are left alone,
/// too: nobody here can know who lives there.
pub fn end_strays() -> Strays {
    let (Some(owner), Some(namespace)) = (mark::owner(), proc::namespace()) else {
        return Strays::default();
    };
    let until = Instant::now() + LIMIT_OF_ALL;
    let groups = cgroup::siblings();
    let marks = proc::all().flat_map(|entry| proc::marks(entry.pid));
    let runs = marks.chain(groups.iter().map(|(name, _)| format!("{name}.")));
    let dead: BTreeSet<_> = runs.filter_map(|mark| dead_run(&mark, owner, &namespace)).collect();
    let outer_session = Entry::read(own_pid()).map_or(0, |own| own.session);
    let mut strays = Strays::default();
    for run in dead {
        let group = groups.iter().find(|(name, _)| *name == run.trim_end_matches('.'));
        let group = group.map(|(_, path)| Cgroup::existing(path.clone()));
        let tree = Tree {
            mark: &run,
            is_prefix: true,
            root: None,
            outer_session,
            is_orphan: &|_| false,
            cgroup: group.as_ref(),
        };
        let ended = end(&tree, LIMIT.min(until.saturating_duration_since(Instant::now())));
        if let Some(group) = &group {
            group.remove();
        }
        strays.ended += ended.count.saturating_sub(ended.survivors.len());
        strays.survivors.extend(ended.survivors);
    }
    strays
}

/// The run of a mark, if it is one of this owner that has ended: `owner.namespace.pid.start.nth.`
fn dead_run(mark: &str, owner: &str, namespace: &str) -> Option<String> {
    let mut parts = mark.splitn(6, '.');
    if parts.next()? != owner {
        return None;
    }
    let (space, pid, start) = (parts.next()?, parts.next()?, parts.next()?);
    let nth: u32 = parts.next()?.parse().ok()?;
    let id: i32 = pid.parse().ok()?;
    let began: u64 = start.parse().ok()?;
    let lives = Entry::read(id).is_some_and(|now| now.start == began && !now.is_dead);
    let is_dead = space == namespace && began > 0 && !lives;
    is_dead.then(|| format!("{owner}.{space}.{pid}.{start}.{nth}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_of_this_owner_and_namespace_whose_worker_is_gone_is_dead() {
        let own = Entry::read(own_pid()).expect("this process");
        let (pid, start) = (own.pid, own.start);
        assert_eq!(dead_run(&format!("o.1.{pid}.{start}.0.7"), "o", "1"), None, "it lives");
        let other = format!("o.1.{pid}.{}.0.7", start + 1);
        assert_eq!(dead_run(&other, "o", "2"), None, "nobody knows");
        assert_eq!(dead_run(&other, "p", "1"), None, "it is somebody else's");
        assert_eq!(dead_run(&other, "o", "1"), Some(format!("o.1.{pid}.{}.0.", start + 1)));
        for wrong in ["", "o", "o.1.2", "o.1.2.3", "o.1.x.3.0.7", "o.1.2.0.0.7", "a b"] {
            assert_eq!(dead_run(wrong, "o", "1"), None, "{wrong}");
        }
    }
}
