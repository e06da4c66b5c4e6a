CREATE TABLE device (
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX device_by_owner ON device (owner, id);
