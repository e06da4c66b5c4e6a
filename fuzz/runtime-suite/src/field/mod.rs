//! What people have met in the field: networks, proxies and machines that are not like ours.
//!
//! One file for each thing that was met, and in it what it stands for too. To add a case: a file
//! here, its name below and in `cases.rs`. What it needs of relays, workers and proxies is in
//! `scenarios/stage`.
//!
//! What concerns one connection only is among the actions: hosts with dead addresses in
//! `addresses`, proxies on the way out in `proxy`, certificates in `tls`.

pub mod half_a_proxy;
pub mod long_pauses;
pub mod pages_of_others;
pub mod short_limits;
pub mod stopped_relays;
