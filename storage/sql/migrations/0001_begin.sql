-- +goose Up

-- Digests, commitments, openings, tags and keys are 32 bytes, as bytes: half the
-- size of their text. SQLite keeps bytes as they are whatever a column is called,
-- so that BYTEA serves both databases. Times are microseconds since 1970, UTC.

CREATE TABLE streams (
    stream      TEXT   NOT NULL PRIMARY KEY,
    tag_key     BYTEA  NOT NULL CHECK (length(tag_key) = 32),
    declared_by BYTEA  NOT NULL CHECK (length(declared_by) = 32), -- payload of the declaring statement
    length      BIGINT NOT NULL,                                  -- records
    head        BYTEA  NOT NULL CHECK (length(head) = 32),        -- commitment of the last one
    proven      BIGINT NOT NULL CHECK (proven <= length)          -- how many of the first have a receipt
);
CREATE INDEX streams_declared_by ON streams (declared_by);

-- Rows of records and receipts are added and never changed.
CREATE TABLE records (
    stream     TEXT   NOT NULL,
    sequence   BIGINT NOT NULL,
    payload    BYTEA  NOT NULL UNIQUE CHECK (length(payload) = 32),
    record     BYTEA  NOT NULL,
    opening    BYTEA  NOT NULL CHECK (length(opening) = 32),
    commitment BYTEA  NOT NULL CHECK (length(commitment) = 32),
    tag        BYTEA  NOT NULL CHECK (length(tag) = 32),
    mark       BYTEA  NOT NULL CHECK (length(mark) = 32),
    PRIMARY KEY (stream, sequence)
);

CREATE TABLE receipts (
    stream   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    receipt  BYTEA  NOT NULL CHECK (length(receipt) > 0),
    PRIMARY KEY (stream, sequence)
);

-- The records without a receipt, in order of commit.
CREATE TABLE outbox (
    position BIGINT NOT NULL PRIMARY KEY,
    stream   TEXT   NOT NULL,
    sequence BIGINT NOT NULL,
    UNIQUE (stream, sequence)
);

CREATE TABLE tickets (
    granted   BYTEA   NOT NULL PRIMARY KEY CHECK (length(granted) = 32), -- payload of the retrieval
    token     BYTEA   NOT NULL UNIQUE CHECK (length(token) = 32),        -- SHA-256 of what the receiver holds
    principal TEXT    NOT NULL,
    signer    BYTEA   NOT NULL CHECK (length(signer) = 32),
    evidence  TEXT    NOT NULL,
    start     BIGINT  NOT NULL,
    length    BIGINT  NOT NULL,
    expires   BIGINT  NOT NULL,
    begun     BIGINT  NOT NULL,
    ended     BIGINT  NOT NULL CHECK (ended <= begun),
    sent      BIGINT  NOT NULL,
    closed    BOOLEAN NOT NULL
);
CREATE INDEX tickets_open ON tickets (granted) WHERE NOT closed;

CREATE TABLE uploads (
    evidence  TEXT    NOT NULL PRIMARY KEY,
    incident  TEXT    NOT NULL,
    principal TEXT    NOT NULL,
    at_most   BIGINT  NOT NULL,
    sealed    BOOLEAN NOT NULL,
    begun     BIGINT  NOT NULL
);
CREATE INDEX uploads_sealed ON uploads (evidence) WHERE sealed;

CREATE TABLE chunks (
    evidence TEXT   NOT NULL,
    place    BIGINT NOT NULL,
    digest   BYTEA  NOT NULL CHECK (length(digest) = 32),
    length   BIGINT NOT NULL,
    version  TEXT   NOT NULL,
    PRIMARY KEY (evidence, place)
);
