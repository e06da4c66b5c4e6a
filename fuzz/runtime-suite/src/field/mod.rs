//! What people have met in the field: networks, proxies, gits, agents and machines that are not like
//! ours.
//!
//! One file for each thing that was met, and in it what it stands for too. To add a case: a file
//! here, its name below and in `cases.rs`. What it needs of relays, workers and proxies is in
//! `scenarios/stage`.
//!
//! What concerns one connection only is among the actions: hosts with dead addresses in
//! `addresses`, proxies on the way out in `proxy`, certificates in `tls`.

pub mod a_clean_submodule_keeps_its_worktree_for_ever;
pub mod a_worktree_that_could_not_be_made_leaves_its_branch;
pub mod a_worktree_that_its_agent_removed_stays_locked;
pub mod an_agent_is_not_found_although_it_is_there;
pub mod commits_that_only_a_reflog_has_are_deleted;
pub mod half_a_proxy;
pub mod ignored_work_is_deleted_with_its_worktree;
pub mod long_pauses;
pub mod pages_of_others;
pub mod short_limits;
pub mod stopped_relays;
pub mod streams_do_not_get_through;
pub mod the_pointer_shows_in_git_status;
pub mod two_workers_serve_one_directory_without_a_word;
pub mod work_streams;
pub mod work_that_git_status_does_not_show_is_deleted;
