package custody

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAppendersWriteWhatEncodeWrites: one that lacks a field would only make
// Decode slower, which no other test sees.
func TestAppendersWriteWhatEncodeWrites(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors/record.json")
	require.NoError(t, err)
	r, err := ParseRecord(b)
	require.NoError(t, err)
	s, err := r.Envelope.Statement(Acts())
	require.NoError(t, err)
	r.Declares = []Declaration{{Stream: "a", TagKey: Digest{1}}, {Stream: "b"}}
	r.Decision.Reason = "“no” \"\\\n"
	for _, v := range []appender{r, &r.Envelope, &payload{
		Type: StatementType, Predicate: predicate{Act: s.Act, Header: s.Header},
		PredicateType: "p", Subject: s.Act.Subject().encode(),
	}} {
		want, err := Encode(v)
		require.NoError(t, err)
		require.Equal(t, string(want), string(v.appendCanonical(nil)))
	}
}
