-- +goose Up

-- A stream that brought some of the artifact did not end as it should.
ALTER TABLE uploads ADD COLUMN broken BOOLEAN NOT NULL DEFAULT FALSE;
