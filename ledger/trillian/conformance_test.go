package trillian

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/trillian/integration/storagetest"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/testonly"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/storage/sqlite"
)

// fresh returns the two storages over a new file.
func fresh(ctx context.Context, t *testing.T) (storage.LogStorage, storage.AdminStorage) {
	t.Helper()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "log.db"), sqlite.Options{})
	require.NoError(t, err)
	_, err = db.Write.ExecContext(ctx, schema)
	require.NoError(t, err)
	s, err := newLogStorage(ctx, db)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.close())
		require.NoError(t, db.Close())
	})
	return s, adminStorage{db, time.Now}
}

func TestTrilliansLogSuite(t *testing.T) { storagetest.RunLogStorageTests(t, fresh) }

func TestTrilliansAdminSuite(t *testing.T) {
	suite := &testonly.AdminStorageTester{NewAdminStorage: func() storage.AdminStorage {
		_, admin := fresh(context.Background(), t)
		return admin
	}}
	suite.RunAllTests(t)
}
