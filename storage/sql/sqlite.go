package sql

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"

	"github.com/forensic-custody/custody/storage/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say how a database is opened.
type Options struct {
	// MustExist refuses a file that is missing, empty, not of this service, or
	// without a record, where the caller knows that records were kept in it.
	MustExist bool
}

// checkedWhole is the size in bytes up to which a file is read whole when it is
// opened. Pages of a larger one are checked when they are read, and by Check.
const checkedWhole = 64 << 20

// Open opens the SQLite file at path, creating it unless it must exist, and
// brings its tables up to date. It fails with sqlite.ErrDamaged for a file that
// is cut short, has a damaged page (see checkedWhole), or must exist and holds
// no records; and for one that a later version of this program has written. The
// context bounds the opening only.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	db, err := sqlite.Open(ctx, path, sqlite.Options{MustExist: o.MustExist, Overwrite: true})
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, db, path, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, db.Explain(err)), db.Close())
	}
	return s, nil
}

func open(ctx context.Context, db *sqlite.DB, path string, o Options) (*Store, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() <= checkedWhole {
		if err := check(ctx, db); err != nil {
			return nil, err
		}
	}
	if o.MustExist {
		if err := inUse(ctx, db); err != nil {
			return nil, err
		}
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	return start(ctx, db)
}

// inUse returns an error unless there are records.
func inUse(ctx context.Context, db *sqlite.DB) error {
	var found bool
	err := db.Read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM records)").Scan(&found)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: no records of this service are in it: %w", sqlite.ErrDamaged, err)
	case !found:
		return fmt.Errorf("%w: no records are in it", sqlite.ErrDamaged)
	}
	return nil
}

func migrate(ctx context.Context, db *sqlite.DB) error {
	texts, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.Write, texts,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("its tables are of version %d and this program knows no later one than %d: a later program wrote it", current, target)
	}
	_, err = p.Up(ctx)
	return err
}

// Check reads the whole file and returns sqlite.ErrDamaged when its structure
// is not sound. What the rows say is for their readers to check.
func (s *Store) Check(ctx context.Context) error { return s.db.Explain(check(ctx, s.db)) }

func check(ctx context.Context, db *sqlite.DB) error {
	var found string
	if err := db.Read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", sqlite.ErrDamaged, found)
	}
	return nil
}
