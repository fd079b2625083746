package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

const (
	ticketColumns = `granted, token, principal, signer, evidence, start, length, expires, begun, ended, sent`
	insertTicket  = `INSERT INTO tickets (` + ticketColumns + `, closed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, FALSE) ON CONFLICT DO NOTHING`
	beginUse      = `UPDATE tickets SET begun = begun + 1 WHERE token = $1 AND NOT closed RETURNING ` + ticketColumns
	endUse        = `UPDATE tickets SET ended = ended + 1, sent = sent + $1 WHERE granted = $2 AND ended < begun`
	selectTickets = `SELECT ` + ticketColumns + ` FROM tickets WHERE NOT closed ORDER BY granted`
	closeTicket   = `UPDATE tickets SET closed = TRUE WHERE granted = $1`
)

// ticket adds the ticket that a record earns. It fails with guard.ErrDuplicate
// when there is or was one with the token.
func (t *transaction) ticket(k guard.Ticket) error {
	n, err := t.exec(insertTicket, k.Grant[:], k.Token[:], string(k.Principal), k.Key[:], string(k.Evidence),
		k.Span.Offset, k.Span.Length, k.Expires.UnixMicro(), k.Begun, k.Ended, k.Sent)
	if err == nil && n == 0 {
		err = guard.ErrDuplicate
	}
	return err
}

// BeginUse implements guard.Store.
func (s *Store) BeginUse(ctx context.Context, token custody.Digest) (guard.Ticket, error) {
	var found guard.Ticket
	err := s.write(ctx, func(t *transaction) (err error) {
		found, err = scanTicket(func(to ...any) error { return t.row(beginUse, []any{token[:]}, to...) })
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return guard.Ticket{}, custody.ErrUnknown
	}
	if err != nil {
		return guard.Ticket{}, fmt.Errorf("use of a ticket: %w", err)
	}
	return found, nil
}

// EndUse implements guard.Store. It fails with custody.ErrUnknown when no use of
// the ticket is under way. A ticket that was closed meanwhile counts it still.
func (s *Store) EndUse(ctx context.Context, grant custody.Digest, sent uint64) error {
	return s.changeOne(ctx, custody.ErrUnknown, "use of the ticket for "+grant.String(), endUse, sent, grant[:])
}

// CloseTicket implements guard.Store. A closed one stays closed; it fails with
// custody.ErrUnknown when there never was one.
func (s *Store) CloseTicket(ctx context.Context, grant custody.Digest) error {
	return s.changeOne(ctx, custody.ErrUnknown, "ticket for "+grant.String(), closeTicket, grant[:])
}

// OpenTickets implements guard.Store. They come in order of grant.
func (s *Store) OpenTickets(ctx context.Context) (list []guard.Ticket, err error) {
	err = s.rows(ctx, selectTickets, nil, func(scan func(...any) error) error {
		t, err := scanTicket(scan)
		list = append(list, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open tickets: %w", err)
	}
	return list, nil
}

// scanTicket reads ticketColumns.
func scanTicket(scan func(...any) error) (t guard.Ticket, err error) {
	var expires int64
	err = scan(into(&t.Grant), into(&t.Token), &t.Principal, into(&t.Key), &t.Evidence,
		&t.Span.Offset, &t.Span.Length, &expires, &t.Begun, &t.Ended, &t.Sent)
	t.Expires = time.UnixMicro(expires).UTC()
	return t, err
}
