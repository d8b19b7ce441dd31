-- The vault's tables in PostgreSQL: those of schema.py, with two differences. There is no column `shard`, for here both ids
-- have an index that keeps them unique among any number of writers. And a block of `eraser` has one key.

CREATE TABLE vault (
    one integer PRIMARY KEY CHECK (one = 1),
    schema_version integer NOT NULL,
    verifier bytea,                     -- of the current root key
    awake_at bigint NOT NULL DEFAULT 0  -- when a process last said that it serves
);
CREATE TABLE root_key (
    number bigint PRIMARY KEY,
    needed_until bigint NOT NULL        -- the latest expiry of a secret that it sealed
);
CREATE TABLE writer (
    writer bytea PRIMARY KEY,           -- random, one a process
    token bytea NOT NULL,               -- random, one a commit
    at bigint NOT NULL,
    size_bytes bigint NOT NULL          -- of the bodies that it put, less those that it removed; the sum is the vault's size
) WITH (fillfactor = 50);
CREATE TABLE receipt (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at bigint NOT NULL,
    secret_expires_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ended_at bigint,                    -- of a claimed one: when it was claimed
    wrong_tries integer NOT NULL DEFAULT 0,
    has_passphrase boolean NOT NULL,
    acknowledged boolean NOT NULL DEFAULT false,
    shown boolean NOT NULL DEFAULT false, -- a generated value has been shown on the receipt
    kind text NOT NULL,
    state text NOT NULL,                -- new, claimed, revealed, burned; expired is computed until it is swept
    secret_id bytea NOT NULL UNIQUE,
    receipt_id bytea NOT NULL UNIQUE,
    wrapped bytea NOT NULL,
    owner bytea,
    listing_id bytea,
    listing bytea
) WITH (fillfactor = 85);               -- room for the update that each of them gets
CREATE INDEX receipt_expires ON receipt (expires_at);
CREATE INDEX receipt_owner ON receipt (owner, created_at) WHERE owner IS NOT NULL;
CREATE UNIQUE INDEX receipt_listing ON receipt (listing_id) WHERE listing_id IS NOT NULL;
CREATE TABLE secret (
    number bigint PRIMARY KEY,
    expires_at bigint NOT NULL,
    key_number bigint NOT NULL,
    head bytea NOT NULL,
    body bytea NOT NULL                 -- locked under the key in `eraser`
);
-- What looks like noise is not worth an attempt to compress it.
ALTER TABLE secret ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX secret_expires ON secret (expires_at);
CREATE TABLE eraser (
    block bigint PRIMARY KEY,           -- the number of a secret
    slots bytea NOT NULL                -- the key that its body is locked under; goes with it
);
CREATE TABLE envelope (                 -- what the receipt of an end-to-end secret has beside
    number bigint PRIMARY KEY,
    window_ends_at bigint,              -- while it is claimed
    acknowledged_at bigint,
    locked_until bigint NOT NULL DEFAULT 0,
    woken boolean NOT NULL DEFAULT false, -- its window was slept through, and given once more
    open_hash bytea NOT NULL,           -- of the open proof; empty once it opens nothing
    claim_hash bytea                    -- of the first claim
);
CREATE INDEX envelope_window ON envelope (window_ends_at) WHERE window_ends_at IS NOT NULL;
CREATE TABLE answer (
    answer_id bytea PRIMARY KEY,
    expires_at bigint NOT NULL,
    sealed bytea NOT NULL
);
CREATE INDEX answer_expires ON answer (expires_at);
CREATE TABLE counter (
    key bytea PRIMARY KEY,
    used bigint NOT NULL,
    window_ends_at bigint NOT NULL,
    locked_until bigint NOT NULL,
    expires_at bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX counter_expires ON counter (expires_at);
CREATE TABLE daily_key (
    day bigint PRIMARY KEY,
    key bytea NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE token (
    token_id bytea PRIMARY KEY,
    purpose text NOT NULL,
    expires_at bigint NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX token_expires ON token (expires_at);
CREATE TABLE session (
    session_id bytea PRIMARY KEY,
    account bytea NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    data bytea NOT NULL
);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires_at);

-- Statistics are samples: they would keep keys and ids of what is gone, where no VACUUM comes.
DO $$
DECLARE
    v_column record;
BEGIN
    FOR v_column IN
        SELECT a.attrelid::regclass AS name, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'onetime'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'bytea'::regtype
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', v_column.name, v_column.attname);
    END LOOP;
END $$;

-- One operation on its way in: a verb of the port, and what it was called with. What each place of an array means is
-- written where the verb is told apart, in doors.sql.
CREATE TYPE step AS (verb text, numbers bigint[], words text[], blobs bytea[]);
