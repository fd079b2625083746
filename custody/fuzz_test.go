package custody_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

// seeds adds the vectors that match a pattern.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join(vectors, pattern))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(b)
	}
}

// Each of these holds that what parses encodes to the same bytes, and that
// whatever does not parse is refused without a panic.

func FuzzEnvelope(f *testing.F) {
	seeds(f, "statements/*.dsse")
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := custody.ParseEnvelope(b)
		if err != nil {
			return
		}
		require.Equal(t, b, take(e.Marshal()))
		if s, err := e.Statement(investigate.Words()); err == nil {
			require.Equal(t, s.Kind, s.Act.Kind())
			require.Equal(t, custody.Hash(e.Payload), s.Payload)
		}
	})
}

func FuzzRecord(f *testing.F) {
	seeds(f, "record.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := custody.ParseRecord(b); err == nil {
			require.Equal(t, b, take(r.Marshal()))
		}
	})
}

func FuzzReceipt(f *testing.F) {
	seeds(f, "record.tlog-proof")
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := custody.ParseReceipt(b); err == nil {
			require.Equal(t, b, r.Marshal())
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add("custody.example/demo\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")
	f.Add("a\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Fuzz(func(t *testing.T, body string) {
		if c, err := custody.ParseCheckpoint(body); err == nil {
			require.Equal(t, body, c.String())
		}
	})
}

func FuzzTrust(f *testing.F) {
	seeds(f, "trust.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		if trust, err := custody.ParseTrust(b); err == nil {
			require.Equal(t, b, take(trust.Marshal()))
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add(take(os.ReadFile(filepath.Join(vectors, "keys.json"))))
	f.Add(append(append([]byte{}, ed25519Prefix...), make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, der []byte) {
		if k, err := custody.ParsePublicKey(der); err == nil {
			require.Equal(t, der, k.Bytes())
		}
	})
}
