-- The first schema of the vault, as it was: what the upgrade has to begin with.
CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema_version INTEGER NOT NULL,
    verifier BLOB                       -- of the current root key
) STRICT;
CREATE TABLE root_key (
    number INTEGER PRIMARY KEY,
    needed_until INTEGER NOT NULL       -- the latest expiry of a secret that it sealed
) STRICT;
CREATE TABLE writer (
    writer BLOB PRIMARY KEY,            -- random, one a process and connection
    token BLOB NOT NULL,                -- random, one a commit
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE receipt (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a key in `eraser` goes with it
    shard INTEGER NOT NULL,             -- the tag that both ids begin with, as a number
    receipt_id BLOB NOT NULL,
    secret_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,                -- new, revealed, burned; expired is computed until it is swept
    has_passphrase INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    secret_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    wrong_tries INTEGER NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 0,   -- a generated value has been shown on the receipt
    wrapped BLOB NOT NULL,
    owner BLOB,
    listing_id BLOB,
    listing BLOB
) STRICT;
CREATE INDEX receipt_shard ON receipt (shard);
CREATE INDEX receipt_expires ON receipt (expires_at);
CREATE INDEX receipt_owner ON receipt (owner, created_at) WHERE owner IS NOT NULL;
CREATE UNIQUE INDEX receipt_listing ON receipt (listing_id) WHERE listing_id IS NOT NULL;
CREATE TABLE secret (
    number INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL                  -- last: reading the head does not touch its pages; locked by `eraser`
) STRICT;
CREATE INDEX secret_expires ON secret (expires_at);
CREATE TABLE eraser (
    block INTEGER PRIMARY KEY,          -- number divided by eraser.SLOTS
    slots BLOB NOT NULL
) STRICT;
CREATE TABLE answer (
    answer_id BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX answer_expires ON answer (expires_at);
CREATE TABLE counter (
    key BLOB NOT NULL UNIQUE,
    used INTEGER NOT NULL,
    window_ends_at INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX counter_expires ON counter (expires_at);
CREATE TABLE daily_key (
    day INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE token (
    token_id BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX token_expires ON token (expires_at);
CREATE TABLE session (
    session_id BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires_at);
