package guard

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/policy"
)

// Create puts the genesis record on record, proven, and returns what a verifier
// has to trust. logKey is the log's verifier key. Called again it only returns
// the same. The log must be empty or hold the genesis record. witnesses is the first
// witness policy, custody.NoWitnesses where there is none.
func Create(ctx context.Context, c Config, logKey, policyText, witnesses string) (*custody.Trust, error) {
	if _, err := policy.Parse(policyText); err != nil {
		return nil, err
	}
	list, err := c.Store.Records(ctx, custody.PolicyStream, 0, 1, false)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		if list, err = commitGenesis(ctx, c, logKey, policyText, witnesses); err != nil {
			return nil, err
		}
	}
	genesis := list[0]
	receipts, err := c.Log.Append(ctx, []custody.Leaf{genesis.Leaf}, []custody.Digest{custody.Identity(genesis.Payload)})
	if err != nil {
		return nil, err
	}
	if receipts[0].Index != 0 {
		return nil, errors.New("the log holds something before the genesis record")
	}
	receipts[0].Open(genesis.Opening, genesis.Leaf.Tag())
	if err := c.Store.Prove(ctx, []Proof{{Payload: genesis.Payload, Receipt: receipts[0].Marshal()}}); err != nil {
		return nil, err
	}
	return &custody.Trust{
		Format: custody.TrustFormat, Genesis: genesis.Commitment, Log: logKey, Origin: c.Origin, Witnesses: witnesses,
	}, nil
}

func commitGenesis(ctx context.Context, c Config, logKey, policyText, witnesses string) ([]Stored, error) {
	now := custody.TimeOf(c.Now())
	h := custody.Header{Audience: c.Origin, Time: now, Expires: now.Add(custody.MaxValidity)}
	if _, err := io.ReadFull(c.Rand, h.Nonce[:]); err != nil {
		return nil, err
	}
	act := &custody.Genesis{Key: c.Service.Public().Bytes(), Log: logKey, Policy: policyText}
	if witnesses != custody.NoWitnesses {
		act.Witnesses = witnesses
	}
	e, err := custody.Sign(c.Service, h, act)
	if err != nil {
		return nil, err
	}
	s, err := e.Statement(c.Words)
	if err != nil {
		return nil, err
	}
	g := newGuard(c)
	out, err := s.Act.Lawful(g.folds.view(ctx, now, false), s)
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	anchor, err := g.anchor()
	if err != nil {
		return nil, err
	}
	if anchor.Size != 0 {
		return nil, errors.New("genesis: the log is not empty")
	}
	var key custody.TagKey
	if _, err := io.ReadFull(c.Rand, key[:]); err != nil {
		return nil, err
	}
	r := &custody.Record{
		Basis: []custody.Head{}, Checkpoint: anchor,
		Decision: custody.Decision{Permit: true, Policy: custody.Hash([]byte(policyText)), Rules: []string{}},
		Envelope: *e, Format: custody.RecordFormat, Recorded: now, Stream: out.Stream,
	}
	p, err := g.seal(r, s, out.Declares, key)
	if err != nil {
		return nil, err
	}
	list := []Stored{p.stored}
	return list, c.Store.Commit(ctx, list)
}
