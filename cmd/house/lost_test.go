package house_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// unretained lets two people of an incident order its items destroyed from now on.
func (r *running) unretained(administrator *client.Client, incident custody.IncidentID) (lee, kim *client.Client) {
	r.t.Helper()
	lee, kim = r.colleague(administrator, "Lee", custody.RoleLegalAdvisor), r.colleague(administrator, "Kim", custody.RoleIncidentManager)
	two(r.t, lee, kim, func(d custody.Digest) custody.Act {
		return &investigate.Retain{Days: 0, Incident: incident, Seconds: d}
	})
	return lee, kim
}

func orderDestroyed(t *testing.T, lee, kim *client.Client, id custody.EvidenceID) {
	t.Helper()
	two(t, lee, kim, func(d custody.Digest) custody.Act { return &custody.DisposeEvidence{Evidence: id, Seconds: d} })
}

// inBucket lists the files of an incident in the bucket of a folder, by their kind.
func inBucket(t *testing.T, dir string, incident custody.IncidentID, kind string) []string {
	t.Helper()
	pattern := "*"
	if kind == "c" {
		pattern = "*/*"
	}
	found, err := filepath.Glob(filepath.Join(dir, "bucket", "v1", string(incident), kind, pattern))
	require.NoError(t, err)
	return found
}

// TestDestroyedWithoutItsManifest: the head of an item's manifest is lost when it is
// ordered destroyed. Its bytes go by the list of chunks that the service has.
func TestDestroyedWithoutItsManifest(t *testing.T) {
	t.Parallel()
	dir, _ := create(t)
	r := start(t, dir)
	administrator, engineer, incident := r.team()
	lee, kim := r.unretained(administrator, incident)
	shared := noise(custody.ChunkSize, 2)
	id := takeIn(t, engineer, incident, "EX-1", append(noise(custody.ChunkSize, 1), shared...))
	heads := inBucket(t, dir, incident, "m")
	require.Len(t, heads, 1)
	other := takeIn(t, engineer, incident, "EX-2", shared)
	confirmed(t, engineer, id)
	confirmed(t, engineer, other)
	require.NoError(t, os.Remove(heads[0]))
	orderDestroyed(t, lee, kim, id)
	destroyed(t, lee, id)
	act, _ := lastSaid[*custody.DisposedEvidence](t, lee, id)
	require.Equal(t, "deleted from a folder: no manifest was there, so it was every chunk that the service's database lists, but for those that other items of the incident share; not counted", act.Method)
	require.Len(t, inBucket(t, dir, incident, "c"), 1, "what they share")
	require.Len(t, inBucket(t, dir, incident, "p"), 1)
	_, err := lee.Say(t.Context(), "is it whole", &custody.VerifyEvidence{Evidence: other})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(checks(t, lee, other)) == 2 }, patience, 100*time.Millisecond)
	require.Equal(t, []bool{true, true}, checks(t, lee, other))
}

// TestNotCertifiedWithoutAList: the manifest's head is lost, and after a rebuild so
// is the list of the item's chunks. That it is destroyed is not certified while its
// bytes may be there; it is said, and goes on once the head is back.
func TestNotCertifiedWithoutAList(t *testing.T) {
	t.Parallel()
	dir, _ := create(t)
	r := start(t, dir)
	administrator, engineer, incident := r.team()
	lee, kim := r.unretained(administrator, incident)
	id := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, id)
	r.stop()
	lose(t, dir, databases...)
	_, err := house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	heads := inBucket(t, dir, incident, "m")
	require.Len(t, heads, 1)
	require.NoError(t, os.Rename(heads[0], filepath.Join(dir, "head")))
	metrics := free(t)
	configure(t, dir, `{"origin": "`+origin+`", "listen": "127.0.0.1:0", "metrics": "`+metrics+`", "folder": "bucket", "lockFile": "lock.db"}`)
	clock, log := &moved{}, &paper{}
	r = startAt(t, dir, slog.NewTextHandler(log, nil), clock.now)
	lee, kim = r.as(lee), r.as(kim)
	orderDestroyed(t, lee, kim, id)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "WHAT IS ORDERED DESTROYED CANNOT BE FOUND") }, patience, 50*time.Millisecond)
	clock.pass(6 * time.Minute)
	require.Eventually(t, r.shows("custody_destruction_waiting", 1), patience, 100*time.Millisecond)
	e, err := r.as(lee).Evidence(t.Context(), id)
	require.NoError(t, err)
	require.False(t, e.Disposal.Done)
	require.Len(t, inBucket(t, dir, incident, "c"), 1)

	require.NoError(t, os.Rename(filepath.Join(dir, "head"), heads[0]))
	clock.pass(10 * time.Minute)
	lee = r.as(lee)
	destroyed(t, lee, id)
	require.Empty(t, inBucket(t, dir, incident, "c"))
	require.Eventually(t, r.shows("custody_destruction_waiting", 0), patience, 100*time.Millisecond)
}

// TestNothingStaysOfWhatWasCut: a stream was not what it was said to be, and a chunk
// was replaced. Once the item is withdrawn, or destroyed, nothing of that is left.
func TestNothingStaysOfWhatWasCut(t *testing.T) {
	t.Parallel()
	dir, _ := create(t)
	r := start(t, dir)
	administrator, engineer, incident := r.team()
	lee, kim := r.unretained(administrator, incident)
	cut := func(id custody.EvidenceID) {
		t.Helper()
		token, err := engineer.Session(t.Context())
		require.NoError(t, err)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.address+"/v1/evidence/"+string(id)+"/content",
			bytes.NewReader(noise(custody.ChunkSize+1000, 1)))
		require.NoError(t, err)
		q.Header.Set("Authorization", "Bearer "+token)
		q.Header.Set("Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:") // of nothing
		a, err := engineer.HTTP.Do(q)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		require.GreaterOrEqual(t, a.StatusCode, 400)
	}
	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(t, err)
	said, err := engineer.Say(t.Context(), "to examine it", &custody.BeginEvidence{AtMost: 1 << 30, Exhibit: "EX-1", Incident: incident, Name: name, Type: "disk"})
	require.NoError(t, err)
	withdrawn := custody.NewEvidenceID(said.Payload)
	cut(withdrawn)
	require.Len(t, inBucket(t, dir, incident, "c"), 2)
	_, err = engineer.Upload(t.Context(), withdrawn, bytes.NewReader(noise(100, 2)), nil)
	require.NoError(t, err)
	_, err = engineer.Upload(t.Context(), withdrawn, bytes.NewReader(noise(100, 3)), nil) // in its place
	require.NoError(t, err)
	require.Len(t, inBucket(t, dir, incident, "c"), 4)
	_, err = engineer.Say(t.Context(), "wrong", &custody.WithdrawEvidence{Evidence: withdrawn, Incident: incident})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(inBucket(t, dir, incident, "c")) == 0 }, patience, 100*time.Millisecond)

	destroy, seal := beginsToSeal(t, engineer, incident, "EX-2", noise(1000, 4))
	cut(destroy)
	_, err = engineer.Upload(t.Context(), destroy, bytes.NewReader(noise(1000, 4)), nil)
	require.NoError(t, err)
	require.NoError(t, seal())
	confirmed(t, engineer, destroy)
	require.Len(t, inBucket(t, dir, incident, "c"), 3)
	orderDestroyed(t, lee, kim, destroy)
	destroyed(t, lee, destroy)
	require.Empty(t, inBucket(t, dir, incident, "c"))
}

// TestDestroyedAfterARebuild: an item whose seal was not read back before the
// rebuild, and of whose upload the database then has no chunks, keeps no other item
// of its incident from being destroyed, nor itself.
func TestDestroyedAfterARebuild(t *testing.T) {
	t.Parallel()
	bucket := buckettest.StartMinIO(t).NewBucketWithoutLock(t)
	l := newLine(t, &bucket)
	never := make(chan struct{})
	l.slow(func(q *http.Request) <-chan struct{} { // nothing is read back
		if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/c/") {
			return never
		}
		return nil
	})
	dir := createOnS3(t, bucket, func(c *house.Config) { c.Unlocked = true })
	r := start(t, dir)
	administrator, engineer, incident := r.team()
	lee, kim := r.unretained(administrator, incident)
	one := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	other := takeIn(t, engineer, incident, "EX-2", noise(1000, 2))
	r.stop()
	lose(t, dir, databases...)
	_, err := house.Rebuild(t.Context(), dir, nil, quiet)
	require.NoError(t, err)
	r = start(t, dir)
	lee, kim = r.as(lee), r.as(kim)
	for _, id := range []custody.EvidenceID{one, other} {
		orderDestroyed(t, lee, kim, id)
		destroyed(t, lee, id)
		act, _ := lastSaid[*custody.DisposedEvidence](t, lee, id)
		require.Contains(t, act.Method, "1 chunks of 1000 bytes together")
	}
	close(never)
}

// TestARightToListIsMissing: the store refuses what a destruction needs; whoever
// watches the service sees it, and it goes on when the right is back.
func TestARightToListIsMissing(t *testing.T) {
	t.Parallel()
	bucket := buckettest.StartMinIO(t).NewBucketWithoutLock(t)
	l := newLine(t, &bucket)
	log := &paper{}
	r := startAt(t, createOnS3(t, bucket, func(c *house.Config) { c.Unlocked = true }), slog.NewTextHandler(log, nil), time.Now)
	administrator, engineer, incident := r.team()
	lee, kim := r.unretained(administrator, incident)
	id := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, id)
	l.answers(func(q *http.Request) int {
		if q.URL.Query().Has("versions") {
			return http.StatusForbidden
		}
		return 0
	})
	orderDestroyed(t, lee, kim, id)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "THE STORE REFUSES THE SERVICE") }, patience, 50*time.Millisecond)
	require.Contains(t, log.String(), `refused="list versions"`)
	l.answers(nil)
	destroyed(t, lee, id)
}
