CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE environment (
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX environment_by_owner ON environment (owner, id);

CREATE TABLE queue (
    environment TEXT NOT NULL,
    position INTEGER NOT NULL,
    work TEXT NOT NULL,
    PRIMARY KEY (environment, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE claim (
    environment TEXT NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (environment, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_by_number ON claim (environment, number);

CREATE TABLE work (
    id TEXT NOT NULL UNIQUE,
    environment TEXT NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX work_by_environment ON work (environment, id);

-- `number` is the session's ordinal.
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    environment TEXT NOT NULL,
    key TEXT,
    ended INTEGER,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX session_by_owner ON session (owner, number);
CREATE INDEX session_by_environment ON session (owner, environment, number);
CREATE UNIQUE INDEX session_by_key ON session (owner, key) WHERE key IS NOT NULL;
CREATE INDEX session_live ON session (environment, id) WHERE ended IS NULL;
CREATE INDEX session_ended ON session (owner, ended) WHERE ended IS NOT NULL;
CREATE INDEX session_ended_first ON session (ended) WHERE ended IS NOT NULL;

-- A row holds events that follow each other; see chunk.rs for `sizes` and `body`.
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    sizes BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_by_session ON log (session, first);

CREATE TABLE inbound (
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sum INTEGER NOT NULL,
    line TEXT NOT NULL,
    UNIQUE (session, number)
) STRICT;

CREATE TABLE message (
    session INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    number INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (session, uuid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_number ON message (session, number);

CREATE TABLE question (
    session INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    closed INTEGER,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (session, request_id)
) STRICT;
CREATE INDEX question_closed ON question (session, closed) WHERE closed IS NOT NULL;

CREATE TABLE request (
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;

-- `what` sorts as the rules sort: an environment before a work item.
CREATE TABLE due (
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (at, what)
) STRICT, WITHOUT ROWID;
