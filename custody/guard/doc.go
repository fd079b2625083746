// Package guard is the reference monitor: the one place at which a signed
// statement becomes a record, and the only one that can make a Pass.
//
// It promises, for every statement:
//
//   - Verified, decided, recorded, proven, in this order; what is permitted is
//     answered, and a Pass or ticket made, only when a published checkpoint
//     proves the record and with it every record it stands on.
//   - A refusal is a record with the same fields as a grant.
//   - No flood of refusals grows the log: of one person's refusals a hundred in
//     an hour are records, and one more says how many others there were.
//   - The same statement twice makes one record and is answered twice alike.
//   - An error gives no right. Where the log or the store cannot take a
//     record, the answer is ErrUnavailable.
//
// Decisions are made one after the other, each upon the folds as the one
// before left them, so that a revocation takes effect with the next decision.
// Committing and proving happen behind them, many records at a time; answers
// wait for the proof.
//
// It does no I/O of its own: records, log, clock and randomness come in through
// Config. What it does not do: keep bytes (package storage does, and asks for a
// Pass), or speak HTTP.
//
// Begin reading at Guard.Admit.
package guard
