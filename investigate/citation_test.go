package investigate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

const item = "e-abcdefghijklmnop"

// TestCitationsInText: what a citation's text form says, and what is none (S-34).
func TestCitationsInText(t *testing.T) {
	name := func(raw string) *custody.Name {
		n, err := custody.NewName([]byte(raw))
		require.NoError(t, err)
		return &n
	}
	for text, want := range map[string]investigate.Place{
		"for":                                        {Kind: "whole"},
		"for:range=4096+512":                         {Kind: "range", Offset: 4096, Length: 512},
		"against:file=/etc/passwd":                   {Kind: "file", File: name("/etc/passwd")},
		"for:file=C:\u00a0=,file=x":                  {Kind: "file", File: name("C:\u00a0=,file=x")},
		"for:range=0+5,file=/a,file=b":               {Kind: "file", File: name("/a,file=b"), Length: 5},
		"for:line=120-140":                           {Kind: "line", From: 120, To: 140},
		"for:line=7":                                 {Kind: "line", From: 7, To: 7},
		"for:record=0":                               {Kind: "record"},
		"for:record=9007199254740991":                {Kind: "record", Record: 1<<53 - 1},
		"against:address=0xffff8880":                 {Kind: "address", Address: "0xffff8880"},
		"for:address=0x0":                            {Kind: "address", Address: "0x0"},
		"for:address=0xffffffffffffffff":             {Kind: "address", Address: "0xffffffffffffffff"},
		"for:range=9007199254740991+1,file=/var/log": {Kind: "file", File: name("/var/log"), Offset: 1<<53 - 1, Length: 1},
	} {
		sum := custody.Hash([]byte("kept"))
		c := investigate.Citation{SHA256: sum}
		require.NoError(t, c.Set(item+":"+text), text)
		stance, _, _ := strings.Cut(text, ":")
		require.Equal(t, investigate.Citation{Evidence: item, Place: want, SHA256: sum, Stance: stance}, c, text)
		if !strings.Contains(text, "\u00a0") { // which is shown escaped
			require.Equal(t, item+":"+text, c.String())
		}
	}
	for _, text := range []string{
		"", item, item + ":", item + ":maybe", "e-short:for", item + ":for:nowhere", item + ":for:range=1", item + ":for:range=1+0",
		item + ":for:range=01+1", item + ":for:range=+1+1", item + ":for:range=-1+1", item + ":for:range=1+9007199254740992",
		item + ":for:file=", item + ":for:range=1+0,file=x", item + ":for:line=0", item + ":for:line=2-1", item + ":for:line=1-2-3", item + ":for:record=",
		item + ":for:record=x", item + ":for:address=", item + ":for:address=0x", item + ":for:address=0x00", item + ":for:address=0xFF",
		item + ":for:address=ff", item + ":for:address=0x1ffffffffffffffff", item + ":for:line=1:for",
	} {
		c := investigate.Citation{Stance: "untouched"}
		require.Error(t, c.Set(text), text)
		require.Equal(t, investigate.Citation{Stance: "untouched"}, c, text)
	}
}

// FuzzCitation: a citation's text is read as what it is written as again, and the
// two are the same citation.
func FuzzCitation(f *testing.F) {
	for _, seed := range []string{":for", ":against:range=1+2,file=x", ":for:line=1-2", ":for:record=3", ":for:address=0x1f", ":for:file=\xff"} {
		f.Add(item + seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c, again investigate.Citation
		if c.Set(text) != nil {
			return
		}
		if c.Place.File != nil && c.Place.File.Bytes != nil {
			return // shown escaped
		}
		require.NoError(t, again.Set(c.String()))
		require.Equal(t, c, again)
	})
}

// TestPlacesHaveTheirOwnMembers: a place with a member of another kind would be read
// in two ways, and is refused as malformed.
func TestPlacesHaveTheirOwnMembers(t *testing.T) {
	on := investigate.On{Incident: custody.NewIncidentID(custody.Hash(nil))}
	check := func(p investigate.Place) error {
		a := &investigate.Event{On: on, Happened: investigate.Happened{At: 1}, Source: "x", Title: "x",
			Citations: []investigate.Citation{{Evidence: item, Stance: "for", Place: p}}}
		return a.Check(&custody.Statement{Header: custody.Header{Time: 2}})
	}
	file := &custody.Name{Display: "/etc"}
	for _, good := range []investigate.Place{
		{Kind: "whole"}, {Kind: "range", Length: 1}, {Kind: "file", File: file}, {Kind: "line", From: 1, To: 1}, {Kind: "record"}, {Kind: "address", Address: "0x1"},
	} {
		require.NoError(t, check(good), good.Kind)
		for member, change := range map[string]func(*investigate.Place){
			"address": func(p *investigate.Place) { p.Address = "0x2" },
			"file":    func(p *investigate.Place) { p.File = &custody.Name{Display: "x"} },
			"line":    func(p *investigate.Place) { p.From, p.To = 2, 3 },
			"range":   func(p *investigate.Place) { p.Offset, p.Length = 1, 2 },
			"record":  func(p *investigate.Place) { p.Record = 4 },
		} {
			own := member == good.Kind || member == "range" && good.Kind == "file"
			require.Equal(t, own, check(*with(&good, change)) == nil, "%s with %s", good.Kind, member)
		}
	}
	require.ErrorContains(t, check(investigate.Place{}), "is none of")
	require.ErrorContains(t, check(investigate.Place{Kind: "file"}), "path is missing")
	require.ErrorContains(t, check(investigate.Place{Kind: "file", File: file, Offset: 1}), "at least a byte")
	require.ErrorContains(t, check(investigate.Place{Kind: "file", File: &custody.Name{Display: "a\nb"}}), "not shown as it must be")
	require.ErrorContains(t, check(investigate.Place{Kind: "file", File: &custody.Name{Display: "ab", Bytes: []byte("ab")}}), "not shown as it must be")
	require.ErrorContains(t, check(investigate.Place{Kind: "file", File: &custody.Name{Display: "ab", Bytes: []byte("a\nb")}}), "not shown as it must be")
}

// TestIndicatorsInText: what an indicator is, and what is none.
func TestIndicatorsInText(t *testing.T) {
	md5 := strings.Repeat("0a", 16)
	for _, text := range []string{
		"ip:203.0.113.7", "ip:2001:db8::1", "url:https://a.example/b:c", "md5:" + md5, "sha1:" + md5 + "00000000", "sha256:" + md5 + md5,
		"domain:a.example", "registry-key:HKLM\\Software", "other:a tune",
	} {
		var x investigate.Indicator
		require.NoError(t, x.Set(text), text)
		require.Equal(t, text, x.String())
	}
	for _, text := range []string{
		"", "ip", "ip:", "ip:203.0.113.07", "ip:2001:DB8::1", "ip:host", "md5:" + md5 + "0a", "md5:" + strings.ToUpper(md5), "sha256:" + md5,
		"colour:red", "domain: a", "domain:a\u202eb",
	} {
		x := investigate.Indicator{Type: "untouched"}
		require.Error(t, x.Set(text), text)
		require.Equal(t, investigate.Indicator{Type: "untouched"}, x)
	}
}

// TestTechniques: by the form that ATT&CK gives them.
func TestTechniques(t *testing.T) {
	check := func(list ...string) error {
		x := &examined{on: investigate.On{Incident: custody.NewIncidentID(custody.Hash(nil))}}
		f := x.finding()
		f.Techniques = list
		return f.Check(&custody.Statement{})
	}
	require.NoError(t, check())
	require.NoError(t, check("T1059", "T1059.001"))
	for _, bad := range []string{"", "T", "T105", "T10590", "1059", "t1059", "T1059.", "T1059.01", "T1059.0001", "T1059.001.001", "T105x", "T1059.x01", "TA0001"} {
		require.ErrorContains(t, check(bad), "is not of the form T1059", bad)
	}
	require.ErrorContains(t, check("T1059", "T1059"), "twice")
}
