package storage

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

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
// In the bucket they lie at v1/<incident>/k/<number>, number from 1 in decimal:
//
//	32 bytes  tag: HMAC-SHA256(wrapping tag key, "custody/v1/wrapped keys" ||
//	          incident || uint32 number || the rest of the object)
//	the rest  an age file (age-encryption.org/v1) for the service and, if there
//	          is one, the escrow, of 87 bytes: version 1, incident, uint32
//	          number, data key, name key
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
)

func wrappedKey(i custody.IncidentID, number uint32) string {
	return incidentPrefix(i) + "k/" + strconv.FormatUint(uint64(number), 10)
}

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
	tagKey, err := hkdf.Key(sha256.New, []byte(identity.String()), nil, "custody/v1/wrapping tag key", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the wrapping tag key: %w", err)
	}
	r := &keyring{identity: identity, recipients: recipients, tagKey: tagKey}
	trial := &incidentKeys{incident: custody.NewIncidentID(custody.Digest{}), number: firstKeys}
	wrapped, err := r.wrap(trial)
	if err != nil {
		return nil, err
	}
	if _, err := r.unwrap(wrapped, trial.incident, trial.number); err != nil {
		return nil, fmt.Errorf("the service's identity does not open what is wrapped for the recipients: %w", err)
	}
	return r, nil
}

func (r *keyring) tag(incident custody.IncidentID, number uint32, file []byte) []byte {
	mac := hmac.New(sha256.New, r.tagKey)
	mac.Write([]byte("custody/v1/wrapped keys"))
	mac.Write([]byte(incident))
	mac.Write(binary.BigEndian.AppendUint32(nil, number))
	mac.Write(file)
	return mac.Sum(nil)
}

func (r *keyring) wrap(k *incidentKeys) ([]byte, error) {
	var file bytes.Buffer
	w, err := age.Encrypt(&file, r.recipients...)
	if err == nil {
		_, err = w.Write(k.marshal())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("wrap keys of %s: %w", k.incident, err)
	}
	return append(r.tag(k.incident, k.number, file.Bytes()), file.Bytes()...), nil
}

func (r *keyring) unwrap(b []byte, incident custody.IncidentID, number uint32) (*incidentKeys, error) {
	if len(b) < sha256.Size {
		return nil, errors.New("the file is cut short")
	}
	tag, file := b[:sha256.Size], b[sha256.Size:]
	if subtle.ConstantTimeCompare(tag, r.tag(incident, number, file)) != 1 {
		return nil, errors.New("this service did not make the file")
	}
	plain, err := age.Decrypt(bytes.NewReader(file), r.identity)
	if err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(plain)
	if err != nil {
		return nil, err
	}
	return parseKeys(secret, incident, number)
}

// keys returns the incident's keys, as far as the vault or the bucket has them:
// ErrNotFound when the incident has none yet.
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
	buf := make([]byte, maxWrapped)
	key := wrappedKey(incident, firstKeys)
	n, err := v.bucket.Get(ctx, key, "", buf)
	if err != nil {
		return nil, fmt.Errorf("keys of incident %s: %w", incident, err)
	}
	k, err = v.ring.unwrap(buf[:n], incident, firstKeys)
	if err != nil {
		return nil, &DamageError{Key: key, Reason: err}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known[incident] = k
	return k, nil
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
	// Whoever made the keys may not have come to his barrier.
	_, err = v.bucket.Stat(ctx, wrappedKey(incident, firstKeys), "")
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
	wrapped, err := v.ring.wrap(k)
	if err != nil {
		return nil, err
	}
	// ErrExists: another was first, or we were and the answer was lost.
	if _, err := v.bucket.Put(ctx, wrappedKey(incident, firstKeys), wrapped); err != nil && !errors.Is(err, ErrExists) {
		return nil, fmt.Errorf("keys of incident %s: %w", incident, err)
	}
	return v.keys(ctx, incident)
}

// findOrphan returns an error when an incident without keys has objects: its
// keys were lost, and new ones would hide that.
func (v *Vault) findOrphan(ctx context.Context, incident custody.IncidentID) error {
	return v.bucket.List(ctx, incidentPrefix(incident), func(o Object) error {
		return &DamageError{
			Key:    wrappedKey(incident, firstKeys),
			Reason: fmt.Errorf("the keys are gone, but %s is there", o.Key),
		}
	})
}
