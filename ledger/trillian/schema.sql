-- Trillian's storage in one SQLite file. The names are those of Trillian's own
-- schemas, so that its operators find their way.

CREATE TABLE Trees (
  TreeId                INTEGER PRIMARY KEY,
  TreeState             TEXT    NOT NULL,
  TreeType              TEXT    NOT NULL,
  DisplayName           TEXT    NOT NULL,
  Description           TEXT    NOT NULL,
  CreateTimeMillis      INTEGER NOT NULL,
  UpdateTimeMillis      INTEGER NOT NULL,
  MaxRootDurationMillis INTEGER NOT NULL,
  DeleteTimeMillis      INTEGER -- NULL while the tree is not deleted
) STRICT;

-- The latest head of each tree. Older ones are nowhere needed: what was signed
-- is kept elsewhere.
CREATE TABLE TreeHead (
  TreeId            INTEGER PRIMARY KEY REFERENCES Trees ON DELETE CASCADE,
  TreeHeadTimestamp INTEGER NOT NULL, -- nanoseconds since 1970
  TreeSize          INTEGER NOT NULL,
  RootHash          BLOB    NOT NULL
) STRICT;

-- Eight levels of the tree in each row, as the protocol buffer that Trillian's
-- subtree cache makes.
CREATE TABLE Subtree (
  TreeId    INTEGER NOT NULL REFERENCES Trees ON DELETE CASCADE,
  SubtreeId BLOB    NOT NULL,
  Nodes     BLOB    NOT NULL,
  UNIQUE (TreeId, SubtreeId)
) STRICT;

-- A leaf, queued while SequenceNumber is NULL. One row holds what Trillian's
-- other storages spread over three tables: duplicates are refused, so a leaf
-- has one place.
CREATE TABLE LeafData (
  Arrival                 INTEGER PRIMARY KEY,
  TreeId                  INTEGER NOT NULL REFERENCES Trees ON DELETE CASCADE,
  LeafIdentityHash        BLOB    NOT NULL,
  MerkleLeafHash          BLOB    NOT NULL,
  LeafValue               BLOB    NOT NULL,
  ExtraData               BLOB,
  QueueTimestampNanos     INTEGER NOT NULL,
  SequenceNumber          INTEGER,
  IntegrateTimestampNanos INTEGER,
  UNIQUE (TreeId, LeafIdentityHash)
) STRICT;
CREATE UNIQUE INDEX LeafSequence ON LeafData (TreeId, SequenceNumber) WHERE SequenceNumber IS NOT NULL;
CREATE INDEX LeafQueue ON LeafData (TreeId, QueueTimestampNanos, Arrival) WHERE SequenceNumber IS NULL;
