// Tessera-bench appends entries to a log of Tessera's on a file system, with its
// shortest intervals, from so many callers at once, each waiting until its entry is
// under a published checkpoint; and prints entries per second and how long one took.
//
//	tessera-bench FOLDER CALLERS ENTRIES
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

func main() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // it tells of what it makes; errors come back
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tessera-bench:", err)
		os.Exit(1)
	}
}

// shortest is the least time between two checkpoints that Tessera allows on POSIX.
const shortest = 100 * time.Millisecond

// entrySize is that of a leaf of Custody.
const entrySize = 65

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: tessera-bench FOLDER CALLERS ENTRIES")
	}
	callers, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	entries, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx := context.Background()
	secret, _, err := note.GenerateKey(rand.Reader, "tessera.example/bench")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: args[0]})
	if err != nil {
		return err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithCheckpointInterval(shortest).WithBatching(uint(max(callers, 1)), 5*time.Millisecond))
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 2*time.Millisecond)
	var next atomic.Int64
	var work sync.WaitGroup
	times := make([][]time.Duration, callers)
	failed := make([]error, callers)
	begin := time.Now()
	for c := range callers {
		work.Go(func() {
			for int(next.Add(1)) <= entries {
				entry := make([]byte, entrySize)
				_, _ = rand.Read(entry) // it never fails
				t := time.Now()
				if _, _, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(entry))); err != nil {
					failed[c] = err
					return
				}
				times[c] = append(times[c], time.Since(t))
			}
		})
	}
	work.Wait()
	took := time.Since(begin)
	if err := errors.Join(append(failed, shutdown(ctx))...); err != nil {
		return err
	}
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	fmt.Printf("Tessera POSIX, %d callers: %.0f receipts/s, p50 %.1f ms, p99 %.1f ms\n",
		callers, float64(entries)/took.Seconds(), ms(all[len(all)/2]), ms(all[len(all)*99/100]))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
