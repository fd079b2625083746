package storage

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"

	"github.com/forensic-custody/custody/custody"
)

// Identity is the service's secret key for data keys. *age.X25519Identity and
// *age.HybridIdentity are such.
type Identity interface {
	age.Identity
	String() string // the secret key's text form
}

// incidentKeys are the secrets of one incident. data encrypts what it holds;
// names gives it names in the bucket.
//
// In the bucket they lie at v1/<incident>/k/<file>, file from 1 in decimal. Of
// several files the one with the highest number counts that carries the tag of
// this service: wrapping the keys anew writes a further file and removes those
// before it. A file is
//
//	32 bytes  tag: HMAC-SHA256(wrapping tag key, "custody/v1/wrapped keys" ||
//	          incident || uint32 file || the rest of the object)
//	the rest  an age file (age-encryption.org/v1) for the service and, if there
//	          is one, the escrow, of 87 bytes: version 1, incident, uint32
//	          number of the keys, data key, name key; nothing, when the keys were
//	          destroyed
//
// Whoever can write to the bucket can make such a file for the service's public
// key, with keys that he knows. The tag stops that: its key is HKDF-SHA256 of
// the text form of the service's secret key, without salt, with
// "custody/v1/wrapping tag key" as info. An escrow opens the age file and needs
// no tag.
type incidentKeys struct {
	incident custody.IncidentID
	number   uint32
	data     [32]byte
	names    [32]byte
}

const (
	keysVersion = 1
	firstKeys   = 1
	idSize      = 18       // bytes of an incident's identifier
	maxWrapped  = 64 << 10 // bytes of a file of wrapped keys, whatever the number of recipients
	tagLength   = sha256.Size
)

func wrappedPrefix(i custody.IncidentID) string { return incidentPrefix(i) + "k/" }

func wrappedKey(i custody.IncidentID, file uint32) string {
	return wrappedPrefix(i) + strconv.FormatUint(uint64(file), 10)
}

// ErrShredded says that an incident's keys were destroyed on purpose: what it
// had can never be read again, and it takes nothing in.
var ErrShredded = errors.New("the incident's keys were destroyed")

func (k *incidentKeys) marshal() []byte {
	b := append([]byte{keysVersion}, k.incident...)
	b = binary.BigEndian.AppendUint32(b, k.number)
	b = append(b, k.data[:]...)
	return append(b, k.names[:]...)
}

func parseKeys(b []byte, incident custody.IncidentID, number uint32) (*incidentKeys, error) {
	want := (&incidentKeys{incident: incident, number: number}).marshal()
	secrets := len(want) - 64
	if len(b) != len(want) || !bytes.Equal(b[:secrets], want[:secrets]) {
		return nil, fmt.Errorf("these are not the keys %d of incident %s", number, incident)
	}
	k := &incidentKeys{incident: incident, number: number}
	copy(k.data[:], b[secrets:])
	copy(k.names[:], b[secrets+32:])
	return k, nil
}

// keyring wraps and unwraps the keys of incidents.
type keyring struct {
	identity   Identity
	recipients []age.Recipient
	tagKey     []byte
}

// newKeyring checks that the identity opens what is wrapped for the recipients.
func newKeyring(identity Identity, recipients []age.Recipient) (*keyring, error) {
	r, err := readingKeyring(identity)
	if err != nil {
		return nil, err
	}
	r.recipients = recipients
	trial := &incidentKeys{incident: custody.NewIncidentID(custody.Digest{}), number: firstKeys}
	wrapped, err := r.wrap(trial, 1)
	if err != nil {
		return nil, err
	}
	if _, err := r.unwrap(wrapped, trial.incident, 1); err != nil {
		return nil, fmt.Errorf("the service's identity does not open what is wrapped for the recipients: %w", err)
	}
	return r, nil
}

// readingKeyring unwraps only.
func readingKeyring(identity Identity) (*keyring, error) {
	tagKey, err := hkdf.Key(sha256.New, []byte(identity.String()), nil, "custody/v1/wrapping tag key", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the wrapping tag key: %w", err)
	}
	return &keyring{identity: identity, tagKey: tagKey}, nil
}

func (r *keyring) tag(incident custody.IncidentID, file uint32, rest []byte) []byte {
	mac := hmac.New(sha256.New, r.tagKey)
	mac.Write([]byte("custody/v1/wrapped keys"))
	mac.Write([]byte(incident))
	mac.Write(binary.BigEndian.AppendUint32(nil, file))
	mac.Write(rest)
	return mac.Sum(nil)
}

// wrap returns the file of keys with this number.
func (r *keyring) wrap(k *incidentKeys, file uint32) ([]byte, error) {
	var rest bytes.Buffer
	w, err := age.Encrypt(&rest, r.recipients...)
	if err == nil {
		_, err = w.Write(k.marshal())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("wrap keys of %s: %w", k.incident, err)
	}
	return append(r.tag(k.incident, file, rest.Bytes()), rest.Bytes()...), nil
}

// unwrap opens a file that this service made: ErrShredded when it says that the
// keys were destroyed.
func (r *keyring) unwrap(b []byte, incident custody.IncidentID, file uint32) (*incidentKeys, error) {
	if len(b) < sha256.Size {
		return nil, errors.New("the file is cut short")
	}
	tag, rest := b[:sha256.Size], b[sha256.Size:]
	if subtle.ConstantTimeCompare(tag, r.tag(incident, file, rest)) != 1 {
		return nil, errors.New("this service did not make the file")
	}
	if len(rest) == 0 {
		return nil, ErrShredded
	}
	return openKeys(rest, incident, r.identity)
}

// openKeys opens the age file of wrapped keys, whoever made it.
func openKeys(rest []byte, incident custody.IncidentID, identity age.Identity) (*incidentKeys, error) {
	plain, err := age.Decrypt(bytes.NewReader(rest), identity)
	if err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(plain)
	if err != nil {
		return nil, err
	}
	return parseKeys(secret, incident, firstKeys)
}

// keys returns the incident's keys, as far as the vault or the bucket has them:
// ErrNotFound when the incident has none yet, ErrShredded when they were
// destroyed.
func (v *Vault) keys(ctx context.Context, incident custody.IncidentID) (*incidentKeys, error) {
	if _, err := custody.ParseIncidentID(string(incident)); err != nil {
		return nil, err
	}
	v.mu.Lock()
	k := v.known[incident]
	v.mu.Unlock()
	if k != nil {
		return k, nil
	}
	k, _, err := v.loadKeys(ctx, incident, v.ring)
	if err != nil {
		return nil, fmt.Errorf("keys of incident %s: %w", incident, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shredded[incident] { // since they were read
		return nil, fmt.Errorf("keys of incident %s: %w", incident, ErrShredded)
	}
	if first := v.known[incident]; first != nil {
		return first, nil
	}
	v.known[incident] = k
	return k, nil
}

// loadKeys reads the incident's keys and the number of the file that counts.
func (v *Vault) loadKeys(ctx context.Context, incident custody.IncidentID, ring *keyring) (*incidentKeys, uint32, error) {
	files, err := v.keyFiles(ctx, incident)
	if err != nil {
		return nil, 0, err
	}
	var failed error
	for _, file := range files {
		key := wrappedKey(incident, file)
		b, err := v.small(ctx, key, "")
		if err == nil {
			var k *incidentKeys
			if k, err = ring.unwrap(b, incident, file); err == nil || errors.Is(err, ErrShredded) {
				return k, file, err
			}
			err = &DamageError{Key: key, Reason: err}
		}
		if errors.Is(err, ErrTooLarge) {
			err = &DamageError{Key: key, Reason: err}
		}
		switch {
		case errors.Is(err, ErrNotFound): // the keys are being wrapped anew
			failed = cmp.Or(failed, fmt.Errorf("%w: %w", ErrUnavailable, errors.New(key+" went while it was looked for")))
		case errors.Is(err, ErrDamaged):
			failed = cmp.Or(failed, err)
		default:
			return nil, 0, err
		}
	}
	return nil, 0, cmp.Or(failed, ErrNotFound)
}

// keyFiles returns the numbers of the incident's files of keys, the highest
// first.
func (v *Vault) keyFiles(ctx context.Context, incident custody.IncidentID) ([]uint32, error) {
	var files []uint32
	err := v.bucket.List(ctx, wrappedPrefix(incident), func(o Object) error {
		if file, ok := keyFile(incident, o.Key); ok {
			files = append(files, file)
		}
		return nil
	})
	slices.SortFunc(files, func(a, b uint32) int { return cmp.Compare(b, a) })
	return files, err
}

// keyFile returns the number of a file of keys, unless key is something else.
func keyFile(incident custody.IncidentID, key string) (uint32, bool) {
	file, err := strconv.ParseUint(strings.TrimPrefix(key, wrappedPrefix(incident)), 10, 31)
	return uint32(file), err == nil && file > 0 && wrappedKey(incident, uint32(file)) == key
}

// small reads an object that is no larger than a file of keys.
func (v *Vault) small(ctx context.Context, key, version string) ([]byte, error) {
	buf := make([]byte, maxWrapped)
	n, err := v.bucket.Get(ctx, key, version, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// keysForWriting returns the incident's keys and makes them at first use. They
// are durable before they encrypt anything.
func (v *Vault) keysForWriting(ctx context.Context, incident custody.IncidentID) (*incidentKeys, error) {
	v.mu.Lock()
	k, durable := v.known[incident], v.durable[incident]
	v.mu.Unlock()
	if durable {
		return k, nil
	}
	k, err := v.keys(ctx, incident)
	if errors.Is(err, ErrNotFound) {
		k, err = v.makeKeys(ctx, incident)
	}
	if err != nil {
		return nil, err
	}
	// Whoever made the keys may not have come to his barrier. What is looked at
	// here is what the barrier makes durable.
	_, file, err := v.loadKeys(ctx, incident, v.ring)
	if err == nil {
		_, err = v.bucket.Stat(ctx, wrappedKey(incident, file), "")
	}
	if err == nil {
		err = v.bucket.Barrier(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("keys of incident %s: %w", incident, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.durable[incident] = true
	return k, nil
}

func (v *Vault) makeKeys(ctx context.Context, incident custody.IncidentID) (*incidentKeys, error) {
	if orphan := v.findOrphan(ctx, incident); orphan != nil {
		if k, err := v.keys(ctx, incident); err == nil { // made since we looked
			return k, nil
		}
		return nil, orphan
	}
	k := &incidentKeys{incident: incident, number: firstKeys}
	for _, secret := range [][]byte{k.data[:], k.names[:]} {
		if _, err := io.ReadFull(v.random, secret); err != nil {
			return nil, fmt.Errorf("draw keys of incident %s: %w", incident, err)
		}
	}
	wrapped, err := v.ring.wrap(k, 1)
	if err != nil {
		return nil, err
	}
	// ErrExists: another was first, or we were and the answer was lost.
	if _, err := v.bucket.Put(ctx, wrappedKey(incident, 1), wrapped); err != nil && !errors.Is(err, ErrExists) {
		return nil, fmt.Errorf("keys of incident %s: %w", incident, err)
	}
	return v.keys(ctx, incident)
}

// findOrphan returns an error when an incident without keys has objects: its
// keys were lost, and new ones would hide that.
func (v *Vault) findOrphan(ctx context.Context, incident custody.IncidentID) error {
	return v.bucket.List(ctx, incidentPrefix(incident), func(o Object) error {
		return &DamageError{
			Key:    wrappedKey(incident, 1),
			Reason: fmt.Errorf("the keys are gone, but %s is there", o.Key),
		}
	})
}
