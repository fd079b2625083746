-- +goose Up

-- That the bytes of a record are destroyed was looked for and found, so that it is
-- not done again while the certificate waits.
ALTER TABLE erasures ADD COLUMN destroyed BOOLEAN NOT NULL DEFAULT FALSE;
