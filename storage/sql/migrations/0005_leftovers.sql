-- +goose Up

-- Chunks that arrived for an item and are not, or no longer, part of its upload:
-- cut off, replaced, or lost. They may lie in the bucket, and go with the upload.
CREATE TABLE leftovers (
    evidence TEXT   NOT NULL,
    digest   BYTEA  NOT NULL CHECK (length(digest) = 32),
    length   BIGINT NOT NULL,
    version  TEXT   NOT NULL,
    PRIMARY KEY (evidence, digest, length, version)
);
