package sql

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

const (
	insertErasure  = `INSERT INTO erasures (position, ordered, stream, sequence) VALUES ((SELECT coalesce(max(position), 0) + 1 FROM erasures), $1, $2, $3)`
	selectErasures = `SELECT ordered, stream, sequence FROM erasures ORDER BY position`
	endErasure     = `DELETE FROM erasures WHERE ordered = $1`
	selectPart     = `SELECT r.record, r.opening FROM records r JOIN receipts p ON p.stream = r.stream AND p.sequence = r.sequence
		WHERE r.stream = $1 AND r.sequence = $2`
	isDestroyed  = `SELECT destroyed FROM erasures WHERE stream = $1 AND sequence = $2`
	setDestroyed = `UPDATE erasures SET destroyed = TRUE WHERE stream = $1 AND sequence = $2`
	eraseRecord  = `UPDATE records SET record = $1, opening = $2, mark = $3 WHERE stream = $4 AND sequence = $5`
	eraseReceipt = `UPDATE receipts SET receipt = $1 WHERE stream = $2 AND sequence = $3`
	eraseTicket  = `DELETE FROM tickets WHERE granted = $1 AND closed`
)

// erasing notes what a record orders erased.
func (t *transaction) erasing(x guard.Erasing) error {
	_, err := t.exec(insertErasure, x.Order[:], string(x.Stream), x.Sequence)
	return err
}

// Erasures implements guard.Store.
func (s *Store) Erasures(ctx context.Context) (list []guard.Erasing, err error) {
	err = s.rows(ctx, selectErasures, nil, func(scan func(...any) error) error {
		var x guard.Erasing
		err := scan(into(&x.Order), &x.Stream, &x.Sequence)
		list = append(list, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("erasures that are ordered: %w", err)
	}
	return list, nil
}

// EndErasure implements guard.Store.
func (s *Store) EndErasure(ctx context.Context, order custody.Digest) error {
	return s.changeOne(ctx, custody.ErrUnknown, "erasure by "+order.String(), endErasure, order[:])
}

// Erase implements guard.Store. What was in the row is looked for in the files
// afterwards. Where it is found still, or nobody knows any more what it was since
// an earlier call was cut short, the whole database is written anew. Of an
// ordered erasure it is noted when that is done, and it is done once.
func (s *Store) Erase(ctx context.Context, e guard.Erased) error {
	var done bool
	err := s.row(ctx, isDestroyed, []any{string(e.Stream), e.Sequence}, &done)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err == nil && !done {
		if err = s.erase(ctx, e); err == nil {
			err = s.write(ctx, func(t *transaction) error {
				_, err := t.exec(setDestroyed, string(e.Stream), e.Sequence)
				return err
			})
		}
	}
	if err != nil {
		return fmt.Errorf("erase record %d of %s: %w", e.Sequence, e.Stream, err)
	}
	return nil
}

func (s *Store) erase(ctx context.Context, e guard.Erased) error {
	var record []byte
	var opening custody.Opening
	err := s.row(ctx, selectPart, []any{string(e.Stream), e.Sequence}, &record, into(&opening))
	if errors.Is(err, sql.ErrNoRows) {
		return custody.ErrUnknown
	}
	if err != nil {
		return err
	}
	var parts [][]byte
	if len(record) > 0 {
		if parts, err = telling(record, opening); err != nil {
			return err
		}
	}
	if err := s.write(ctx, func(t *transaction) error { return t.erase(e) }); err != nil {
		return err
	}
	if err := s.db.Truncate(ctx); err != nil {
		return err
	}
	if parts != nil {
		if found, err := s.db.Holds(ctx, parts); err != nil || !found {
			return err
		}
	}
	if err := s.db.Rewrite(ctx); err != nil || parts == nil {
		return err
	}
	found, err := s.db.Holds(ctx, parts)
	if err == nil && found {
		err = errors.New("its bytes are in the database's files still")
	}
	return err
}

func (t *transaction) erase(e guard.Erased) error {
	var none custody.Opening
	n, err := t.exec(eraseRecord, []byte{}, none[:], e.Mark[:], string(e.Stream), e.Sequence)
	if err == nil && n == 1 {
		n, err = t.exec(eraseReceipt, e.Receipt, string(e.Stream), e.Sequence)
	}
	if err != nil {
		return err
	}
	if n != 1 {
		return custody.ErrUnknown
	}
	_, err = t.exec(eraseTicket, e.Grant[:])
	return err
}

// part is the length in bytes of the parts that a record is looked for by.
const part = 32

// telling returns parts of a record and its receipt that no other record has, all
// over it: the opening, as it is and as a receipt has it, and what of the
// statement follows from its signer's nonce: the signature, and the nonce.
func telling(record []byte, opening custody.Opening) ([][]byte, error) {
	r, err := custody.ParseRecord(record)
	if err != nil {
		return nil, err
	}
	var receipt custody.Receipt
	receipt.Open(opening, custody.Tag{})
	extra := base64.StdEncoding.EncodeToString(receipt.Extra)
	parts := [][]byte{opening[:], []byte(extra[:len(opening)/3*4])}
	for _, s := range r.Envelope.Signatures {
		text := base64.StdEncoding.EncodeToString(s.Sig)
		for ; len(text) >= part; text = text[part:] {
			parts = append(parts, []byte(text[:part]))
		}
	}
	if at := bytes.Index(r.Envelope.Payload, []byte(`"nonce":"`)); at >= 0 {
		from := (at + len(`"nonce":"`) + 2) / 3 * 3 // where base64 begins anew
		text := base64.StdEncoding.EncodeToString(r.Envelope.Payload[from : from+part/4*3])
		parts = append(parts, []byte(text))
	}
	return parts, nil
}
