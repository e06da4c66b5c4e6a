CREATE TABLE push (
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX push_by_owner ON push (owner, id);
