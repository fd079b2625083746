package bundle_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

const (
	block = custody.BlockSize
	chunk = custody.ChunkSize
)

// noise is size bytes that repeat nowhere.
func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b) // never fails
	return b
}

// excerpted adds stretches to a bundle.
func excerpted(t testing.TB, b []byte, s *guardtest.Story, stretches ...bundle.Stretch) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, bundle.AddExcerpts(&out, bytes.NewReader(b), s.Evidence, bytes.NewReader(s.Artifact), stretches...))
	return out.Bytes()
}

// disclosed are the bytes of a bundle's excerpts, after it was verified.
func disclosed(t testing.TB, v *bundle.Verdict, b []byte) (list [][]byte) {
	t.Helper()
	require.NoError(t, v.Excerpts(bytes.NewReader(b), func(_ custody.EvidenceID, x bundle.Excerpt, content io.Reader) error {
		got, err := io.ReadAll(content)
		require.Len(t, got, int(x.Length))
		list = append(list, got)
		return err
	}))
	return list
}

// requireExcerpts verifies a bundle with these stretches in it.
func requireExcerpts(t testing.TB, s *guardtest.Story, b []byte, stretches ...bundle.Stretch) {
	t.Helper()
	v := verify(b, s.Trust)
	require.Empty(t, v.Problems)
	require.Equal(t, bundle.ArtifactAbsent, v.Items[0].ArtifactState)
	got := disclosed(t, v, b)
	require.Len(t, got, len(stretches))
	for n, x := range stretches {
		want := s.Artifact[x.Offset : x.Offset+x.Length]
		require.True(t, bytes.Equal(want, got[n]))
		require.Equal(t, bundle.Excerpt{Offset: x.Offset, Length: x.Length, SHA256: custody.Hash(want)}, v.Items[0].Excerpts[n])
	}
}

// TestExcerpts of an artifact of three chunks, the second one of zeros, the last one
// short, as its last block is.
func TestExcerpts(t *testing.T) {
	artifact := noise(2*chunk + 3*block + 100)
	clear(artifact[chunk : 2*chunk])
	s := taken(t, artifact)
	plain, size := written(t, contents(t, s, true)), uint64(len(artifact))
	for name, list := range map[string][]bundle.Stretch{
		"one byte, the first":              {{0, 1}},
		"one byte, the last":               {{size - 1, 1}},
		"the first block":                  {{0, block}},
		"the last block":                   {{size - 100, 100}},
		"over the last border of blocks":   {{size - 101, 2}},
		"within a block":                   {{5*block + 17, 1000}},
		"over a border of blocks":          {{6*block - 1, 2}},
		"over a border of chunks":          {{chunk - 3, 7}},
		"out of a chunk of zeros":          {{chunk + 100, 512}},
		"a chunk of zeros":                 {{chunk, chunk}},
		"more than a chunk of zeros":       {{chunk - 1, chunk + 2}},
		"the last chunk":                   {{2 * chunk, 3*block + 100}},
		"several":                          {{0, 512}, {block, 1}, {chunk - 1, 2}, {size - 1, 1}},
		"everything":                       {{0, size}},
		"everything, in two that are next": {{0, chunk}, {chunk, size - chunk}},
	} {
		t.Run(name, func(t *testing.T) {
			b := excerpted(t, plain, s, list...)
			requireExcerpts(t, s, b, list...)
			require.Equal(t, b, excerpted(t, plain, s, backwards(list)...), "in any order")
		})
	}
	one := excerpted(t, plain, s, bundle.Stretch{Offset: 6*block - 1, Length: 2})
	require.Less(t, len(one), len(plain)+2*block+8192, "nothing else of the artifact")
	require.Contains(t, text(t, verify(one, s.Trust)), fmt.Sprintf("in this bundle, as sealed: bytes %d to %d (2 of them), SHA-256 %s\n", 6*block-1, 6*block, custody.Hash(artifact[6*block-1:6*block+1]).Hex()))
	require.Contains(t, text(t, verify(one, s.Trust)), fmt.Sprintf("with the rest of their blocks: bytes %d to %d\n", 5*block, 7*block-1))
	require.NotContains(t, text(t, verify(excerpted(t, plain, s, bundle.Stretch{Offset: block, Length: block}), s.Trust)), "with the rest of")
}

// TestExcerptsOfEverySize: of artifacts around the sizes of blocks, at random.
func TestExcerptsOfEverySize(t *testing.T) {
	at := rand.New(rand.NewPCG(1, 2))
	for _, size := range []uint64{1, 2, block - 1, block, block + 1, 2 * block, 3*block + 7, 5 * block, 8*block - 1, 9*block + 1} {
		s := taken(t, noise(int(size)))
		plain := written(t, contents(t, s, false))
		for range 12 {
			from := at.Uint64N(size)
			x := bundle.Stretch{Offset: from, Length: 1 + at.Uint64N(size-from)}
			requireExcerpts(t, s, excerpted(t, plain, s, x), x)
		}
	}
}

// TestAnEmptyArtifact has no bytes to show, and raises no alarm.
func TestAnEmptyArtifact(t *testing.T) {
	s := taken(t, nil)
	for _, leaves := range []bool{true, false} {
		c := contents(t, s, leaves)
		b := written(t, c)
		v := verify(b, s.Trust)
		require.Empty(t, v.Problems)
		require.Zero(t, v.Items[0].Artifact.Size)
		for _, x := range []bundle.Stretch{{}, {0, 1}, {1, 1}} {
			require.Error(t, bundle.AddExcerpts(new(bytes.Buffer), bytes.NewReader(b), s.Evidence, bytes.NewReader(nil), x))
		}
		claimed := headed(t, b, `"format":`, fmt.Sprintf(`"excerpts":[{"evidence":"%s","length":1,"offset":0}],"format":`, s.Evidence))
		requireProblem(t, verify(claimed, s.Trust), "has 0 bytes")
		c.Artifact, c.Size = bytes.NewReader(nil), 0
		with := written(t, c)
		require.Equal(t, bundle.ArtifactMatches, verify(with, s.Trust).Items[0].ArtifactState)
		require.Empty(t, verify(with, s.Trust).Problems)
	}
}

// TestNoExcerpts of what was not sealed, nor of what is no stretch.
func TestNoExcerpts(t *testing.T) {
	artifact := noise(3*block + 7)
	s := taken(t, artifact)
	b := written(t, contents(t, s, true))
	x := bundle.Stretch{Offset: 5, Length: 10}
	try := func(b []byte, id custody.EvidenceID, artifact []byte, list ...bundle.Stretch) error {
		return bundle.AddExcerpts(new(bytes.Buffer), bytes.NewReader(b), id, bytes.NewReader(artifact), list...)
	}
	require.NoError(t, try(b, s.Evidence, artifact, x))
	other := bytes.Clone(artifact)
	other[len(other)-1] ^= 1
	for name, err := range map[string]error{
		"another artifact":        try(b, s.Evidence, other, x),
		"a longer one":            try(b, s.Evidence, append(bytes.Clone(artifact), 0), x),
		"a shorter one":           try(b, s.Evidence, artifact[:len(artifact)-1], x),
		"none":                    try(b, s.Evidence, nil, x),
		"another item":            try(b, "e-aaaaaaaaaaaaaaaa", artifact, x),
		"no stretch":              try(b, s.Evidence, artifact),
		"nothing":                 try(b, s.Evidence, artifact, bundle.Stretch{Offset: 5}),
		"beyond the end":          try(b, s.Evidence, artifact, bundle.Stretch{Offset: 3 * block, Length: 8}),
		"far beyond the end":      try(b, s.Evidence, artifact, bundle.Stretch{Offset: 1 << 40, Length: 8}),
		"a length without end":    try(b, s.Evidence, artifact, bundle.Stretch{Offset: 8, Length: 1<<64 - 1}),
		"two in one block":        try(b, s.Evidence, artifact, x, bundle.Stretch{Offset: 100, Length: 1}),
		"twice the same":          try(b, s.Evidence, artifact, x, x),
		"to a bundle that has":    try(excerpted(t, b, s, x), s.Evidence, artifact, bundle.Stretch{Offset: block, Length: 1}),
		"to no bundle":            try(artifact, s.Evidence, artifact, x),
		"to a bundle in part":     try(b[:len(b)/2], s.Evidence, artifact, x),
		"with the whole artifact": try(withArtifact(t, b, artifact), s.Evidence, artifact, x),
	} {
		require.Error(t, err, name)
	}
	require.ErrorContains(t, try(b, s.Evidence, other, x), "sealed were 196615 bytes with "+custody.Hash(artifact).Hex())
	require.Error(t, bundle.AddArtifact(new(bytes.Buffer), bytes.NewReader(excerpted(t, b, s, x)), bytes.NewReader(artifact), uint64(len(artifact))))
	require.ErrorContains(t, bundle.AddExcerpts(new(bytes.Buffer), bytes.NewReader(b), s.Evidence, failing{}, x), "the cable is out")
}

func withArtifact(t testing.TB, b, artifact []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, bundle.AddArtifact(&out, bytes.NewReader(b), bytes.NewReader(artifact), uint64(len(artifact))))
	return out.Bytes()
}

// TestForgedExcerpts: other bytes, other places, other proofs.
func TestForgedExcerpts(t *testing.T) {
	artifact := noise(5*block + 7)
	s := taken(t, artifact)
	plain := written(t, contents(t, s, true))
	b := excerpted(t, plain, s, bundle.Stretch{Offset: block + 10, Length: 20}, bundle.Stretch{Offset: 3 * block, Length: block + 1})
	list := members(t, b)
	n := len(list) - 3 // two excerpts, and their proofs
	require.Equal(t, fmt.Sprintf("excerpts/%s/%d", s.Evidence, block+10), list[n].name)
	require.Equal(t, fmt.Sprintf("excerpts/%s/proofs", s.Evidence), list[n+2].name)

	for at := 0; at < block; at += 1021 { // also beside the stretch itself
		again := slices.Clone(list)
		again[n].content = bytes.Clone(list[n].content)
		again[n].content[at] ^= 1
		requireProblem(t, verify(archive(again), s.Trust), "not those of the artifact that was sealed")
	}
	proofs := string(list[n+2].content)
	for at := strings.Index(proofs, "sha256:"); at >= 0 && at < len(proofs)-70; at += 74 {
		for _, c := range "0f" {
			forged := proofs[:at+10] + string(c) + proofs[at+11:]
			if forged == proofs {
				continue
			}
			again := slices.Clone(list)
			again[n+2].content = []byte(forged)
			require.False(t, verify(archive(again), s.Trust).Verified, at)
		}
	}
	first, second, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(proofs, `{"excerpts":[`), `]}`), `},{`)
	first, second = first+"}", "{"+second
	put := func(text string) []byte {
		again := slices.Clone(list)
		again[n+2].content = []byte(text)
		return archive(again)
	}
	require.True(t, verify(put(`{"excerpts":[`+first+`,`+second+`]}`), s.Trust).Verified)
	both := func(b []byte) []byte { return archive(append(members(t, b), member{"artifact", artifact})) }
	for name, b := range map[string][]byte{
		"proofs exchanged":        put(`{"excerpts":[` + second + `,` + first + `]}`),
		"one proof twice":         put(`{"excerpts":[` + first + `,` + first + `]}`),
		"one proof":               put(`{"excerpts":[` + first + `]}`),
		"one proof more":          put(`{"excerpts":[` + first + `,` + second + `,` + second + `]}`),
		"empty proofs":            put(`{"excerpts":[` + emptied(first) + `,` + emptied(second) + `]}`),
		"a hash more":             put(`{"excerpts":[` + first + `,` + strings.Replace(second, `],`, `,"`+custody.Hash(nil).String()+`"],`, 1) + `]}`),
		"a member more":           put(`{"excerpt":1,"excerpts":[` + first + `,` + second + `]}`),
		"white space":             put(`{"excerpts":[` + first + `, ` + second + `]}`),
		"nothing":                 put(``),
		"another offset":          headed(t, b, fmt.Sprintf(`"length":20,"offset":%d`, block+10), fmt.Sprintf(`"length":20,"offset":%d`, block+11)),
		"the block before":        headed(t, b, fmt.Sprintf(`"length":20,"offset":%d`, block+10), `"length":20,"offset":10`),
		"a length that is near":   headed(t, b, `"length":20,`, `"length":21,`),
		"another length":          headed(t, b, `"length":20,`, fmt.Sprintf(`"length":%d,`, block)),
		"no length":               headed(t, b, `"length":20,`, `"length":0,`),
		"a length without end":    headed(t, b, `"length":20,`, `"length":9007199254740991,`),
		"another item":            headed(t, b, fmt.Sprintf(`{"evidence":"%s","length":20`, s.Evidence), `{"evidence":"e-aaaaaaaaaaaaaaaa","length":20`),
		"beyond the end":          headed(t, b, fmt.Sprintf(`"length":%d`, block+1), fmt.Sprintf(`"length":%d`, 2*block+8)),
		"an excerpt unmentioned":  headed(t, b, fmt.Sprintf(`{"evidence":"%s","length":20,"offset":%d},`, s.Evidence, block+10), ``),
		"none mentioned":          headed(t, b, string(list[0].content[strings.Index(string(list[0].content), `"excerpts"`):strings.Index(string(list[0].content), `"format"`)]), ``),
		"the artifact beside":     headed(t, b, `"artifact":false`, `"artifact":true`),
		"both, and all bytes":     both(headed(t, b, `"artifact":false`, `"artifact":true`)),
		"an excerpt of nothing":   headed(t, plain, `"format":`, `"excerpts":[{"evidence":"e-aaaaaaaaaaaaaaaa","length":20,"offset":0}],"format":`),
		"an excerpt left out":     archive(slices.Delete(slices.Clone(list), n, n+1)),
		"the proofs left out":     archive(slices.Delete(slices.Clone(list), n+2, n+3)),
		"the artifact behind it":  archive(append(slices.Clone(list), member{"artifact", artifact})),
		"a path out of the place": archive(append(slices.Clone(list[:n]), member{"excerpts/../../x", list[n].content}, list[n+1], list[n+2])),
	} {
		v := verify(b, s.Trust)
		require.False(t, v.Verified, name)
		require.Error(t, v.Excerpts(bytes.NewReader(b), func(custody.EvidenceID, bundle.Excerpt, io.Reader) error { panic("given out") }), name)
	}
}

// emptied is a proof with nothing beside.
func emptied(proof string) string {
	return `{"beside":[` + proof[strings.Index(proof, `]`):]
}

// TestABundleThatChanges between its verification and the reading of its excerpts.
func TestABundleThatChanges(t *testing.T) {
	s := taken(t, noise(2*block))
	b := excerpted(t, written(t, contents(t, s, true)), s, bundle.Stretch{Offset: 100, Length: 1000})
	v := verify(b, s.Trust)
	require.True(t, v.Verified)
	ignore := func(custody.EvidenceID, bundle.Excerpt, io.Reader) error { return nil }
	require.NoError(t, v.Excerpts(bytes.NewReader(b), ignore), "what is not read is held against the verdict too")
	at := bytes.Index(b, s.Artifact[500:600])
	changed := bytes.Clone(b)
	changed[at] ^= 1
	require.ErrorContains(t, v.Excerpts(bytes.NewReader(changed), ignore), "not the one that was verified")
	for n := 0; n < at; n += 997 {
		require.Error(t, v.Excerpts(bytes.NewReader(b[:n]), ignore))
	}
}

// TestWhatIsKeptWithExcerpts: the other ways to change a bundle leave them.
func TestWhatIsKeptWithExcerpts(t *testing.T) {
	s := taken(t, noise(2*block))
	x := bundle.Stretch{Offset: 100, Length: 1000}
	plain := written(t, contents(t, s, true))
	require.Equal(t, redacted(t, excerpted(t, plain, s, x), bundle.Others), excerpted(t, redacted(t, plain, bundle.Others), s, x))
	require.Equal(t, excerpted(t, plain, s, x), excerpted(t, asV1(t, plain), s, x))
	v := bundle.Verify(bytes.NewReader(excerpted(t, plain, s, x)), s.Trust, bundle.Options{Words: investigate.Words(), Artifact: bytes.NewReader(s.Artifact)})
	require.Equal(t, bundle.ArtifactMatches, v.Items[0].ArtifactState)
	require.Len(t, v.Items[0].Excerpts, 1)
}

// TestAnExcerptIsMadeInLittleMemory, however large the artifact.
func TestAnExcerptIsMadeInLittleMemory(t *testing.T) {
	s := taken(t, make([]byte, 96<<20))
	b := written(t, contents(t, s, false))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, bundle.AddExcerpts(io.Discard, bytes.NewReader(b), s.Evidence, bytes.NewReader(s.Artifact), bundle.Stretch{Offset: 77 << 20, Length: 512}))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

func backwards(list []bundle.Stretch) []bundle.Stretch {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// TestExcerptsOfManyItems: a head that names many of both keeps nobody busy.
func TestExcerptsOfManyItems(t *testing.T) {
	s := newStory(t, 1)
	list := members(t, written(t, contents(t, s, true)))[:2]
	var items, excerpts []string
	const many = 60_000
	for n := range many {
		items = append(items, fmt.Sprintf(`"%s"`, custody.NewEvidenceID(custody.Hash(fmt.Appendf(nil, "%d", n)))))
	}
	slices.Sort(items)
	for n := range many {
		excerpts = append(excerpts, fmt.Sprintf(`{"evidence":%s,"length":1,"offset":%d}`, items[many-1], n*block))
	}
	list[0].content = fmt.Appendf(nil, `{"artifact":false,"excerpts":[%s],"format":"%s","incident":"%s","items":[%s],"leaves":false,"scope":"incident","streams":[]}`,
		strings.Join(excerpts, ","), bundle.Format, s.Incident, strings.Join(items, ","))
	began := time.Now()
	v := verify(archive(list), s.Trust)
	require.False(t, v.Verified)
	require.Contains(t, v.Problems[len(v.Problems)-1].What, "which is not sealed")
	require.Less(t, time.Since(began), 5*time.Second)
}
