//! Every bound of the protocol by name. At a bound a machine refuses or pauses; it never exceeds
//! it.

use core::time::Duration;

/// Longest identifier that a peer may give, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Longest NDJSON line that is carried, in bytes without its newline (M-1). Agents print images on
/// one line; the largest line seen in ordinary work is 26 kB.
pub const MAX_LINE_BYTES: usize = 8 << 20;

/// Lines that one side of a link may have sent and not had acknowledged.
pub const LINK_WINDOW_LINES: usize = 256;
/// The same for the lines of an agent, where the relay says that it takes so many: with fewer, a
/// worker waits for the disk of its relay more than it sends.
pub const LINK_WINDOW_LINES_TO_RELAY: u64 = 1024;
/// Bytes that one side of a link may have sent and not had acknowledged; one line always fits.
pub const LINK_WINDOW_BYTES: usize = 1 << 20;

/// Bytes of an agent's output waiting for the relay at which the agent is paused.
pub const OUTBOX_HIGH_WATER_BYTES: usize = 1 << 20;
/// Bytes of waiting output below which a paused agent resumes.
pub const OUTBOX_LOW_WATER_BYTES: usize = 256 << 10;

/// Largest HTTP answer that a client reads, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// Largest HTTP request body that the relay reads, in bytes: one line of full length, wrapped.
pub const MAX_REQUEST_BYTES: usize = MAX_LINE_BYTES + (64 << 10);
/// Largest request line and headers that the relay accepts, in bytes.
pub const MAX_REQUEST_HEAD_BYTES: usize = 32 << 10;
/// Store operations in progress beyond which a relay accepts no new request. This is the only limit
/// on operations whose clients do not wait for the answer.
pub const MAX_STORE_OPERATIONS: usize = 4096;
/// How long a relay that ends waits for a disk that hangs.
pub const STORE_SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
/// HTTP exchanges and streams that a relay serves at once.
pub const MAX_EXCHANGES: usize = 4096;

/// Bytes that viewers see of a line of an agent that is no message.
pub const STRAY_LINE_BYTES: usize = 200;
/// The first pause between two reports of such lines; doubled as long as there are more.
pub const STRAY_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two of them.
pub const STRAY_LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Bytes kept of the end of an agent's stderr, for the session's result (W-10).
pub const STDERR_TAIL_BYTES: usize = 4 << 10;
/// Bytes kept of one line of an agent's stderr for viewers.
pub const STDERR_LINE_BYTES: usize = 1 << 10;
/// About how many bytes of an agent's stderr go to viewers at once.
pub const STDERR_REPORT_BYTES: usize = 4 << 10;
/// The first pause between two of them; doubled as long as there is more.
pub const STDERR_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two of them: 4 KiB a minute, 6 MB a day.
pub const STDERR_LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Finished work ids that a worker remembers, so that it does not run an item twice (W-4).
pub const MAX_COMPLETED_WORK: usize = 1024;
/// Results that a worker remembers although the relay rejected them or could not be reached: it may
/// hand the item out again.
pub const MAX_STALE_RESULTS: usize = 64;
/// Viewers' control requests that one session's agent may leave unanswered at once; beyond that
/// the oldest is given up (M-3).
pub const MAX_OPEN_REQUESTS: usize = 256;
/// Runs of lines that did not end well and whose receipts one session keeps; the log names them all
/// (M-7).
pub const MAX_FAILED_RECEIPTS: usize = 256;
/// Longest reason in such a receipt, in bytes.
pub const MAX_REASON_BYTES: usize = 200;
/// How long a worker may hold a line for its agent before it says so (M-7).
pub const HELD_LINE_AFTER: Duration = Duration::from_millis(250);
/// What an agent has done last that a session shows (W-10).
pub const MAX_ACTIVITIES: usize = 5;
/// How long an agent may leave its full stdin unread before viewers are told.
pub const AGENT_NOT_READING_AFTER: Duration = Duration::from_secs(10);
/// Permission questions that one session may have open at once.
pub const MAX_OPEN_PERMISSIONS: usize = 256;

/// How long the client that declared a hook may take to answer the agent, unless the hook states its own
/// time (M-6). Agents wait longer by default.
pub const CALLBACK_TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long at most, whatever the hook states; and how long a client's MCP server may take, whose tools
/// may work for long: the agent has a limit of its own for them, and says when it is over.
pub const MAX_CALLBACK_TIME_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Questions to such a client that one session may have open at once.
pub const MAX_OPEN_CALLBACKS: usize = 256;
/// Hooks of one session whose own time limits are known.
pub const MAX_TIMED_HOOKS: usize = 1024;
/// Largest declaration of hooks and MCP servers, in bytes: the relay keeps it for later runs of the
/// agent.
pub const MAX_DECLARATION_BYTES: usize = 32 << 10;
/// Shortest id of a client, in bytes: no other client should guess it.
pub const MIN_CLIENT_ID_BYTES: usize = 16;
/// Longest id of a client, in bytes.
pub const MAX_CLIENT_ID_BYTES: usize = 128;
/// Longest response of a client to what an agent asks it, in bytes: the line for the agent has more
/// around it.
pub const MAX_CALLBACK_RESPONSE_BYTES: usize = MAX_LINE_BYTES / 2;
/// Longest reason why a client has no response, in bytes.
pub const MAX_CALLBACK_ERROR_BYTES: usize = MAX_REASON_BYTES * 16;

/// Longest command line the shell agent accepts, in bytes. Linux allows 128 KiB in one argument.
pub const MAX_SHELL_COMMAND_BYTES: usize = 100 << 10;
/// Messages that wait while the shell agent is busy.
pub const MAX_QUEUED_PROMPTS: usize = 64;
/// Message uuids that the shell agent remembers, so that it does not run a message twice.
pub const MAX_SEEN_PROMPTS: usize = 1024;
/// Bytes from the beginning of a command's output that its tool result keeps.
pub const TOOL_RESULT_HEAD_BYTES: usize = 100_000;
/// Bytes from the end of a command's output that its tool result keeps.
pub const TOOL_RESULT_TAIL_BYTES: usize = 20_000;
/// Bytes waiting for the shell agent's reader at which the running command is paused.
pub const AGENT_COMMAND_HIGH_WATER_BYTES: usize = 256 << 10;
/// Bytes waiting for the shell agent's reader at which its own input is paused too. Higher, so that
/// an interrupt gets through while a command floods its output.
pub const AGENT_INPUT_HIGH_WATER_BYTES: usize = 1 << 20;
/// Waiting bytes below which both resume.
pub const AGENT_LOW_WATER_BYTES: usize = 64 << 10;
/// From SIGTERM to SIGKILL for a command of the shell agent.
pub const COMMAND_GRACE: Duration = Duration::from_secs(2);
/// From SIGKILL until a command that will not end is given up on.
pub const COMMAND_ABANDON_AFTER: Duration = Duration::from_secs(5);
/// How long processes that a command left behind may hold its output open after it has ended.
pub const COMMAND_LINGER: Duration = Duration::from_millis(500);
/// How long the shell agent waits at its end for its last messages to be read.
pub const AGENT_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How many sessions a worker runs at once by default (W-3).
pub const DEFAULT_MAX_SESSIONS: u32 = 32;
/// How long a session may last by default (W-6).
pub const DEFAULT_SESSION_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
/// From SIGTERM to SIGKILL (W-6).
pub const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// The first pause before a stop-work report is retried; it doubles (W-7).
pub const DEFAULT_STOP_WORK_BASE_DELAY: Duration = Duration::from_secs(1);

/// Timeout of a request that is answered immediately (E-1).
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest `Retry-After` that is believed: as long as the longest pause after failures. Whoever asks
/// for more, such as a page about maintenance, is often well again sooner.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(2 * 60);
/// Longest `error.type` or `error.message` kept from a peer's answer, in characters.
pub const MAX_ERROR_CHARS: usize = 400;
/// Longest part kept of what another server than the relay says about itself, in characters.
pub const MAX_FOREIGN_CHARS: usize = 100;
/// How long a worker asks the relay to hold a poll (E-2). Below the idle limit of common proxies.
pub const POLL_WAIT: Duration = Duration::from_secs(50);
/// What a held poll may take beyond [`POLL_WAIT`] before it counts as lost.
pub const POLL_SLACK: Duration = Duration::from_secs(10);
/// The shortest time that a worker asks the relay to hold a poll, where longer ones are cut.
pub const MIN_POLL_WAIT: Duration = Duration::from_secs(1);
/// How long a worker asks for shorter polls before it tries a long one again.
pub const POLL_SHORT_FOR: Duration = Duration::from_secs(10 * 60);
/// A request that a reused connection lost is sent again on another one if it waited no longer than
/// this. What waited longer was not lost to a connection that was closing anyway: something ended it,
/// and the machine has to know.
pub const MAX_RESEND_AGE: Duration = Duration::from_secs(1);
/// How long a worker polls, where a stream of work has come to nothing, before it tries one again. Each
/// further time doubles it.
pub const WORK_POLLED_FOR: Duration = Duration::from_secs(60);
/// The longest time that it polls before it tries again.
pub const MAX_WORK_POLLED_FOR: Duration = Duration::from_secs(60 * 60);
/// How often a relay sends something on a stream of version 2, or of work.
pub const STREAM_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// A stream of version 2, or of work, on which nothing has come for this long is dead.
pub const STREAM_DEAD_AFTER: Duration = Duration::from_secs(30);
/// A stream of version 2, or of work, that is open says where it begins within this time, or something on the way
/// holds it back.
pub const STREAM_GREETING: Duration = Duration::from_secs(10);
/// Of an answer that refuses a stream for now, so many bytes are read.
pub const MAX_REFUSAL_BYTES: usize = 16 << 10;
/// A worker of version 2 that had nothing else to say for this long says that it is there.
pub const WORKER_HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// A link that has been silent this long pings the other side.
pub const LINK_PING_AFTER: Duration = Duration::from_secs(15);
/// The same where silent links are cut sooner.
pub const MIN_LINK_PING_AFTER: Duration = Duration::from_secs(1);
/// A link that has been silent this long counts as dead.
pub const LINK_DEAD_AFTER: Duration = Duration::from_secs(45);
/// A link that was open when the computer slept counts as dead if it does not answer in this time.
pub const LINK_AWAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long one of a host's addresses is tried before the next one is tried beside it (RFC 8305).
pub const DIAL_INTERVAL: Duration = Duration::from_millis(250);
/// How many of a host's addresses are tried.
pub const MAX_DIALED_ADDRESSES: usize = 8;
/// Longest time from the start of a connection to its first frame.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a session's first link may find that no WebSocket gets through to the relay.
pub const NO_UPGRADE_GIVE_UP: Duration = Duration::from_secs(60);
/// Sessions that people want to end, and of which a relay knows while its store can keep nothing.
pub const MAX_UNSTORED_STOPS: usize = 1024;
/// Lines that the relay has acknowledged, and that a worker holds all the same: a relay that is set back
/// to an earlier state, such as a backup, gets them again.
pub const LINK_TAIL_LINES: usize = 1024;
/// How many bytes of them.
pub const LINK_TAIL_BYTES: usize = 256 << 10;
/// Lines of the relay of which a worker knows what was in them, 8 bytes for each: by that it tells those
/// that a relay gives again, after it was set back, from those that it gives their numbers to.
pub const KNOWN_LINES: usize = 1024;
/// How long a worker keeps the agent of a session of which a newer lease was handed out. If that is
/// not its own by then, another worker has it: an item must be acked within this time.
pub const SUPERSEDED_LEASE_GRACE: Duration = ACK_TIME;
/// How long a bridge that has waited in vain for its own session's work pauses before it asks the relay
/// whether that session is still there.
pub const OWN_SESSION_LOOK: Duration = Duration::from_secs(5);
/// Longest time a worker trusts a lease without a heartbeat.
pub const MAX_IDLE_LEASE: Duration = Duration::from_secs(10 * 60);

/// How long an agent's outputs are read after it has ended, if a child still holds them open.
pub const AGENT_DRAIN: Duration = Duration::from_secs(2);
/// How long an agent may keep running after it has closed its stdout.
pub const AGENT_OUTPUT_CLOSED_GRACE: Duration = Duration::from_secs(5);
/// How long a killed agent is waited for before it is given up on.
pub const AGENT_REAP_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait until everything that an agent started has been killed. A runtime gives up
/// sooner, and then says what is left.
pub const AGENT_TREE_LIMIT: Duration = Duration::from_secs(10);
/// How many processes that could not be ended are named.
pub const MAX_NAMED_SURVIVORS: usize = 8;
/// How long a session's last lines may take to reach the relay during a shutdown.
pub const SHUTDOWN_FLUSH: Duration = Duration::from_secs(5);
/// How long results and deregistration may take during a shutdown.
pub const SHUTDOWN_REPORT: Duration = Duration::from_secs(10);
/// Messages of one session whose uuids are remembered, so that each is delivered once (M-4).
pub const MAX_RECENT_UUIDS: usize = 4096;
/// A wait that overran by this much means that the machine slept (W-2).
pub const SLEEP_GAP: Duration = Duration::from_secs(30);

/// Sessions that a worker's state file names.
pub const MAX_KEPT_SESSIONS: usize = 2048;
/// How often a worker tries again to read or write its state file, while its disk does not let it.
pub const STATE_FILE_RETRY: Duration = Duration::from_secs(5);
/// Largest state file of a worker: all of those sessions, each with the longest names.
pub const MAX_STATE_FILE_BYTES: usize = MAX_KEPT_SESSIONS * 1024;
/// Longest id of an agent's conversation that is kept, in bytes.
pub const MAX_CONVERSATION_ID_BYTES: usize = 128;
/// How long a pointer file counts after it was last touched (K-1).
pub const POINTER_FRESH_FOR: Duration = Duration::from_secs(4 * 60 * 60);
/// How often a running worker touches its pointer file (K-1).
pub const POINTER_TOUCHED_EVERY: Duration = Duration::from_secs(60 * 60);
/// Largest pointer file that is read.
pub const MAX_POINTER_BYTES: usize = 4 << 10;
/// Sibling worktrees that are searched for a pointer (K-2).
pub const MAX_POINTER_WORKTREES: usize = 50;
/// How long an agent may take to show that it has resumed its conversation, before it is given
/// messages anyway.
pub const RESUME_TRIAL: Duration = Duration::from_secs(10);
/// Results of an earlier run that a worker picks up when it starts.
pub const MAX_SPOOLED_RESULTS: usize = 1024;
/// Largest file of such a result: its message and a tail of stderr.
pub const MAX_SPOOL_FILE_BYTES: usize = 64 << 10;
/// How long one git command may take: a single one may check out a large worktree.
pub const GIT_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How often a git command that ran into another program's lock is retried.
pub const GIT_LOCK_RETRIES: u32 = 5;
/// Pause before a git command that ran into a lock is retried; it doubles.
pub const GIT_LOCK_PAUSE: Duration = Duration::from_millis(200);
/// How much of git's list of a worktree's ignored or tracked files is read; what does not fit is
/// taken for work.
pub const MAX_FILE_LIST_BYTES: usize = 32 << 20;
/// Submodules of a worktree that are looked into; with more, it is kept.
pub const MAX_SUBMODULES: usize = 200;
/// Settings of one repository that are overridden when the worker's git runs in it.
pub const MAX_GIT_OVERRIDES: usize = 1_000;
/// How often a worker tries to create a session's worktree, or to take up the one it had.
pub const WORKTREE_ATTEMPTS: u32 = 3;
/// Worktrees of earlier runs that a worker checks when it starts.
pub const MAX_LEFTOVER_WORKTREES: usize = 256;
/// Files that are named of a worktree that was kept.
pub const MAX_KEPT_FILES_NAMED: usize = 40;
/// Commits that are named of it.
pub const MAX_KEPT_COMMITS_NAMED: usize = 20;
/// Commits of it that are counted.
pub const MAX_KEPT_COMMITS_COUNTED: usize = 500;
/// Entries of the reflogs of a worktree and its branch that are looked at before they go. One that
/// has more stays.
pub const MAX_REFLOG_ENTRIES: usize = 5_000;
/// Commits that only they have, none of which follows another, and that get a name. A worktree with
/// more of them stays.
pub const MAX_REFLOG_COMMITS: usize = 500;
/// Files of it whose contents are compared before it is deleted; of others, only their names are.
pub const MAX_KEPT_FILES_COMPARED: usize = 200;
/// Longest name, reason or subject in what is said about it, in bytes.
pub const MAX_KEPT_TEXT_BYTES: usize = 512;
/// Worktrees about which a worker still has to tell its relay something.
pub const MAX_WORKTREE_NOTES: usize = 2 * MAX_LEFTOVER_WORKTREES;
/// How often a worker tries to tell it.
pub const WORKTREE_NOTE_ATTEMPTS: u32 = 10;

/// How far this machine's clock may be off the relay's before a check complains.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// How long a check waits for an agent's answer to `initialize`.
pub const CHECK_AGENT_ANSWER: Duration = Duration::from_secs(20);
/// How long a checked agent may take to exit after its input ends.
pub const CHECK_AGENT_END: Duration = Duration::from_secs(5);

/// From handing out a work item to its ack; after that the item is handed out again (E-4).
pub const ACK_TIME: Duration = Duration::from_secs(30);
/// How long a lease lasts without a heartbeat (E-5).
pub const LEASE_TIME: Duration = Duration::from_secs(60);
/// An environment that has been silent this long counts as offline.
pub const ENVIRONMENT_OFFLINE_AFTER: Duration = Duration::from_secs(90);
/// An environment without sessions that has been silent this long is removed (E-7).
pub const ENVIRONMENT_LAPSES_AFTER: Duration = Duration::from_secs(10 * 60);
/// A worker that has been silent this long has lost its sessions: until then its machine may be asleep,
/// or without a network, and goes on where it was.
pub const SESSIONS_LOST_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Relay runs that a store remembers for its clock; several may use it at once.
pub const MAX_RELAY_RUNS: usize = 64;
/// How far a relay's time may lag behind the others' before its machine counts as having slept.
pub const RELAY_RUN_LAG: Duration = Duration::from_secs(10);
/// Longest silence of a relay on a viewer's stream; after that, the connection is dead.
pub const REMOTE_DEAD_AFTER: Duration = Duration::from_secs(45);
/// How often a viewer shows its relay that it is there.
pub const REMOTE_ALIVE_EVERY: Duration = Duration::from_secs(20);
/// How long a session may show nothing after a message was sent to it, before its viewer connects
/// again.
pub const REMOTE_ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Messages, answers and requests of a viewer that wait to be sent.
pub const MAX_REMOTE_WAITING: usize = 256;
/// Bytes of those; one always fits.
pub const MAX_REMOTE_WAITING_BYTES: usize = 16 << 20;
/// How long they may still take when their viewer leaves.
pub const REMOTE_FLUSH: Duration = Duration::from_secs(5);
/// Questions of an agent to this client whose events a viewer keeps until it is told to answer them.
pub const MAX_REMOTE_CALLBACKS: usize = 256;
/// How long what a worker of version 2 shows is valid.
pub const WORKER_TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);
/// Bytes of an agent's output that wait for the program which a machine stands in for it to; beyond that,
/// the session is not read.
pub const HOST_HIGH_WATER_BYTES: usize = 4 << 20;
/// Waiting bytes below which it is read again.
pub const HOST_LOW_WATER_BYTES: usize = 1 << 20;
/// How long the last of them may take.
pub const HOST_FLUSH: Duration = Duration::from_secs(5);
/// How long all of that may take once it was told to end, whoever does not read or answer.
pub const HOST_QUIT: Duration = Duration::from_millis(1500);
/// How long an agent has to have nothing to do, after its program's input has ended, to be taken for
/// done although it has not said so.
pub const HOST_IDLE: Duration = Duration::from_secs(5);
/// Requests of such a program whose answers it still waits for.
pub const MAX_HOST_REQUESTS: usize = 1024;
/// How long a session token is valid.
pub const SESSION_TOKEN_LIFE: Duration = Duration::from_secs(4 * 60 * 60);
/// How long a code works that signs a browser in.
pub const SIGN_IN_CODE_LIFE: Duration = Duration::from_secs(10 * 60);
/// How long a link works that answers one question, unless whoever makes it says otherwise.
pub const ANSWER_LINK_LIFE: Duration = Duration::from_secs(60 * 60);
/// The longest that one may be made for.
pub const MAX_ANSWER_LINK_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Links that answer the same question: of too many, the oldest stops working.
pub const MAX_ANSWER_LINKS: usize = 8;
/// How long a sign-in with a provider may take there.
pub const OIDC_SIGN_IN_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long what a provider says about itself is believed.
pub const OIDC_PROVIDER_KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How soon a provider is asked for its keys again, where a token was signed by none of them.
pub const OIDC_KEYS_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How far a provider's clock may be behind.
pub const OIDC_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Sign-ins that ask a provider something at once: who asks may be anybody.
pub const MAX_OIDC_REQUESTS: usize = 64;
/// The same from one address.
pub const MAX_OIDC_REQUESTS_PER_ADDRESS: usize = 4;
/// Keys of a provider.
pub const MAX_OIDC_KEYS: usize = 32;
/// Largest answer of a provider that is read, in bytes.
pub const MAX_OIDC_ANSWER_BYTES: usize = 256 << 10;
/// Codes for signing in that are not used yet: of too many, the oldest stops working.
pub const MAX_SIGN_IN_CODES: usize = 32;
/// How long a browser stays signed in.
pub const BROWSER_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Keys whose signatures a relay recognises.
pub const MAX_SIGNING_KEYS: usize = 8;
/// How long a device's access token is valid. A revoked one is refused at once, so this bounds nothing
/// but how long a relay's clock has to be right.
pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);
/// How long a log-in waits for somebody to approve it (T-6).
pub const LOG_IN_LIFE: Duration = Duration::from_secs(10 * 60);
/// How long after its log-in a device can be enrolled as a trusted one (D-3).
pub const TRUST_AFTER_LOG_IN: Duration = Duration::from_secs(10 * 60);
/// How long an enrolment as a trusted device may take (D-1).
pub const TRUST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a log-in may ask whether it was approved; after each time that is too early, longer.
pub const LOG_IN_INTERVAL: Duration = Duration::from_secs(5);
/// How long the tokens of a log-in can be fetched again, if the answer was lost.
pub const LOG_IN_REPEATED_FOR: Duration = Duration::from_secs(30);
/// How often a log-in is begun again if that fails.
pub const MAX_LOG_IN_BEGINNINGS: u32 = 3;
/// Entries of one person's audit log; beyond that, the oldest go (Y-9).
pub const MAX_AUDIT_ENTRIES: usize = 20_000;
/// How long an entry of the audit log is kept.
pub const AUDIT_KEPT_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Entries in one answer.
pub const MAX_AUDIT_PAGE: usize = 500;
/// Longest text in an entry that others have chosen.
pub const MAX_AUDIT_DETAIL_BYTES: usize = 200;
/// Log-ins that wait: of too many, the oldest of the address that has the most ends.
pub const MAX_WAITING_LOG_INS: usize = 256;
/// Devices of one person; the one that was not used for the longest makes room.
pub const MAX_DEVICES_PER_PERSON: usize = 100;
/// A device that was not used for so long has to log in again.
pub const DEVICE_IDLE_LIFE: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// How long a session waits for somebody before they are told on their other devices (Y-7).
pub const PUSH_AFTER: Duration = Duration::from_secs(8);
/// How long a page counts as looked at after it has last said so.
pub const LOOKED_AT_FOR: Duration = Duration::from_secs(45);
/// Browsers of one person that are sent notifications; the one that was made first makes room.
pub const MAX_PUSH_SUBSCRIPTIONS: usize = 20;
/// Longest URL at a push service, in bytes.
pub const MAX_PUSH_ENDPOINT_BYTES: usize = 2048;
/// Machines that one browser is told nothing of.
pub const MAX_MUTED_MACHINES: usize = 64;
/// Longest title and longest name of a machine in a notification, in bytes.
pub const MAX_PUSH_NAME_BYTES: usize = 120;
/// Longest part of what a tool is to do that a notification shows, in bytes. What is longer cannot be
/// answered there.
pub const MAX_PUSH_DETAIL_BYTES: usize = 160;
/// Largest message to a browser before it is encrypted, in bytes (RFC 8030, 7.2).
pub const MAX_PUSH_BYTES: usize = 3072;
/// Messages are padded to a multiple of this, in bytes.
pub const PUSH_PADDING_BYTES: usize = 512;
/// How long a push service keeps a notification for a browser that is away.
pub const PUSH_KEPT_FOR: Duration = Duration::from_secs(12 * 60 * 60);
/// How long it keeps a test.
pub const PUSH_TEST_KEPT_FOR: Duration = Duration::from_secs(60);
/// How long what signs a request to a push service is valid (RFC 8292, 2).
pub const VAPID_LIFE: Duration = Duration::from_secs(60 * 60);
/// How often a message is sent to a push service that does not take it.
pub const MAX_PUSH_ATTEMPTS: u32 = 5;
/// The first pause between two attempts; it doubles.
pub const PUSH_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Requests to push services at the same time.
pub const MAX_PUSH_REQUESTS: usize = 8;
/// Messages that wait to be sent to push services; of too many, the oldest is dropped.
pub const MAX_QUEUED_PUSHES: usize = 512;
/// What sessions wait for, as far as it is watched for notifications; of too much, what has waited for
/// the longest is forgotten.
pub const MAX_WATCHED_NEEDS: usize = 4096;
/// Notifications that one browser is sent at once.
pub const PUSHES_ALLOWED: u32 = 30;
/// How long it has to wait for each further one.
pub const PUSH_ALLOWED_EVERY: Duration = Duration::from_secs(30);
/// Largest form, in bytes.
pub const MAX_FORM_BYTES: usize = 16 << 10;
/// Bytes of bodies that clients without a credential may have on their way in all.
pub const MAX_BODY_BYTES_OF_STRANGERS: usize = 64 * MAX_FORM_BYTES;
/// Longest JWT of which anything is read, in bytes (T-2).
pub const MAX_JWT_BYTES: usize = 64 << 10;
/// How long before it runs out a token is refreshed (T-3).
pub const REFRESH_LEAD: Duration = Duration::from_secs(5 * 60);
/// How often a token is refreshed if nobody can read when it runs out (T-3).
pub const REFRESH_UNREADABLE_EVERY: Duration = Duration::from_secs(30 * 60);
/// The pause after a refresh that failed.
pub const REFRESH_RETRY_AFTER: Duration = Duration::from_secs(60);
/// After so many failures in a row it takes a log-in (T-3).
pub const MAX_REFRESH_FAILURES: u32 = 3;
/// Between two refreshes of a token, whatever its issuer says of its life.
pub const MIN_REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// Between two tries to refresh a token that is about to run out.
pub const MIN_REFRESH_RETRY: Duration = Duration::from_secs(1);
/// How long a process waits for another one's refresh of the log-in that they share: longer than a
/// request takes at most. After that it refreshes by itself.
pub const REFRESH_LOCK_PATIENCE: Duration = Duration::from_secs(20);
/// How often the wall clock is looked at while a refresh waits: the other one may have stood still.
pub const REFRESH_CLOCK_LOOK_EVERY: Duration = Duration::from_secs(60);
/// Tokens that one machine has refreshed.
pub const MAX_REFRESH_SCHEDULES: usize = 4096;
/// Environments of one relay.
pub const MAX_ENVIRONMENTS: usize = 1000;
/// Environments of one person.
pub const MAX_ENVIRONMENTS_PER_PERSON: usize = 250;
/// Bytes of what a session's agent is to be started with.
pub const MAX_AGENT_OPTIONS_BYTES: usize = 64 << 10;
/// Sessions of one environment that have not ended.
pub const MAX_SESSIONS_PER_ENVIRONMENT: usize = 1000;
/// Work items of one environment that wait for their worker. Beyond that new sessions are refused;
/// existing ones may always be queued again.
pub const MAX_QUEUED_WORK: usize = 256;
/// Polls of one environment that are held at once, and as many streams of work; one more ends the
/// oldest.
pub const MAX_HELD_POLLS: usize = 4;
/// Work items on one stream; after them it ends, and the worker opens another.
pub const MAX_WORK_ON_STREAM: u64 = 1024;
/// Claims of one environment that are remembered by key.
pub const MAX_NAMED_CLAIMS: usize = 64;
/// Healthcheck requests of one environment that are remembered by key.
pub const MAX_HEALTHCHECK_KEYS: usize = 16;
/// Bytes of one session's log; beyond that the oldest events are dropped (Y-2).
pub const SESSION_LOG_BYTES: usize = 64 << 20;
/// A log at its limit is trimmed by this part of the limit at once.
pub const LOG_TRIM_DIVISOR: usize = 16;
/// What an event counts for in addition to its line.
pub const EVENT_OVERHEAD_BYTES: usize = 128;
/// Ended sessions of one person that a relay keeps.
pub const MAX_ENDED_SESSIONS: usize = 200;
/// How long an ended session is kept (Y-2).
pub const ENDED_SESSION_KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Ended sessions of one person that a relay keeps on disk.
pub const MAX_ENDED_SESSIONS_ON_DISK: usize = 10_000;
/// Bytes that a relay's store may take on its disk; beyond that the sessions that ended first go.
pub const STORE_BYTES: u64 = 10 << 30;
/// Bytes of logs that a relay keeps in memory, if it keeps them nowhere else.
pub const MEMORY_STORE_BYTES: u64 = 256 << 20;
/// Ended sessions that one operation may remove to make room on the disk.
pub const MAX_SESSIONS_REMOVED_FOR_ROOM: usize = 4;
/// When to try again what could not lapse because a row of it is damaged.
pub const DAMAGED_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Sessions in one list, newest first.
pub const MAX_LISTED_SESSIONS: usize = 1000;
/// Lines for one agent not yet acknowledged by its worker.
pub const MAX_INBOUND_LINES: usize = 1024;
/// Bytes of those lines.
pub const MAX_INBOUND_BYTES: usize = 16 << 20;
/// Bytes of tool input in one session's open permission questions.
pub const MAX_OPEN_PERMISSION_BYTES: usize = 16 << 20;
/// Viewers of one session at once.
pub const MAX_SUBSCRIBERS: usize = 64;
/// Bytes on the way to one viewer (Y-5).
pub const STREAM_CREDIT_BYTES: usize = 1 << 20;
/// Bytes on the way to all viewers: with many of them, each has less than [`STREAM_CREDIT_BYTES`].
pub const STREAM_CREDIT_IN_ALL: usize = 64 << 20;
/// Viewers that are sent an event larger than their credit at the same time.
pub const MAX_LARGE_EVENTS: usize = 4;
/// Pages of logs that are read for viewers at the same time. Each has one event at least, however
/// large.
pub const MAX_PAGE_READS: usize = 4;
/// Bytes on the way to one worker, not counting its lines, at which its link counts as dead.
pub const LINK_BACKLOG_BYTES: usize = 2 * MAX_REQUEST_BYTES;
/// Bytes of one link waiting for the store at which the link is paused.
pub const LINK_HIGH_WATER_BYTES: usize = 2 << 20;
/// Waiting bytes below which a paused link resumes.
pub const LINK_LOW_WATER_BYTES: usize = 512 << 10;
/// Messages in one request.
pub const MAX_POSTED_MESSAGES: usize = 256;
/// Events on one page.
pub const MAX_PAGE_EVENTS: usize = 1000;
/// Bytes on one page; one event always fits.
pub const MAX_PAGE_BYTES: usize = 1 << 20;
/// How long a client may take to send a request's head, from the beginning of its connection or the
/// end of the last answer.
pub const HEAD_TIME: Duration = Duration::from_secs(15);
/// Connections of clients that have shown no credential, in all.
pub const MAX_STRANGERS_CONNECTIONS: usize = 1024;
/// The same from one address.
pub const MAX_STRANGERS_CONNECTIONS_PER_ADDRESS: usize = 128;
/// Requests on one of their connections that are taken as they come.
pub const MAX_STRANGERS_REQUESTS: u32 = 16;
/// How long each further one has to wait.
pub const STRANGERS_PAUSE: Duration = Duration::from_millis(200);
/// Connections of workers in all.
pub const MAX_WORKERS_CONNECTIONS: usize = 2048;
/// The same from one address.
pub const MAX_WORKERS_CONNECTIONS_PER_ADDRESS: usize = 1024;
/// Connections of people in all.
pub const MAX_PEOPLES_CONNECTIONS: usize = 1024;
/// The same from one address.
pub const MAX_PEOPLES_CONNECTIONS_PER_ADDRESS: usize = 512;
/// How long a client without a credential may leave what it is sent unread.
pub const STRANGER_READ_GRACE: Duration = Duration::from_secs(5);
/// Bytes that it has to read each second from then on.
pub const STRANGER_READ_RATE: u32 = 4 << 10;
/// How long a known client may leave what it is sent unread.
pub const CLIENT_READ_GRACE: Duration = Duration::from_secs(45);
/// Bytes that it has to read each second from then on.
pub const CLIENT_READ_RATE: u32 = 512;
/// How long nothing of a body may arrive.
pub const BODY_GRACE: Duration = Duration::from_secs(10);
/// Bytes of a body that have to arrive each second from then on.
pub const BODY_RATE: u32 = 16 << 10;
/// Largest body of a request that carries no line, in bytes.
pub const MAX_SMALL_BODY_BYTES: usize = 256 << 10;
/// Bytes of bodies that people may have on their way or being worked on in all.
pub const MAX_BODY_BYTES_OF_PEOPLE: usize = 64 << 20;
/// Bytes of bodies that workers may have on their way or being worked on in all.
pub const MAX_BODY_BYTES_OF_WORKERS: usize = 16 << 20;
/// Store operations in progress beyond which none is started for a client without a credential.
pub const MAX_STORE_OPERATIONS_FOR_STRANGERS: usize = 256;
/// What a store is made to write to show that it can, in bytes, unless more has failed before.
pub const STORE_PROOF_BYTES: usize = 4096;
/// A store that has just shown whether it can write need not show it again for so long.
pub const STORE_PROVED_EVERY: Duration = Duration::from_secs(1);
/// Shortest access token, in bytes: 95 bits if it is drawn from letters and digits.
pub const MIN_TOKEN_BYTES: usize = 16;
/// Different pairs of neighbouring characters in an access token.
pub const MIN_TOKEN_PAIRS: usize = 12;
/// Unknown credentials that one address may show at once before it has to wait.
pub const GUESSES_ALLOWED: u32 = 10;
/// How long an address has to wait for each further one.
pub const GUESS_ALLOWED_EVERY: Duration = Duration::from_secs(2);
/// Unknown credentials that all addresses together may show at once before all have to wait.
pub const GUESSES_ALLOWED_IN_ALL: u32 = 200;
/// How long they have to wait for each further one.
pub const GUESS_ALLOWED_EVERY_IN_ALL: Duration = Duration::from_millis(100);
/// How often the same failure of the store is reported.
pub const STORE_FAILURES_REPORTED_EVERY: Duration = Duration::from_secs(60);
/// Different failures of the store that are reported in that time.
pub const MAX_STORE_FAILURES_REPORTED: usize = 10;
/// How often unknown credentials of one address are reported.
pub const GUESSES_REPORTED_EVERY: Duration = Duration::from_secs(60);
/// Reports about unknown credentials, of all addresses, in that time.
pub const GUESS_REPORTS_ALLOWED: u32 = 10;
/// Addresses whose unknown credentials are counted; beyond that, the one that has shown none for
/// the longest time is forgotten.
pub const MAX_TRACKED_ADDRESSES: usize = 1024;
/// Characters shown of a `Host` that is not this relay's.
pub const MAX_SHOWN_HOST_CHARS: usize = 100;
/// Requests that a relay is ready to accept at once.
pub const ACCEPT_POOL: usize = 64;
/// Longest name or title that a person or a machine may give to something, in bytes.
pub const MAX_NAME_BYTES: usize = 1024;
/// Longest title that a session gets from its first user message, in bytes.
pub const MAX_DERIVED_TITLE_BYTES: usize = 120;
/// Longest path or URL that a machine may report, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;
/// How often a viewer's stream sends a keepalive.
pub const VIEWER_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// The same where something on the way ends connections that are silent for less.
pub const MIN_VIEWER_ALIVE_EVERY: Duration = Duration::from_secs(1);
/// A viewer that has ever sent a keepalive is cut off after being silent for this long.
pub const VIEWER_SILENT_AFTER: Duration = Duration::from_secs(60);
/// A viewer whose stream makes no progress for this long is cut off.
pub const VIEWER_STALLED_AFTER: Duration = Duration::from_secs(60);
/// How long streams may take to close when the relay stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Bytes that a mirror writes to its file at once, unless one event has more (G-1).
pub const MIRROR_APPEND_BYTES: usize = 256 << 10;
/// How much of its file's end a mirror reads at first to find where to continue.
pub const MIRROR_END_BYTES: usize = 2 * MIRROR_APPEND_BYTES;
/// How much it reads at most: what may be torn, and the line before it.
pub const MIRROR_MAX_END_BYTES: usize = 4 * MAX_REQUEST_BYTES;
/// Largest page of a log that a mirror reads: one event of full length always fits.
pub const MAX_LOG_PAGE_BYTES: usize = MAX_PAGE_BYTES + 2 * MAX_REQUEST_BYTES;
/// How long a page of a log may take to arrive: much can be on the way.
pub const LOG_PAGE_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// How soon a mirror looks again after there was something new.
pub const MIRROR_POLL: Duration = Duration::from_secs(1);
/// How seldom it looks after a long time without anything new.
pub const MIRROR_LONGEST_POLL: Duration = Duration::from_secs(10);
/// Longest pause of a mirror whose relay is away, or whose disk is full.
pub const MIRROR_LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Largest file that says of what another file is a mirror.
pub const MAX_MIRROR_IDENTITY_BYTES: usize = 16 << 10;

/// Clients that may be connected to one session directly.
pub const MAX_DIRECT_CLIENTS: usize = 64;
/// Requests that a direct server takes at once from those who are not connected yet.
pub const DIRECT_ACCEPTS: usize = 8;
/// Lines of a session that a direct server holds for clients that come back.
pub const DIRECT_LOG_LINES: usize = 16 << 10;
/// Bytes of them; one line always fits.
pub const DIRECT_LOG_BYTES: usize = 8 << 20;
/// How long a client that counts lines may take to say where it is.
pub const DIRECT_GREETING_TIME: Duration = Duration::from_secs(10);
/// Longest id that such a client gives itself.
pub const DIRECT_CLIENT_ID_BYTES: usize = 64;
/// Such clients that a server remembers.
pub const DIRECT_KNOWN_CLIENTS: usize = 256;
/// Lines that a client keeps until the server has them; no more are taken after that.
pub const DIRECT_OUTBOX_LINES: usize = 1024;
/// Bytes of them.
pub const DIRECT_OUTBOX_BYTES: usize = 16 << 20;
/// How long the last lines may take to leave when the agent has ended.
pub const DIRECT_FLUSH: Duration = Duration::from_secs(2);

/// Longest message that one session sends another, in bytes.
pub const MAX_PEER_BODY_BYTES: usize = 256 << 10;
/// Longest address of a session, in bytes.
pub const MAX_PEER_ADDRESS_BYTES: usize = 1024;
/// Largest record of a process's sessions, and longest answer of a session.
pub const MAX_PEER_RECORD_BYTES: usize = 1 << 20;
/// How long a session on this machine may take to accept a message.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages of other sessions that are taken at once.
pub const PEER_ACCEPTS: usize = 4;

/// Bytes of what an embedded bridge's host has published that are kept, so that a session that the
/// relay has lost is followed by one with the same content (I-2). What is older is left out.
pub const BRIDGE_HISTORY_BYTES: usize = 4 << 20;
/// Bytes of what waits behind an embedded bridge's flush gate (M-5) at which its host is asked to
/// pause.
pub const BRIDGE_WAITING_BYTES: usize = 8 << 20;
/// The same, of what a host publishes although it was asked to pause: no more is taken.
pub const BRIDGE_MOST_WAITING_BYTES: usize = 64 << 20;
