// Package cmd_test holds the plan of the house: which package may import what,
// and what lies at the top of the repository. Whoever adds a package adds its
// row, and says with it where the package stands.
package cmd_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/forensic-custody/custody"

// A row says what a package may import itself, outside its tests.
type row struct {
	own    string // packages of this module
	others string // modules of others, or folders of them
}

var rows = map[string]row{
	"custody": {"", "filippo.io/edwards25519 github.com/go-json-experiment/json " +
		"github.com/secure-systems-lab/go-securesystemslib/dsse github.com/sigstore/sigstore/pkg/signature " +
		"golang.org/x/mod/sumdb"},
	"custody/bundle":          {"custody custody/stamp", "github.com/go-json-experiment/json github.com/transparency-dev/merkle golang.org/x/mod/sumdb"},
	"custody/stamp":           {"custody", ""},
	"custody/format":          {"", ""},
	"custody/format/ewf":      {"", ""},
	"custody/paper":           {"custody custody/bundle custody/paper/caseuco", "codeberg.org/go-pdf/fpdf rsc.io/qr"},
	"custody/paper/caseuco":   {"custody custody/bundle", "github.com/go-json-experiment/json"},
	"custody/policy":          {"custody", "github.com/cedar-policy/cedar-go"},
	"custody/decision":        {"custody custody/policy", ""},
	"custody/replay":          {"custody custody/decision", "golang.org/x/mod/sumdb golang.org/x/sync"},
	"custody/guard":           {"custody custody/decision custody/policy", "golang.org/x/mod/sumdb"},
	"custody/guard/guardtest": {"custody custody/bundle custody/guard custody/policy custody/stamp investigate", "golang.org/x/mod/sumdb"},

	"investigate": {"custody", ""},

	"ledger":                         {"custody", "golang.org/x/mod/sumdb github.com/transparency-dev/merkle"},
	"ledger/authority":               {"custody custody/stamp", ""},
	"ledger/authority/authoritytest": {"custody custody/stamp", "github.com/stretchr/testify"},
	"ledger/enginetest":              {"custody ledger", "github.com/stretchr/testify golang.org/x/mod/sumdb golang.org/x/sync"},
	"ledger/witness":                 {"custody ledger", "github.com/go-chi/httprate golang.org/x/mod/sumdb"},
	"ledger/monitor":                 {"custody", "github.com/transparency-dev/merkle golang.org/x/mod/sumdb golang.org/x/sys"},
	"ledger/keep":                    {"custody ledger storage/sqlite", ""},
	"ledger/trillian":                {"custody ledger storage/sqlite", "github.com/google/trillian github.com/transparency-dev/merkle google.golang.org k8s.io/klog"},
	"ledger/trillian/trilliantest":   {"storage/buckettest", "github.com/stretchr/testify"},

	"storage":            {"custody custody/guard", "filippo.io/age github.com/klauspost/compress golang.org/x/sync"},
	"storage/archive":    {"custody custody/guard storage", "filippo.io/age golang.org/x/sync"},
	"storage/buckettest": {"storage storage/s3", "github.com/minio/minio-go github.com/stretchr/testify golang.org/x/sync"},
	"storage/file":       {"storage", "golang.org/x/sys"},
	"storage/s3":         {"storage", "github.com/minio/minio-go"},
	"storage/intake":     {"custody custody/guard storage storage/sql", ""},
	"storage/sql":        {"custody custody/guard storage/sqlite", "github.com/pressly/goose golang.org/x/sync"},
	"storage/sqlite":     {"", "github.com/ncruces/go-sqlite3 golang.org/x/sys"},

	"api":                {"custody custody/guard custody/policy investigate", "github.com/go-chi github.com/go-json-experiment/json github.com/prometheus/client_golang"},
	"api/client":         {"api custody investigate", "github.com/go-json-experiment/json golang.org/x/sync"},
	"api/client/keyring": {"custody", "github.com/sigstore/sigstore/pkg/cryptoutils golang.org/x/crypto/ssh"},

	"cmd/house": {"api custody custody/bundle custody/guard custody/policy custody/replay custody/stamp investigate ledger ledger/authority ledger/keep ledger/trillian ledger/witness " +
		"storage storage/archive storage/file storage/intake storage/s3 storage/sql storage/sqlite",
		"filippo.io/age github.com/go-json-experiment/json github.com/prometheus/client_golang golang.org/x/mod/sumdb golang.org/x/sys"},
	"cmd/custody": {"api api/client api/client/keyring cmd/excerpts cmd/house custody custody/bundle custody/paper custody/replay custody/format custody/format/ewf custody/stamp investigate ledger/monitor ledger/witness",
		"github.com/go-json-experiment/json github.com/spf13/cobra github.com/vbauerster/mpb golang.org/x/sys golang.org/x/term"},
	"cmd/custody-verify": {"cmd/excerpts custody custody/bundle investigate", "github.com/go-json-experiment/json"},
	"cmd/excerpts":       {"custody custody/bundle", ""},
	"cmd/wasm":           {"custody custody/bundle custody/paper investigate", "github.com/go-json-experiment/json"},
	"cmd/page":           {"", ""},

	"deploy/lossyfs": {"", "github.com/hanwen/go-fuse golang.org/x/sys"},
}

// pure are the floors that do no input or output: all they know is told them.
var pure = []string{"custody", "investigate"}

// outside are the packages of the standard library, with all below them, that
// reach out of the program, but for those that only have such a name.
var (
	outside = strings.Fields("crypto/rand database/sql expvar io/ioutil log math/rand net os " +
		"path/filepath plugin runtime/debug syscall testing unsafe")
	harmless = strings.Fields("net/netip net/url")
)

// vague are the names that say nothing about what a package is for.
var vague = strings.Fields("util utils common models model types helpers helper mock mocks misc base shared")

// top is what lies at the top of the repository; hidden files, which tools
// need, and the untracked folders of a build lie there too.
var (
	top       = strings.Fields("cmd custody ledger storage investigate api deploy go.mod go.sum Makefile README.md")
	untracked = strings.Fields("bin demo run")
)

// A source is what a package says of itself: its name and its imports.
type source struct {
	name    string
	imports []string
}

func TestLayers(t *testing.T) {
	require.Empty(t, objections(sources(t, ".."), rows))
}

func TestTopOfRepository(t *testing.T) {
	entries, err := os.ReadDir("..")
	require.NoError(t, err)
	for _, e := range entries {
		require.True(t, belongs(e.Name()), "%s does not belong at the top of the repository", e.Name())
	}
}

// TestVerifiersBuildForBrowsers: the words and proofs run in a page, too.
func TestVerifiersBuildForBrowsers(t *testing.T) {
	cmd := exec.Command("go", "build", "./custody/...")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestObjections tries each kind of breach.
func TestObjections(t *testing.T) {
	plan := map[string]row{
		"custody": {"", "golang.org/x/mod/sumdb"},
		"ledger":  {"custody", ""},
		"storage": {"custody", ""},
	}
	for _, c := range []struct {
		name string
		add  map[string]source
		want string
	}{
		{"all is well", map[string]source{
			"custody": {"custody", []string{"fmt", "net/url", "golang.org/x/mod/sumdb/note"}},
			"ledger":  {"ledger", []string{"os", module + "/custody"}},
		}, ""},
		{"a package without a row", map[string]source{"api": {"api", nil}}, "api has no row"},
		{"a row without a package", map[string]source{"ledger": {}}, "ledger has a row and no source"},
		{"a stranger", map[string]source{"ledger": {"ledger", []string{module + "/storage"}}}, "ledger may not import storage"},
		{"somebody above", map[string]source{"custody": {"custody", []string{module + "/ledger"}}}, "custody may not import ledger"},
		{"a library", map[string]source{"storage": {"storage", []string{"golang.org/x/mod"}}}, "storage may not import golang.org/x/mod"},
		{"a library of the same beginning", map[string]source{"custody": {"custody", []string{"golang.org/x/mod/sumdbs"}}}, "custody may not import golang.org/x/mod/sumdbs"},
		{"the system", map[string]source{"custody": {"custody", []string{"os"}}}, "custody may not import os"},
		{"the network", map[string]source{"custody": {"custody", []string{"net/http"}}}, "custody may not import net/http"},
		{"C", map[string]source{"ledger": {"ledger", []string{"C"}}}, "ledger may not import C"},
		{"a vague folder", map[string]source{"storage/util": {"sizes", nil}}, "storage/util has a name that says nothing"},
		{"a vague name", map[string]source{"storage": {"helpers", nil}}, "storage has a name that says nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := map[string]source{"custody": {name: "custody"}, "ledger": {name: "ledger"}, "storage": {name: "storage"}}
			for name, s := range c.add {
				if found[name] = s; s.name == "" {
					delete(found, name)
				}
			}
			got := objections(found, plan)
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, c.want)
		})
	}
	require.False(t, belongs("pkg"))
	require.False(t, belongs("main.go"))
	require.True(t, belongs(".ci"))
}

// objections lists everything in which the packages found differ from the plan.
func objections(found map[string]source, plan map[string]row) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		if _, ok := found[name]; !ok {
			all = append(all, name+" has a row and no source")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		r, ok := plan[name]
		if !ok {
			all = append(all, name+" has no row")
		}
		if slices.ContainsFunc(append(strings.Split(name, "/"), found[name].name), isVague) {
			all = append(all, name+" has a name that says nothing")
		}
		for _, i := range found[name].imports {
			if !allowed(name, r, i) {
				all = append(all, fmt.Sprintf("%s may not import %s", name, strings.TrimPrefix(i, module+"/")))
			}
		}
	}
	return all
}

func isVague(name string) bool { return slices.Contains(vague, name) }

// allowed reports whether the package called name, with row r, may import i.
func allowed(name string, r row, i string) bool {
	first, _, _ := strings.Cut(i, "/")
	switch {
	case strings.HasPrefix(i, module+"/"):
		return slices.Contains(strings.Fields(r.own), strings.TrimPrefix(i, module+"/"))
	case strings.Contains(first, "."):
		return within(i, strings.Fields(r.others))
	case i == "C":
		return false
	case within(name, pure):
		return within(i, harmless) || !within(i, outside)
	}
	return true
}

// within reports whether name is one of the folders, or lies in one.
func within(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		rest, ok := strings.CutPrefix(name, f)
		return ok && (rest == "" || rest[0] == '/')
	})
}

func belongs(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains(top, name) || slices.Contains(untracked, name)
}

// sources reads the packages below root, for all systems at once, without their
// tests.
func sources(t *testing.T, root string) map[string]source {
	found := map[string]source{}
	require.NoError(t, filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != root {
				return filepath.SkipDir // a module of its own, which this one does not depend on
			}
			if file != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || filepath.Dir(file) == root && slices.Contains(untracked, e.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		s, err := read(file, found[filepath.ToSlash(dir)])
		found[filepath.ToSlash(dir)] = s
		return err
	}))
	return found
}

// read adds what a file imports to what is known of its package.
func read(file string, s source) (source, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return s, err
	}
	s.name = parsed.Name.Name
	for _, spec := range parsed.Imports {
		i, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return s, err
		}
		if !slices.Contains(s.imports, i) {
			s.imports = append(s.imports, i)
		}
	}
	return s, nil
}
