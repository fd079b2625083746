package lossyfs_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"
)

// The environment that makes the test binary a victim: a program that commits
// rows to a database and says so until it is killed.
const (
	victimFile = "LOSSYFS_VICTIM_FILE"
	victimSync = "LOSSYFS_VICTIM_SYNCHRONOUS"
)

// victim prints the number of each row once SQLite has acknowledged it.
func victim(path, synchronous string) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous("+synchronous+")")
	if err == nil {
		db.SetMaxOpenConns(1)
		_, err = db.Exec("CREATE TABLE row (id INTEGER PRIMARY KEY); PRAGMA wal_checkpoint(TRUNCATE)")
	}
	for id := 1; err == nil; id++ {
		if _, err = db.Exec("INSERT INTO row VALUES (?)", id); err == nil {
			fmt.Println(id)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// commitAndLose lets a victim commit, pulls the plug, and returns how many rows
// it had acknowledged before that and how many are left.
func commitAndLose(t *testing.T, seed int64, synchronous string) (acknowledged, left int) {
	d := mount(t, seed)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimFile+"="+d.at("db"), victimSync+"="+synchronous)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for acknowledged < 100 && lines.Scan() {
		acknowledged, err = strconv.Atoi(lines.Text())
		require.NoError(t, err)
	}
	require.NoError(t, d.PowerLoss())
	_ = cmd.Process.Kill() // it may have ended at its first EIO
	for lines.Scan() {
	}
	_ = cmd.Wait()
	require.Equal(t, 100, acknowledged, "the victim ended early")
	return acknowledged, survivors(t, d.lose())
}

func survivors(t *testing.T, dir string) (rows int) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "db"))
	require.NoError(t, err)
	defer db.Close()
	var verdict string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&verdict))
	require.Equal(t, "ok", verdict)
	var last int
	require.NoError(t, db.QueryRow("SELECT count(*), coalesce(max(id), 0) FROM row").Scan(&rows, &last))
	require.Equal(t, rows, last, "a row is missing before the last")
	return rows
}

func TestSQLiteFullLosesNothing(t *testing.T) {
	for seed := int64(0); seed < 4; seed++ {
		acknowledged, left := commitAndLose(t, seed, "full")
		require.GreaterOrEqual(t, left, acknowledged, "seed %d", seed)
	}
}

// TestSQLiteNormalLosesRows shows that the file system bites.
func TestSQLiteNormalLosesRows(t *testing.T) {
	acknowledged, left := commitAndLose(t, 0, "normal")
	require.Less(t, left, acknowledged)
}
