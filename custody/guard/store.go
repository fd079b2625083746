package guard

import (
	"context"
	"errors"
	"time"

	"github.com/forensic-custody/custody/custody"
)

// Stored is a record as the store keeps it.
type Stored struct {
	Stream     custody.Stream
	Sequence   uint64
	Payload    custody.Digest // of the statement; unique in the store
	Record     []byte         // canonical bytes
	Opening    custody.Opening
	Commitment custody.Commitment
	Leaf       custody.Leaf
	Basis      []custody.Head         // as in the record
	Opens      []custody.OpenedStream // as the record declares, with the keys
	Mark       [32]byte               // the guard's own MAC over the row: nobody else can add one
	Receipt    []byte                 // first receipt, with the opening and the tag; nil until proven
	Ticket     *Ticket                // that the record earns; nil for most
	Erases     *Erasing               // what the record, the second of two orders, has to be done about; nil for most
}

// Erased says whether the record was erased: its bytes and opening are gone, and
// its mark and receipt are those of what is left.
func (s Stored) Erased() bool { return len(s.Record) == 0 }

// Erasing is the erasure of a record that is ordered, and not known to be done.
type Erasing struct {
	Order    custody.Digest // payload digest of the second order
	Stream   custody.Stream
	Sequence uint64
}

// Erased is what is left of a record that is erased.
type Erased struct {
	Stream   custody.Stream
	Sequence uint64
	Mark     [32]byte
	Receipt  []byte         // without the opening
	Grant    custody.Digest // whose closed ticket goes with it; zero for none
}

// StreamInfo is what the store knows of a declared stream.
type StreamInfo struct {
	TagKey     custody.TagKey
	DeclaredBy custody.Digest // payload digest of the declaring statement
	Length     uint64         // records committed, proven or not
	Proven     uint64         // records proven; they are the first ones
}

// Proof is a receipt for a record.
type Proof struct {
	Payload custody.Digest
	Receipt []byte
}

// The errors of a Store that its caller acts on.
var (
	// ErrStale says that a head is not what the records were built on.
	ErrStale = errors.New("a stream has moved on")
	// ErrDuplicate says that a record of the same statement is there.
	ErrDuplicate = errors.New("the statement is on record")
)

// Store keeps the records, the outbox (records without a receipt) and the
// tickets. Its methods may be called at once. Every change is durable when the
// method returns nil; when it returns an error the change is there whole or
// not at all.
type Store interface {
	// Commit adds records, the tickets that they earn and the erasures that they
	// order, in one transaction,
	// in order: a record may stand on one before it in the list. It fails whole, with ErrStale when for any
	// record the stream's head (sequence and previous commitment, found in the
	// record) or a head of its basis is not the one in the store, with
	// ErrDuplicate when a payload digest is there or a stream is declared
	// already, and with custody.ErrUnknown when the stream is not declared by
	// it or before it.
	Commit(ctx context.Context, records []Stored) error
	// Prove keeps the first receipts of records. A record that has one keeps it.
	Prove(ctx context.Context, proofs []Proof) error
	// Unproven returns the records without a receipt, in order of commit.
	Unproven(ctx context.Context) ([]Stored, error)
	// ByPayload returns the record of a statement, or custody.ErrUnknown.
	ByPayload(ctx context.Context, payload custody.Digest) (Stored, error)
	// Records returns records of a stream from a sequence on, at most limit of
	// them, in order, only proven ones if so asked. Basis is not filled in.
	Records(ctx context.Context, s custody.Stream, from uint64, limit int, proven bool) ([]Stored, error)
	// Stream returns what is known of a stream, or custody.ErrUnknown.
	Stream(ctx context.Context, s custody.Stream) (StreamInfo, error)

	// BeginUse counts a use of the open ticket with this token, before its
	// first byte, and returns it; custody.ErrUnknown when there is none.
	BeginUse(ctx context.Context, token custody.Digest) (Ticket, error)
	// EndUse ends a use after which sent more bytes had been handed over.
	EndUse(ctx context.Context, grant custody.Digest, sent uint64) error
	// OpenTickets returns the tickets that are not closed.
	OpenTickets(ctx context.Context) ([]Ticket, error)
	// CloseTicket closes a ticket for good.
	CloseTicket(ctx context.Context, grant custody.Digest) error

	// Erasures returns the erasures that committed records ordered and that were
	// not ended, in order of commit.
	Erasures(ctx context.Context) ([]Erasing, error)
	// Erase destroys a record's bytes and opening, and with them the closed ticket
	// of a grant, and keeps its place, payload digest, commitment and tag, with a
	// new mark and receipt. When it returns nil nothing of what is destroyed is in
	// the files of the store. Called again it sees to that again. It fails with
	// custody.ErrUnknown for no record, or one that is not proven.
	Erase(ctx context.Context, e Erased) error
	// EndErasure takes an erasure from the list.
	EndErasure(ctx context.Context, order custody.Digest) error
}

// Ticket is the right to fetch one stretch of an artifact that an admitted
// retrieval earned. The store holds only the digest of its token.
type Ticket struct {
	Token     custody.Digest // SHA-256 of the token that the receiver holds
	Grant     custody.Digest // payload digest of the retrieval; unique
	Principal custody.PrincipalID
	Key       custody.KeyID // that signed the retrieval
	Evidence  custody.EvidenceID
	Span      Range
	Expires   time.Time // no use begins later, but after another one
	Begun     uint64    // uses that began
	Ended     uint64    // uses that ended
	Sent      uint64    // bytes handed over in uses that ended
}

// Stopped is why the log takes nothing, in words that may leave the service.
type Stopped struct {
	Why   string
	Cause error // for the service's own log
}

func (s Stopped) Error() string { return s.Why + ": " + s.Cause.Error() }

// Unwrap returns the cause.
func (s Stopped) Unwrap() error { return s.Cause }

// Log is the transparency log. Package ledger implements it.
type Log interface {
	// Append adds leaves under their identities and returns their receipts, in
	// order, once a signed checkpoint that covers them is published. Adding
	// one again returns a receipt and adds nothing.
	Append(ctx context.Context, leaves []custody.Leaf, identities []custody.Digest) ([]*custody.Receipt, error)
	// Checkpoint returns the latest published checkpoint, signed.
	Checkpoint() []byte
	// Ready returns nil, or why nothing can be appended, as a Stopped where
	// that may be told.
	Ready() error
}
