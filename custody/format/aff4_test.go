package format_test

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/format"
)

func volume(t testing.TB, turtle string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range [][2]string{{"container.description", "aff4://4711"}, {"information.turtle", turtle}} {
		f, err := w.Create(m[0])
		require.NoError(t, err)
		_, err = f.Write([]byte(m[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// TestAFF4Stated reads a description as the standard's example has it.
func TestAFF4Stated(t *testing.T) {
	sha1, md5 := strings.Repeat("7d", 20), strings.Repeat("D5", 16)
	b := volume(t, `@prefix aff4: <http://aff4.org/Schema#> .
<aff4://5aea2dd0> a aff4:Map ; aff4:dependentStream <aff4://c215ba20> ;
  aff4:size "268435456"^^xsd:long ; aff4:blockMapHashSHA512 "short"^^aff4:SHA512 .
<aff4://c215ba20> a aff4:ImageStream ;
  aff4:hash "`+sha1+`"^^aff4:SHA1 , "`+md5+`"^^aff4:MD5 .
`)
	require.Equal(t, "aff4", format.Recognize(bytes.NewReader(b), int64(len(b))).Name)
	list, err := format.AFF4Stated(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Equal(t, []format.Stated{{Algorithm: "SHA1", Hex: sha1}, {Algorithm: "MD5", Hex: md5}}, list)

	many := volume(t, strings.Repeat(`"`+sha1+`"^^aff4:SHA1 `, 100_000))
	list, err = format.AFF4Stated(bytes.NewReader(many), int64(len(many)))
	require.NoError(t, err)
	require.Len(t, list, 16)
	for n := range b {
		_, _ = format.AFF4Stated(bytes.NewReader(b[:n]), int64(n)) // returns
	}
	_, err = format.AFF4Stated(bytes.NewReader(b[:len(b)-30]), int64(len(b)-30))
	require.Error(t, err)
}
