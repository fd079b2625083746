package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
)

// TestARecordIsErased: as two people type it, with the service killed right after
// the order.
func TestARecordIsErased(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "service"))
	lee, kim := d.enrol(t, "lee", custody.RoleLegalAdvisor), d.enrol(t, "kim", custody.RoleIncidentManager)
	file := filepath.Join(t.TempDir(), "web01.dd")
	image(t, file, 1000)
	id := word(t, done(t, d.eve, d.add(file, "EX-1")...), "id")
	const secret = "because Mr Nobody was seen"
	done(t, d.eve, "bundle", "export", id, "-o", filepath.Join(t.TempDir(), "x"), "--purpose", secret)
	records, ok := done(t, lee, "evidence", "history", id)["records"].([]any)
	require.True(t, ok)
	sequence := slices.IndexFunc(records, func(r any) bool { // the service checks the item at the same time
		record, ok := r.(map[string]any)
		return ok && record["purpose"] == secret
	})
	require.Positive(t, sequence)
	stream := "evidence/" + id
	text := []string{}
	for shift := range 3 { // the purpose in base64, wherever its first byte falls
		enc := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		text = append(text, enc[4:len(enc)-8])
	}
	require.True(t, d.holds(t, text), "it is there before")

	erase := func(sequence string) []string {
		return []string{"record", "erase", stream, sequence, "--authority", "request 12/26", "--purpose", "he asked for it"}
	}
	at := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}[sequence]
	refused(t, exitRefused, lee, erase("0"), "a permitted evidence.seal is never erased")
	refused(t, exitRefused, d.eve, erase(at), "what he said himself")
	refused(t, exitUsage, lee, erase("99"), "has")
	refused(t, exitUsage, lee, erase(at)[:6], "--purpose")
	moved, _, _ := run(t, lee, erase(at)...)
	require.Contains(t, moved, "without effect until another person runs")
	first := moved[strings.LastIndex(moved, "sha256:"):][:len("sha256:")+64]
	refused(t, exitRefused, lee, append(erase(at), "--second", first), "takes two people")
	refused(t, exitRefused, d.enrol(t, "fred", custody.RoleForensicEngineer), append(erase(at), "--second", first), "not for you")
	done(t, kim, append(erase(at), "--second", first)...)
	d.kill()
	d.serve()
	require.Eventually(t, func() bool {
		shown, _, _ := run(t, lee, "evidence", "history", id)
		return strings.Contains(shown, "ERASED by order of p-") && strings.Contains(shown, "record.erased") && !strings.Contains(shown, secret)
	}, patience, 200*time.Millisecond)
	shown, _, _ := run(t, lee, "record", "history", stream)
	require.Contains(t, shown, "by authority of request 12/26")
	require.Contains(t, shown, "said to have been: evidence.export, refused: false")
	refused(t, exitUsage, lee, erase(at), "is erased")

	said, v := d.verdict(t, lee, id)
	require.Contains(t, said, "ERASED      record "+at+" of "+stream+" (said to have been evidence.export), by order of lee (p-")
	require.Contains(t, said, "and kim (p-")
	require.Len(t, v["erased"], 1)
	d.stop()
	require.False(t, d.holds(t, text), "it is nowhere in the service's folder")
}

// holds says whether a file of the service's has one of some texts.
func (d *desk) holds(t *testing.T, texts []string) (found bool) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range texts {
			found = found || bytes.Contains(b, []byte(text))
		}
		return err
	}))
	return found
}
