package house_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api/client"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/storage/buckettest"
)

// paper is a log that a test can read.
type paper struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// paused gives the first half of its bytes, and the rest when it may.
type paused struct {
	*bytes.Reader
	half    int
	reached chan struct{}
	goOn    chan struct{}
}

func (p *paused) Read(b []byte) (int, error) {
	if at := int(p.Size()) - p.Len(); at < p.half {
		b = b[:min(len(b), p.half-at)]
	} else if p.reached != nil {
		close(p.reached)
		p.reached = nil
		<-p.goOn
	}
	return p.Reader.Read(b)
}

// TestTheStoresCredentialsExpire: in the middle of an upload the S3 server no
// longer accepts the service's credentials. Clients are told to come again and
// why, whoever watches the service sees it, the log says what to do; and when the
// right ones are in their files the upload goes on, with nothing that was
// acknowledged sent again.
func TestTheStoresCredentialsExpire(t *testing.T) {
	t.Parallel() // it waits most of the time, as the other two that are
	server := buckettest.StartMinIO(t)
	bucket := server.NewBucket(t)
	dir := createOnS3(t, bucket, nil)
	log := &paper{}
	r := startAt(t, dir, slog.NewTextHandler(log, nil), time.Now)
	_, engineer, incident := r.team()
	sealed := takeIn(t, engineer, incident, "EX-1", noise(1000, 1))
	confirmed(t, engineer, sealed)

	data := noise(4*custody.ChunkSize, 2)
	name, err := custody.NewName([]byte("disk.img"))
	require.NoError(t, err)
	said, err := engineer.Say(t.Context(), "to examine it", &custody.BeginEvidence{AtMost: uint64(len(data)), Exhibit: "EX-2", Incident: incident, Name: name, Type: "disk"})
	require.NoError(t, err)
	id := custody.NewEvidenceID(said.Payload)
	source := &paused{Reader: bytes.NewReader(data), half: len(data) / 2, reached: make(chan struct{}), goOn: make(chan struct{})}
	reached, done := source.reached, make(chan error, 1)
	go func() {
		_, err := r.as(engineer).Upload(context.WithoutCancel(t.Context()), id, source, nil)
		done <- err
	}()
	<-reached
	require.Eventually(t, func() bool { return received(t, r, engineer, id) == 2 }, patience, 20*time.Millisecond)
	server.Restart(t, "somebodyelse", "somebodyelse-secret")
	close(source.goOn)

	isDenied := func(err error) {
		t.Helper()
		problem := new(client.Error)
		require.ErrorAs(t, err, &problem)
		require.Equal(t, http.StatusServiceUnavailable, problem.Status)
		require.Contains(t, problem.Detail, "does not accept the service's credentials")
	}
	isDenied(<-done)
	require.Equal(t, 2, received(t, r, engineer, id))
	_, err = r.as(engineer).Retrieve(t.Context(), "to examine it", sealed, 0, 0, new(bytes.Buffer), nil)
	isDenied(err)
	q, b := get(t, engineer.HTTP, "http://"+r.address+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, q.StatusCode)
	require.Contains(t, string(b), "does not accept the service's credentials")
	require.Contains(t, log.String(), "accessKeyFile and secretKeyFile")
	require.NotContains(t, log.String(), "EVIDENCE DAMAGED")

	for file, text := range map[string]string{r.Config.S3.AccessKeyFile: "somebodyelse", r.Config.S3.SecretKeyFile: "somebodyelse-secret"} {
		require.True(t, filepath.IsAbs(file))
		require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
	}
	require.Eventually(t, func() bool {
		q, _ := get(t, engineer.HTTP, "http://"+r.address+"/readyz")
		return q.StatusCode == http.StatusOK
	}, patience, 100*time.Millisecond, "though nobody asks for anything")
	var sent atomic.Int32
	_, err = r.as(engineer).Upload(t.Context(), id, bytes.NewReader(data), func(_ int, s bool) {
		if s {
			sent.Add(1)
		}
	})
	require.NoError(t, err)
	require.EqualValues(t, 2, sent.Load(), "what was acknowledged is not sent again")
	var back bytes.Buffer
	_, err = r.as(engineer).Retrieve(t.Context(), "to examine it", sealed, 0, 0, &back, nil)
	require.NoError(t, err)
	require.Equal(t, noise(1000, 1), back.Bytes())
}

// received counts the chunks of an upload that were acknowledged.
func received(t *testing.T, r *running, c *client.Client, id custody.EvidenceID) int {
	t.Helper()
	token, err := c.Session(t.Context())
	require.NoError(t, err)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.address+"/v1/evidence/"+string(id)+"/chunks", nil)
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	a, err := c.HTTP.Do(q)
	require.NoError(t, err)
	defer a.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(a.Body)
	require.NoError(t, err)
	return bytes.Count(b.Bytes(), []byte(`"digest"`))
}
