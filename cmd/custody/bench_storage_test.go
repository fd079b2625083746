package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/storage/buckettest"
)

// BenchmarkStorage takes data in and out of one S3 server on this machine, with
// the program as people run it and with its peers, in turn. b.N is the number of
// rounds; what is printed are medians, and the ratios to the fastest peer of
// those that it is compared with. CUSTODY_BENCH_MIB is the size of each data set
// (default 2048).
//
// Everything shares the machine: client, service and S3 server. Peers: mc cp;
// rclone copyto with 64 MiB parts, 8 at once, no checksum (its best here); restic
// backup with its defaults, a new repository each time but for the later image.
// mc and rclone compute no digest and verify nothing on the way back; restic
// hashes and encrypts, custody hashes at both ends, encrypts, and has a signed
// receipt of the log in hand when it ends.
func BenchmarkStorage(b *testing.B) {
	size := 2048
	if text := os.Getenv("CUSTODY_BENCH_MIB"); text != "" {
		var err error
		size, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	s := newContest(b, int64(size)<<20)
	sets := []string{"random", "disk", "ext4", "later"}
	b.ResetTimer()
	for round := range b.N {
		for _, set := range sets {
			for n := range s.tools { // in another order each time
				s.turn(s.tools[(n+round)%len(s.tools)], set, round)
			}
		}
	}
	b.StopTimer()
	s.print(sets)
	b.ReportMetric(0, "ns/op")
}

// contest is the peers at one S3 server.
type contest struct {
	t     testing.TB
	size  int64
	dir   string
	data  map[string]string // path of each data set
	minio *buckettest.MinIO
	desk  *desk
	tools []contestant
	took  map[string][]float64 // seconds, by what was done
	most  map[string]int64     // peak memory in KiB, by what was done
	kept  map[string]int64     // bytes in the bucket, by tool and data set
}

// contestant is a program that brings a file into a bucket and out of it again.
type contestant interface {
	name() string
	up(set, file string, round int) *exec.Cmd
	down(set, file string, round int) (c *exec.Cmd, brings string)
	bucket() string
}

func newContest(b *testing.B, size int64) *contest {
	s := &contest{
		t: b, size: size, dir: b.TempDir(), minio: buckettest.StartMinIO(b),
		data: map[string]string{}, took: map[string][]float64{}, most: map[string]int64{}, kept: map[string]int64{},
	}
	for _, set := range []string{"random", "disk", "ext4", "later"} {
		s.data[set] = filepath.Join(s.dir, set)
	}
	require.NoError(b, writeRandom(s.data["random"], size))
	require.NoError(b, writeDisk(s.data["disk"], size))
	writeExt4(b, s.data["ext4"], size)
	changeExt4(b, s.data["ext4"], s.data["later"])
	s.tools = []contestant{newCustody(b, s), newMC(b, s), newRclone(b, s), newRestic(b, s)}
	return s
}

// turn lets one tool bring one data set in and out.
func (s *contest) turn(c contestant, set string, round int) {
	file := s.data[set]
	before := s.stored(c)
	s.run(c.name()+" up "+set, c.up(set, file, round))
	s.kept[c.name()+" "+set] = s.stored(c) - before
	down, brings := c.down(set, filepath.Join(s.dir, "back"), round)
	s.run(c.name()+" down "+set, down)
	same := exec.Command("cmp", file, brings)
	out, err := same.CombinedOutput()
	require.NoError(s.t, err, "%s %s: %s", c.name(), set, out)
	require.NoError(s.t, os.RemoveAll(filepath.Join(s.dir, "back")))
	// What the service reads back after the receipt is no part of the next turn.
	if p, ok := c.(*custodyTool); ok {
		p.settle()
	}
}

func (s *contest) run(what string, c *exec.Cmd) {
	var out bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	}
	c.Stderr = &out
	syscall.Sync() // what others wrote is no part of this
	begun := time.Now()
	require.NoError(s.t, c.Start())
	ended := make(chan struct{})
	watched := make(chan int64)
	go func() { watched <- watch(c.Process.Pid, ended) }()
	err := c.Wait()
	took := time.Since(begun).Seconds()
	close(ended)
	require.NoError(s.t, err, "%s: %s", what, out.String())
	s.took[what] = append(s.took[what], took)
	s.most[what] = max(s.most[what], <-watched)
}

// watch returns the most memory that a process was seen to have had until it
// ended, in KiB. What the kernel says of a process that ended counts that of its
// parent before it began.
func watch(pid int, ended <-chan struct{}) (most int64) {
	for {
		if n, err := peak(pid); err == nil {
			most = n
		}
		select {
		case <-ended:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stored returns the bytes that a tool's bucket takes on the S3 server's disk.
func (s *contest) stored(c contestant) (total int64) {
	err := filepath.WalkDir(s.minio.Folder(c.bucket()), func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	require.NoError(s.t, err)
	return total
}

func (s *contest) print(sets []string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "\n%d MiB each, %d rounds, medians\n", s.size>>20, len(s.took[s.tools[0].name()+" up "+sets[0]]))
	for _, way := range []string{"up", "down"} {
		for _, set := range sets {
			_, _ = fmt.Fprintf(w, "\n%s %s\ttool\tGB/s\tcustody is\tclient MiB\tstored MiB\t\n", set, way)
			own := median(s.took["custody "+way+" "+set])
			for _, c := range s.tools {
				key := c.name() + " " + way + " " + set
				took := median(s.took[key])
				_, _ = fmt.Fprintf(w, "\t%s\t%.2f\t%.2f x\t%d\t%d\t\n",
					c.name(), float64(s.size)/took/1e9, took/own, s.most[key]>>10, s.kept[c.name()+" "+set]>>20)
			}
		}
	}
	service, err := peak(s.desk.process.Process.Pid)
	require.NoError(s.t, err)
	_, _ = fmt.Fprintf(w, "\nservice, peak MiB\t%d\t\n", service>>10)
	_ = w.Flush()
}

// peak returns the most memory that a running process has had, in KiB.
func peak(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, errors.New("it has ended")
}

type custodyTool struct {
	s     *contest
	where string
	items map[string]string
}

func newCustody(b *testing.B, s *contest) *custodyTool {
	c := s.minio.NewBucket(b)
	secrets := b.TempDir()
	for name, text := range map[string]string{"access": c.AccessKey, "secret": c.SecretKey} {
		require.NoError(b, os.WriteFile(filepath.Join(secrets, name), []byte(text+"\n"), 0o600))
	}
	s.desk = newDesk(b, filepath.Join(s.dir, "service"), "--s3-endpoint", c.Endpoint, "--s3-bucket", c.Bucket,
		"--s3-access-key-file", filepath.Join(secrets, "access"), "--s3-secret-key-file", filepath.Join(secrets, "secret"))
	return &custodyTool{s: s, where: c.Bucket, items: map[string]string{}}
}

func (p *custodyTool) name() string   { return "custody" }
func (p *custodyTool) bucket() string { return p.where }

func (p *custodyTool) command(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1", "CUSTODY_HOME="+p.s.desk.eve, "CUSTODY_PASSPHRASE_FILE="+filepath.Join(p.s.desk.eve, "passphrase"))
	return c
}

// up takes the later image into the incident of the first, and everything else
// into one of its own.
func (p *custodyTool) up(set, file string, round int) *exec.Cmd {
	if set != "later" {
		p.s.desk.incident = p.s.desk.newIncident(p.s.t)
	}
	return p.command(p.s.desk.add(file, fmt.Sprintf("EX-%s-%d", set, round))...)
}

func (p *custodyTool) down(set, file string, round int) (*exec.Cmd, string) {
	list, ok := done(p.s.t, p.s.desk.eve, "evidence", "list", "--incident", p.s.desk.incident)["evidence"].([]any)
	require.True(p.s.t, ok)
	id := ""
	for _, item := range list {
		if e, ok := item.(map[string]any); ok && e["exhibit"] == fmt.Sprintf("EX-%s-%d", set, round) {
			id = word(p.s.t, e, "id")
		}
	}
	p.items[set] = id
	p.settle()
	return p.command("evidence", "get", id, "-o", file, "--purpose", "benchmark"), file
}

// settle waits until the service has read back what it took in.
func (p *custodyTool) settle() {
	for _, id := range p.items {
		require.Eventually(p.s.t, func() bool {
			return done(p.s.t, p.s.desk.eve, "evidence", "show", id)["confirmed"] == true
		}, time.Hour, 200*time.Millisecond)
	}
}

// peer is a tool of somebody else's.
type peer struct {
	called string
	where  string
	env    []string
	in     func(set, file string, round int) []string
	out    func(set, file string, round int) (args []string, brings string)
}

func (p *peer) name() string   { return p.called }
func (p *peer) bucket() string { return p.where }

func (p *peer) command(args []string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), p.env...)
	return c
}

func (p *peer) up(set, file string, round int) *exec.Cmd { return p.command(p.in(set, file, round)) }

func (p *peer) down(set, file string, round int) (*exec.Cmd, string) {
	args, brings := p.out(set, file, round)
	return p.command(args), brings
}

// object is where mc and rclone put a data set.
func object(set string, round int) string { return fmt.Sprintf("%s-%d", set, round) }

func newMC(b *testing.B, s *contest) *peer {
	c := s.minio.NewUnversionedBucket(b)
	mc := buckettest.Tool(b, "mc")
	home := "--config-dir=" + b.TempDir()
	p := &peer{called: "mc", where: c.Bucket, env: []string{
		"MC_HOST_s=" + strings.Replace(c.Endpoint, "://", "://"+c.AccessKey+":"+c.SecretKey+"@", 1),
	}}
	p.in = func(set, file string, round int) []string {
		return []string{mc, home, "--quiet", "cp", file, "s/" + c.Bucket + "/" + object(set, round)}
	}
	p.out = func(set, file string, round int) ([]string, string) {
		return []string{mc, home, "--quiet", "cp", "s/" + c.Bucket + "/" + object(set, round), file}, file
	}
	return p
}

func newRclone(b *testing.B, s *contest) *peer {
	c := s.minio.NewUnversionedBucket(b)
	rclone := buckettest.Tool(b, "rclone")
	tuned := []string{"--s3-chunk-size", "64M", "--s3-upload-concurrency", "8", "--s3-disable-checksum", "--ignore-checksum", "--multi-thread-streams", "8"}
	p := &peer{called: "rclone", where: c.Bucket, env: []string{
		"RCLONE_CONFIG=" + filepath.Join(b.TempDir(), "rclone.conf"), "RCLONE_CONFIG_S_TYPE=s3", "RCLONE_CONFIG_S_PROVIDER=Minio",
		"RCLONE_CONFIG_S_ENDPOINT=" + c.Endpoint, "RCLONE_CONFIG_S_ACCESS_KEY_ID=" + c.AccessKey, "RCLONE_CONFIG_S_SECRET_ACCESS_KEY=" + c.SecretKey,
	}}
	p.in = func(set, file string, round int) []string {
		return append([]string{rclone, "copyto", file, "s:" + c.Bucket + "/" + object(set, round)}, tuned...)
	}
	p.out = func(set, file string, round int) ([]string, string) {
		return append([]string{rclone, "copyto", "s:" + c.Bucket + "/" + object(set, round), file}, tuned...), file
	}
	return p
}

func newRestic(b *testing.B, s *contest) *peer {
	c := s.minio.NewUnversionedBucket(b)
	p := &peer{called: "restic", where: c.Bucket, env: []string{
		"AWS_ACCESS_KEY_ID=" + c.AccessKey, "AWS_SECRET_ACCESS_KEY=" + c.SecretKey, "RESTIC_PASSWORD=benchmark",
		"RESTIC_CACHE_DIR=" + b.TempDir(),
	}}
	// A new repository for each but the later image, which goes to the first's.
	repository := func(set string, round int) string {
		if set == "later" {
			set = "ext4"
		}
		return fmt.Sprintf("s3:%s/%s/%s", c.Endpoint, c.Bucket, object(set, round))
	}
	p.in = func(set, file string, round int) []string {
		if set != "later" {
			out, err := p.command([]string{"restic", "-r", repository(set, round), "init"}).CombinedOutput()
			require.NoError(b, err, "%s", out)
		}
		return []string{"restic", "-r", repository(set, round), "backup", "--quiet", file}
	}
	p.out = func(set, file string, round int) ([]string, string) {
		return []string{"restic", "-r", repository(set, round), "restore", "--quiet", "latest", "--target", file}, filepath.Join(file, s.data[set])
	}
	return p
}

// newIncident opens an incident that eve works on.
func (d *desk) newIncident(t testing.TB) string {
	id := word(t, done(t, d.eve, "incident", "open", "--title", "benchmark"), "id")
	who := word(t, done(t, d.eve, "whoami"), "id")
	done(t, d.mona, "incident", "assign", id, who, "--purpose", "benchmark")
	return id
}

// writeRandom makes what nobody can make smaller.
func writeRandom(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), size)
	return errors.Join(err, f.Close())
}

// writeDisk makes what a disk may hold: extents of 64 KiB to 16 MiB that are to
// one half zeros, one fifth random, one fifth text like a log's, and one tenth
// copies of an earlier random extent.
func writeDisk(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	source := rand.NewChaCha8([32]byte{2})
	r := rand.New(source)
	var first [][]byte
	for at := int64(0); at < size && err == nil; {
		extent := make([]byte, min(int64(64<<10)<<r.IntN(9), size-at))
		switch kind := r.IntN(10); {
		case kind < 5:
		case kind < 7:
			_, _ = source.Read(extent) // never fails
			if len(first) < 8 {
				first = append(first, extent)
			}
		case kind < 9:
			logText(r, extent)
		case len(first) > 0:
			copy(extent, first[r.IntN(len(first))])
		}
		_, err = f.WriteAt(extent, at)
		at += int64(len(extent))
	}
	return errors.Join(err, f.Close())
}

// logText fills b with lines that differ in time, address and number.
func logText(r *rand.Rand, b []byte) {
	var text bytes.Buffer
	for text.Len() < len(b) {
		fmt.Fprintf(&text, "2026-11-%02dT%02d:%02d:%02d web01 nginx[%d]: 203.0.113.%d GET /index/%x HTTP/1.1 %d %d\n",
			1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(9999), r.IntN(256), r.Uint32(), 200+100*r.IntN(4), r.IntN(100000))
	}
	copy(b, text.Bytes())
}

// writeExt4 makes an ext4 file system, half full of this machine's own files.
func writeExt4(t testing.TB, path string, size int64) {
	content := filepath.Join(t.TempDir(), "content")
	require.NoError(t, os.Mkdir(content, 0o700))
	left := size / 2
	err := filepath.WalkDir("/usr", func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || left == 0 {
			return nil // what cannot be read is left out
		}
		b, err := os.ReadFile(file)
		if err != nil || int64(len(b)) > left {
			return nil
		}
		left -= int64(len(b))
		to := filepath.Join(content, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	})
	require.NoError(t, err)
	tool(t, "truncate", "-s", strconv.FormatInt(size, 10), path)
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-d", content, path)
}

// changeExt4 makes the same disk a day later: forty files came.
func changeExt4(t testing.TB, from, to string) {
	tool(t, "cp", "--sparse=always", from, to)
	r := rand.New(rand.NewChaCha8([32]byte{3}))
	var commands strings.Builder
	for n := range 40 {
		b := make([]byte, 1<<(12+r.IntN(9)))
		logText(r, b)
		file := filepath.Join(t.TempDir(), "new")
		require.NoError(t, os.WriteFile(file, b, 0o600))
		fmt.Fprintf(&commands, "write %s new-%d\n", file, n)
	}
	script := filepath.Join(t.TempDir(), "commands")
	require.NoError(t, os.WriteFile(script, []byte(commands.String()), 0o600))
	tool(t, "debugfs", "-w", "-f", script, to)
}

// tool runs a program of the system's, also of those that only root has in his
// path.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	c := exec.Command("env", append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", name}, args...)...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
