//go:build js && wasm

// Command wasm is the verifier of bundles for a page: cmd/page puts it into one.
package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall/js"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

func main() {
	js.Global().Set("custodyTrust", js.FuncOf(promised(readTrust)))
	js.Global().Set("custodyVerify", js.FuncOf(promised(verify)))
	select {}
}

// promised makes a function of JavaScript of f: it returns a promise of what f
// returns, and f may wait for promises.
func promised(f func(args []js.Value) (any, error)) func(js.Value, []js.Value) any {
	return func(_ js.Value, args []js.Value) any {
		var start js.Func
		start = js.FuncOf(func(_ js.Value, settle []js.Value) any {
			go func() {
				defer start.Release()
				answer, err := f(args)
				if err != nil {
					settle[1].Invoke(js.Global().Get("Error").New(err.Error()))
					return
				}
				settle[0].Invoke(answer)
			}()
			return nil
		})
		return js.Global().Get("Promise").New(start)
	}
}

// readTrust says what is in a trust file, a Blob: origin and fingerprint.
func readTrust(args []js.Value) (any, error) {
	trust, err := trustOf(args[0])
	if err != nil {
		return nil, err
	}
	print, err := trust.Fingerprint()
	if err != nil {
		return nil, err
	}
	return map[string]any{"origin": trust.Origin, "fingerprint": print.String()}, nil
}

// maxTrust bounds a trust file, in bytes.
const maxTrust = 1 << 20

func trustOf(blob js.Value) (*custody.Trust, error) {
	b, err := io.ReadAll(io.LimitReader(&reader{blob: blob}, maxTrust))
	if err != nil {
		return nil, err
	}
	return custody.ParseTrust(b)
}

// verify takes three Blobs, the trust file, the bundle, and the artifact or null,
// and a function that is told how many bytes of the bundle and of the artifact
// were read. It says whether the bundle verifies, the verdict for people and as
// JSON, and of one that verifies the report of the chain of custody as a page.
func verify(args []js.Value) (any, error) {
	trust, err := trustOf(args[0])
	if err != nil {
		return nil, err
	}
	o := bundle.Options{Words: investigate.Words()}
	print, err := trust.Fingerprint()
	if err != nil {
		return nil, err
	}
	in, beside := &reader{blob: args[1], tell: args[3]}, &reader{blob: args[2], tell: args[3]}
	if !args[2].IsNull() {
		o.Artifact = bufio.NewReaderSize(beside, pieceSize)
	}
	sum := sha256.New()
	v := bundle.Verify(io.TeeReader(bufio.NewReaderSize(in, pieceSize), sum), trust, o)
	if err := errors.Join(in.failed, beside.failed); err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := v.Write(&text); err != nil {
		return nil, err
	}
	whole, err := json.Marshal(v, jsontext.Multiline(true))
	if err != nil {
		return nil, err
	}
	report := []byte{}
	if v.Verified { // then the bundle was read to its last byte
		p := paper.Proof{Verdict: v, SHA256: custody.Digest(sum.Sum(nil)), Trust: print}
		if report, err = p.Report().HTML(); err != nil {
			return nil, err
		}
	}
	return map[string]any{"verified": v.Verified, "text": text.String(), "verdict": string(whole), "report": string(report)}, nil
}

// pieceSize is how many bytes of a file are read at once.
const pieceSize = 1 << 20

// reader reads a Blob.
type reader struct {
	blob   js.Value
	tell   js.Value // is told how many bytes were read; may be undefined
	at     int64
	failed error // the file could not be read: that is no verdict
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	if size := int64(r.blob.Get("size").Float()); r.at >= size {
		return 0, io.EOF
	}
	piece, err := wait(r.blob.Call("slice", r.at, r.at+int64(len(b))).Call("arrayBuffer"))
	if err != nil {
		r.failed = fmt.Errorf("the file cannot be read any more; was it changed or removed? %w", err)
		return 0, r.failed
	}
	n := js.CopyBytesToGo(b, js.Global().Get("Uint8Array").New(piece))
	r.at += int64(n)
	if r.tell.Type() == js.TypeFunction {
		r.tell.Invoke(n)
	}
	return n, nil
}

// wait returns what a promise comes to.
func wait(promise js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	settled := make(chan outcome, 1)
	kept := js.FuncOf(func(_ js.Value, args []js.Value) any {
		settled <- outcome{value: args[0]}
		return nil
	})
	broken := js.FuncOf(func(_ js.Value, args []js.Value) any {
		settled <- outcome{err: errors.New(args[0].Call("toString").String())}
		return nil
	})
	defer kept.Release()
	defer broken.Release()
	promise.Call("then", kept, broken)
	o := <-settled
	return o.value, o.err
}
