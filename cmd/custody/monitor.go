package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/ledger/monitor"
)

func (a *app) logMonitor() *cobra.Command {
	var trustPath, log, dir string
	var also []string
	var every time.Duration
	c := &cobra.Command{
		Use: "monitor --trust trust.json --log ADDRESS --dir DIR", Short: "Watch over a log from outside, without an account", Args: exactly(0),
		Long: `Follows a log with nothing but its trust file to believe: reads every leaf, and
verifies that the log goes on from what was seen before, that its leaves make its
root, that no tag stands in two of them, that the witnesses cosigned it, and that
others were shown the same (--also: another address of the log, or a file with a
checkpoint that somebody kept). Keeps all leaves in DIR, 65 bytes each: never put
DIR back from a backup.

Exit code 0 when nothing is wrong; 1 with an alarm, and DIR has the proof, if there
is one, for others to judge (custody log judge); 3 when the log does not answer.
With --every it goes on until there is an alarm, and tries again what does not
answer. With --json each round is one value.`,
		Example: `  custody log monitor --trust trust.json --log https://custody.example/log/ --dir ./watch
  custody log monitor --trust trust.json --log https://custody.example/log/ --dir ./watch --every 1m --also colleague/checkpoint`,
		RunE: func(c *cobra.Command, _ []string) error {
			if trustPath == "" || log == "" || dir == "" {
				return usagef("give --trust, --log and --dir")
			}
			if every < 0 || every > 0 && every < time.Second {
				return usagef("--every is at least a second")
			}
			trust, err := readTrust(trustPath)
			if err != nil {
				return err
			}
			source, err := sourceOf(log)
			if err != nil {
				return err
			}
			others := make([]monitor.Other, len(also))
			for i, name := range also {
				if others[i], err = otherOf(name); err != nil {
					return err
				}
			}
			return a.watch(c.Context(), trust, dir, source, others, every)
		},
	}
	f := c.Flags()
	f.StringVar(&trustPath, "trust", "", "trust file")
	f.StringVar(&log, "log", "", "where the log is served, with the path of its tiles (…/log/), or the folder of a mirror")
	f.StringVar(&dir, "dir", "", "folder of the monitor's own, for this log only")
	f.StringArrayVar(&also, "also", nil, "another address of the log, or a file with a signed checkpoint of it")
	f.DurationVar(&every, "every", 0, "go on, with a round so often (default: one round)")
	return c
}

func readTrust(path string) (*custody.Trust, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError{err}
	}
	trust, err := custody.ParseTrust(b)
	if err != nil {
		return nil, usagef("%s is not a trust file: %w", path, err)
	}
	return trust, nil
}

// watch makes rounds until there is an alarm; one, unless every is given.
func (a *app) watch(ctx context.Context, trust *custody.Trust, dir string, log monitor.Source, others []monitor.Other, every time.Duration) (err error) {
	m, err := monitor.Open(dir, trust)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	for {
		r, err := m.Round(ctx, log, others...)
		switch {
		case errors.Is(err, monitor.ErrUnreachable) && every > 0 && ctx.Err() == nil:
			a.say("custody: %v; trying again in %s", err, every)
		case errors.Is(err, monitor.ErrUnreachable):
			return errors.Join(err, failure{exitUnreachable})
		case err != nil:
			return err
		default:
			if err := a.answer(r, told(r)); err != nil {
				return err
			}
			if len(r.Alarms) > 0 {
				return failure{exitRefused}
			}
		}
		if every == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// told is a report for people.
func told(r *monitor.Report) string {
	var b strings.Builder
	for _, alarm := range r.Alarms {
		fmt.Fprintf(&b, "ALARM: %s\n", alarm.What)
		if alarm.Proof != "" {
			fmt.Fprintf(&b, "  proof: %s\n", alarm.Proof)
		}
	}
	fmt.Fprintf(&b, "size %d, root %s, %d leaves since the last round; quorum of witnesses: %s", r.Size, r.Root.Hex(), r.Added, r.Quorum)
	if len(r.Compared) > 0 {
		fmt.Fprintf(&b, "; compared with %s", strings.Join(r.Compared, ", "))
	}
	b.WriteString("\n")
	for _, text := range r.Unreached {
		fmt.Fprintf(&b, "not compared with %s\n", text)
	}
	return b.String()
}

// otherOf is where somebody else was shown the log: an address, a mirror's folder,
// or a file with a checkpoint.
func otherOf(name string) (monitor.Other, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return monitor.Other{Name: name, Read: func(_ context.Context, path string) ([]byte, error) {
			if path != "checkpoint" {
				return nil, fs.ErrNotExist
			}
			return os.ReadFile(name)
		}}, nil
	}
	source, err := sourceOf(name)
	return monitor.Other{Name: name, Read: source}, err
}

// maxResource bounds what a log may answer with: a bundle of leaves has 17 KiB, a
// checkpoint some signatures.
const maxResource = 256 << 10

// sourceOf reads a log at an address or in a folder.
func sourceOf(where string) (monitor.Source, error) {
	at, err := url.Parse(where)
	if err == nil && (at.Scheme == "http" || at.Scheme == "https") && at.Host != "" {
		c := &http.Client{Timeout: 30 * time.Second}
		return func(ctx context.Context, path string) ([]byte, error) {
			return fetched(ctx, c, at.JoinPath(path).String())
		}, nil
	}
	if info, err := os.Stat(where); err != nil || !info.IsDir() {
		return nil, usagef("%s is neither an address (http://… or https://…) nor a folder", where)
	}
	return func(_ context.Context, path string) ([]byte, error) {
		return os.ReadFile(filepath.Join(where, filepath.FromSlash(path)))
	}, nil
}

func fetched(ctx context.Context, c *http.Client, at string) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	r, err := c.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("%s: %w", at, fs.ErrNotExist)
	default:
		return nil, fmt.Errorf("%s: %s", at, r.Status)
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxResource+1))
	if err == nil && len(b) > maxResource {
		err = fmt.Errorf("%s: longer than %d bytes", at, maxResource)
	}
	return b, err
}
