package storage

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/forensic-custody/custody/custody"
)

// codec is how the plaintext of an object is written before it is encrypted.
type codec byte

const (
	codecNone codec = 0 // as it is
	codecZstd codec = 1 // one zstd frame (RFC 8878)
)

// press compresses chunks and expands them again. As many goroutines as there
// are processors do so at one time, others wait: an encoder needs some MiB.
type press struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// window of the encoder in bytes: what an encoder remembers, and so its memory.
const window = 1 << 20

func newPress() (*press, error) {
	processors := runtime.GOMAXPROCS(0)
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(processors),
		zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false)) // the tag and the digest say more
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(processors),
		zstd.WithDecoderMaxMemory(custody.ChunkSize),
		zstd.WithDecoderMaxWindow(custody.ChunkSize),
		zstd.WithDecodeAllCapLimit(true)) // never more than the chunk's length
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	return &press{encoder, decoder}, nil
}

// sample is how many bytes are tried at each of two places of a chunk before
// the whole of it is compressed.
const sample = 64 << 10

// pays tells whether so many bytes instead of whole are worth the time that
// they cost every reader: from 5 % on.
func pays(packed, whole int) bool { return packed <= whole-whole/20 }

// errDoesNotPay says that a chunk is best stored as it is.
var errDoesNotPay = errors.New("compressing it does not pay")

// pack returns plain as zstd writes it, in buf, which needs room for what zstd
// makes of incompressible bytes; plain, which stays what it is, otherwise, with
// errDoesNotPay.
func (p *press) pack(buf, plain []byte) ([]byte, error) {
	if len(plain) > 2*sample {
		tried := 0
		for _, at := range []int{len(plain) / 4, len(plain)/4*3 - sample} {
			tried += len(p.encoder.EncodeAll(plain[at:at+sample], buf[:0]))
		}
		if !pays(tried, 2*sample) {
			return plain, errDoesNotPay
		}
	}
	packed := p.encoder.EncodeAll(plain, buf[:0])
	if !pays(len(packed), len(plain)) {
		return plain, errDoesNotPay
	}
	return packed, nil
}

// unpack expands body to exactly length bytes, into buf.
func (p *press) unpack(buf, body []byte, length uint64) ([]byte, error) {
	plain, err := p.decoder.DecodeAll(body, buf[:0:length])
	if err != nil {
		return nil, fmt.Errorf("expand it: %w", err)
	}
	if uint64(len(plain)) != length {
		return nil, fmt.Errorf("it expands to %d bytes instead of %d", len(plain), length)
	}
	return plain, nil
}
