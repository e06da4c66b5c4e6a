//! The real program from end to end: with a browser on its page, and by its command line.

mod accessible;
mod answer_links;
mod cards;
mod continuing;
mod controls;
mod faults;
mod field;
mod hostile;
mod imposter;
mod long_logs;
mod notifications;
mod one_card;
mod page;
mod programs;
mod proxies;
mod real_agent;
mod real_chat;
mod real_day;
mod real_hooks;
mod real_sdk;
mod restarts;
mod support;
mod tidying;
mod trusted;
mod worktree;
