package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

const (
	selectRecord = `SELECT r.stream, r.sequence, r.payload, r.record, r.opening, r.commitment, r.tag, r.mark, p.receipt
		FROM records r LEFT JOIN receipts p ON p.stream = r.stream AND p.sequence = r.sequence `
	selectUnproven = `SELECT r.stream, r.sequence, r.payload, r.record, r.opening, r.commitment, r.tag, r.mark, NULL
		FROM outbox o JOIN records r ON r.stream = o.stream AND r.sequence = o.sequence ORDER BY o.position`
	selectByPayload = selectRecord + `WHERE r.payload = $1`
	selectRecords   = selectRecord + `WHERE r.stream = $1 AND r.sequence >= $2 ORDER BY r.sequence LIMIT $3`
	selectProven    = selectRecord + `WHERE r.stream = $1 AND r.sequence >= $2
		AND r.sequence < (SELECT s.proven FROM streams s WHERE s.stream = $1) ORDER BY r.sequence LIMIT $3`
	selectOpened  = `SELECT stream, tag_key FROM streams WHERE declared_by = $1 ORDER BY stream`
	selectOpening = `SELECT s.declared_by, s.stream, s.tag_key FROM records r JOIN streams s ON s.declared_by = r.payload
		WHERE r.stream = $1 AND r.sequence >= $2 AND r.sequence <= $3 ORDER BY s.stream`
	selectLengths = `SELECT stream, proven FROM streams WHERE stream >= $1 AND stream < $2`
	selectStream  = `SELECT tag_key, declared_by, length, proven FROM streams WHERE stream = $1`
)

// Unproven implements guard.Store.
func (s *Store) Unproven(ctx context.Context) ([]guard.Stored, error) {
	list, err := s.records(ctx, selectUnproven)
	for i := range list {
		if err == nil {
			err = s.complete(ctx, &list[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("records without a receipt: %w", err)
	}
	return list, nil
}

// ByPayload implements guard.Store.
func (s *Store) ByPayload(ctx context.Context, payload custody.Digest) (guard.Stored, error) {
	list, err := s.records(ctx, selectByPayload, payload[:])
	if err == nil && len(list) == 0 {
		return guard.Stored{}, custody.ErrUnknown
	}
	if err == nil {
		err = s.complete(ctx, &list[0])
	}
	if err != nil {
		return guard.Stored{}, fmt.Errorf("record of statement %s: %w", payload, err)
	}
	return list[0], nil
}

// Records implements guard.Store.
func (s *Store) Records(ctx context.Context, name custody.Stream, from uint64, limit int, proven bool) ([]guard.Stored, error) {
	if from > math.MaxInt64 || limit <= 0 {
		return nil, nil
	}
	text := selectRecords
	if proven {
		text = selectProven
	}
	list, err := s.records(ctx, text, string(name), from, limit)
	if err == nil && len(list) > 0 {
		err = s.addOpened(ctx, list)
	}
	if err != nil {
		return nil, fmt.Errorf("records of %s: %w", name, err)
	}
	return list, nil
}

// Proven returns how many records of each stream of a kind have a receipt: what
// is the same as before need not be looked at again.
func (s *Store) Proven(ctx context.Context, kind string) (map[custody.Stream]uint64, error) {
	lengths := map[custody.Stream]uint64{}
	err := s.rows(ctx, selectLengths, []any{kind + "/", kind + "0"}, func(scan func(...any) error) error { // 0 comes after /
		var name custody.Stream
		var n uint64
		err := scan(&name, &n)
		lengths[name] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lengths of the streams of kind %s: %w", kind, err)
	}
	return lengths, nil
}

// Stream implements guard.Store.
func (s *Store) Stream(ctx context.Context, name custody.Stream) (guard.StreamInfo, error) {
	var i guard.StreamInfo
	err := s.row(ctx, selectStream, []any{string(name)}, into(&i.TagKey), into(&i.DeclaredBy), &i.Length, &i.Proven)
	if errors.Is(err, sql.ErrNoRows) {
		return guard.StreamInfo{}, custody.ErrUnknown
	}
	if err != nil {
		return guard.StreamInfo{}, fmt.Errorf("stream %s: %w", name, err)
	}
	return i, nil
}

func (s *Store) records(ctx context.Context, text string, args ...any) (list []guard.Stored, err error) {
	err = s.rows(ctx, text, args, func(scan func(...any) error) error {
		var r guard.Stored
		var tag custody.Tag
		if err := scan(&r.Stream, &r.Sequence, into(&r.Payload), &r.Record, into(&r.Opening), into(&r.Commitment), into(&tag), into(&r.Mark), &r.Receipt); err != nil {
			return err
		}
		if len(r.Record) == 0 {
			r.Record = nil
		}
		r.Leaf = custody.NewLeaf(r.Commitment, tag)
		list = append(list, r)
		return nil
	})
	return list, err
}

// complete adds the basis, which the record says, and the streams it opens.
func (s *Store) complete(ctx context.Context, r *guard.Stored) error {
	if r.Erased() {
		return nil
	}
	said, err := custody.ParseRecord(r.Record)
	if err != nil {
		return err
	}
	r.Basis = said.Basis
	if len(said.Declares) == 0 {
		return nil
	}
	return s.rows(ctx, selectOpened, []any{r.Payload[:]}, func(scan func(...any) error) error {
		var o custody.OpenedStream
		if err := scan(&o.Stream, into(&o.TagKey)); err != nil {
			return err
		}
		r.Opens = append(r.Opens, o)
		return nil
	})
}

// addOpened adds the streams that a stretch of a stream's records opens.
func (s *Store) addOpened(ctx context.Context, list []guard.Stored) error {
	at := map[custody.Digest]*guard.Stored{}
	for i := range list {
		at[list[i].Payload] = &list[i]
	}
	args := []any{string(list[0].Stream), list[0].Sequence, list[len(list)-1].Sequence}
	return s.rows(ctx, selectOpening, args, func(scan func(...any) error) error {
		var by custody.Digest
		var o custody.OpenedStream
		if err := scan(into(&by), &o.Stream, into(&o.TagKey)); err != nil {
			return err
		}
		at[by].Opens = append(at[by].Opens, o)
		return nil
	})
}

const countRecords = `SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM outbox)`

// Count returns how many records there are, and how many of them have no receipt.
func (s *Store) Count(ctx context.Context) (records, unproven uint64, err error) {
	if err := s.row(ctx, countRecords, nil, &records, &unproven); err != nil {
		return 0, 0, fmt.Errorf("count the records: %w", err)
	}
	return records, unproven, nil
}
