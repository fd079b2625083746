-- +goose Up

-- The chunks of a sealed item stay listed, so that an item of the same incident
-- that has one of them need not bring it again.
ALTER TABLE uploads ADD COLUMN checked BOOLEAN NOT NULL DEFAULT FALSE; -- what was sealed was read back
DROP INDEX uploads_sealed;
CREATE INDEX uploads_unchecked ON uploads (begun) WHERE sealed AND NOT checked;
CREATE INDEX uploads_incident ON uploads (incident);
CREATE INDEX chunks_digest ON chunks (digest);
