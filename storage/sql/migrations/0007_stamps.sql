-- +goose Up

-- Stamps of time-stamping authorities on checkpoints of the log. They lie in the
-- bucket too, and are restored from there.
CREATE TABLE stamps (
    size       BIGINT NOT NULL, -- of the log at the checkpoint
    authority  TEXT   NOT NULL, -- its name
    kind       TEXT   NOT NULL,
    stamped    BIGINT NOT NULL, -- the authority's time, in microseconds
    checkpoint BYTEA  NOT NULL, -- signed
    token      BYTEA  NOT NULL,
    PRIMARY KEY (size, authority)
);
CREATE INDEX stamps_of ON stamps (authority, size);
