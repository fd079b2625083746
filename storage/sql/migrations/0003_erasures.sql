-- +goose Up

-- What records of two people order erased, until that is done and certified. Of
-- an erased record the row has no bytes, an opening of zeros, and another mark;
-- its receipt has no opening.
CREATE TABLE erasures (
    position BIGINT NOT NULL PRIMARY KEY,
    ordered  BYTEA  NOT NULL UNIQUE CHECK (length(ordered) = 32), -- payload of the second order
    stream   TEXT   NOT NULL,
    sequence BIGINT NOT NULL
);
