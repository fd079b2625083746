package bundle_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody/bundle"
)

// headed is a bundle with a word of its head replaced.
func headed(t testing.TB, b []byte, old, new string) []byte {
	t.Helper()
	list := members(t, b)
	require.Equal(t, "bundle.json", list[0].name)
	require.Contains(t, string(list[0].content), old)
	list[0].content = []byte(strings.Replace(string(list[0].content), old, new, 1))
	return archive(list)
}

// asV1 is a bundle under the head that version 1 had.
func asV1(t testing.TB, b []byte) []byte {
	t.Helper()
	list := members(t, b)
	var h struct {
		Artifact, Leaves bool
		Incident         string
		Items            []string
	}
	head := string(list[0].content)
	_, streams, ok := strings.Cut(head, `,"streams":`)
	require.True(t, ok)
	require.NoError(t, json.Unmarshal(list[0].content, &h, json.MatchCaseInsensitiveNames(true)))
	list[0].content = fmt.Appendf(nil, `{"artifact":%t,"evidence":"%s","format":"https://github.com/forensic-custody/custody/bundle/v1","incident":"%s","leaves":%t,"streams":%s`,
		h.Artifact, h.Items[0], h.Incident, h.Leaves, streams)
	return archive(list)
}

// TestTheVersionBefore says the same of the same records.
func TestTheVersionBefore(t *testing.T) {
	s := newStory(t, 1)
	for _, leaves := range []bool{true, false} {
		b := written(t, contents(t, s, leaves))
		old := asV1(t, b)
		require.NotEqual(t, b, old)
		require.Equal(t, verify(b, s.Trust), verify(old, s.Trust))
		require.True(t, verify(old, s.Trust).Verified)
	}

	// What is made of one is of the version now.
	old := asV1(t, written(t, contents(t, s, true)))
	var with bytes.Buffer
	require.NoError(t, bundle.AddArtifact(&with, bytes.NewReader(old), bytes.NewReader(s.Artifact), uint64(len(s.Artifact))))
	c := contents(t, s, true)
	c.Artifact, c.Size = bytes.NewReader(s.Artifact), uint64(len(s.Artifact))
	require.Equal(t, written(t, c), with.Bytes())
	require.True(t, verify(with.Bytes(), s.Trust).Verified)
}

// TestHeads: what a head may not say.
func TestHeads(t *testing.T) {
	s := newStory(t, 1)
	b := written(t, contents(t, s, true))
	require.True(t, verify(headed(t, b, `"scope":"exhibit"`, `"scope":"exhibit"`), s.Trust).Verified)
	item, key := fmt.Sprintf(`["%s"]`, s.Evidence), `"stream":"evidence/`
	for name, c := range map[string]struct{ old, new, says string }{
		"another scope":            {`"scope":"exhibit"`, `"scope":"everything"`, "is not known"},
		"no scope":                 {`"scope":"exhibit",`, ``, "not in canonical form"},
		"no item":                  {item, `[]`, "0 items"},
		"two items":                {item, `["e-aaaaaaaaaaaaaaaa",` + item[1:], "2 items"},
		"an item twice":            {item, fmt.Sprintf(`["%s","%s"]`, s.Evidence, s.Evidence), "not in order"},
		"no identifier":            {item, `["EX-1"]`, "EX-1"},
		"another format":           {"/bundle/v2", "/bundle/v3", "is neither"},
		"the format of version 1":  {"/bundle/v2", "/bundle/v1", "unknown"},
		"a member of version 1":    {`"incident":`, `"evidence":"e-aaaaaaaaaaaaaaaa","incident":`, "unknown"},
		"a member twice":           {`"leaves":true`, `"leaves":true,"leaves":true`, "duplicate"},
		"nothing where a list is":  {`"streams":`, `"stamps":[],"streams":`, "not in canonical form"},
		"stamps that are not here": {`"streams":`, `"stamps":[3],"streams":`, ""},
		"stamps out of order":      {`"streams":`, `"stamps":[3,3],"streams":`, "not in order"},
		"erased behind the end":    {`{"length":4,"single":[],` + key, `{"erased":[4],"length":4,"single":[],` + key, "none of its"},
		"null":                     {`"leaves":true`, `"leaves":null`, "not in canonical form"},
	} {
		t.Run(name, func(t *testing.T) {
			v := verify(headed(t, b, c.old, c.new), s.Trust)
			require.False(t, v.Verified)
			require.Contains(t, fmt.Sprint(v.Problems), c.says)
		})
	}
	for name, change := range map[string]string{
		"withheld records": `"withheld":[1],`, "excerpts": `"excerpts":[],`, "scope": `"scope":"exhibit",`,
	} {
		require.False(t, verify(headed(t, asV1(t, b), `"streams":`, change+`"streams":`), s.Trust).Verified, name)
	}
}
