// Torchwood-read reads a whole log with torchwood's client (filippo.io/torchwood),
// which verifies every entry against the signed checkpoint, and says how many there
// are. It exits with 1 when anything does not verify.
//
//	torchwood-read VERIFIER-KEY ADDRESS
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: torchwood-read VERIFIER-KEY ADDRESS")
		os.Exit(2)
	}
	n, err := read(context.Background(), os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "torchwood-read:", err)
		os.Exit(1)
	}
	fmt.Printf("read and verified %d entries\n", n)
}

func read(ctx context.Context, key, address string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, err
	}
	signed, err := get(ctx, address+"checkpoint")
	if err != nil {
		return 0, err
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, err
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil {
		return 0, err
	}
	if c.Origin != verifier.Name() {
		return 0, errors.New("the checkpoint is of another log")
	}
	fetcher, err := torchwood.NewTileFetcher(address)
	if err != nil {
		return 0, err
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		return 0, err
	}
	found := int64(0)
	for i := range client.AllEntries(ctx, c.Tree, 0) {
		if i != found {
			return 0, fmt.Errorf("entry %d where %d should be", i, found)
		}
		found++
	}
	if err := client.Err(); err != nil {
		return 0, err
	}
	if found != c.N {
		return 0, fmt.Errorf("%d entries of %d", found, c.N)
	}
	return found, nil
}

func get(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
}
