package custody

import (
	"encoding/base32"
	"fmt"
	"strings"
)

// An identifier is a prefix that says what it names and 16 characters of
// base32: the first 80 bits of the payload digest of the statement that
// brought the thing into being. Whoever signs that statement knows the
// identifier before anybody else does, and sending it twice makes one thing.

// PrincipalID names a person or a service identity: "p-" and 16 characters.
type PrincipalID string

// IncidentID names an incident: "i-" and 16 characters.
type IncidentID string

// EvidenceID names an evidence item: "e-" and 16 characters.
type EvidenceID string

const (
	principalPrefix = "p-"
	incidentPrefix  = "i-"
	evidencePrefix  = "e-"
	idLength        = 16
)

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

func newID(prefix string, payload Digest) string {
	return prefix + idEncoding.EncodeToString(payload[:10])
}

// NewPrincipalID names the principal that a statement with this payload digest enrols.
func NewPrincipalID(payload Digest) PrincipalID { return PrincipalID(newID(principalPrefix, payload)) }

// NewIncidentID names the incident that a statement with this payload digest opens.
func NewIncidentID(payload Digest) IncidentID { return IncidentID(newID(incidentPrefix, payload)) }

// NewEvidenceID names the item that a statement with this payload digest begins.
func NewEvidenceID(payload Digest) EvidenceID { return EvidenceID(newID(evidencePrefix, payload)) }

func checkID(kind, prefix, s string) error {
	rest, ok := strings.CutPrefix(s, prefix)
	if ok && len(rest) == idLength && strings.Trim(rest, idAlphabet) == "" {
		return nil
	}
	if s == "" {
		return fmt.Errorf("%s identifier is missing: %q and 16 characters of a-z and 2-7", kind, prefix)
	}
	return fmt.Errorf("%.80q is not %s identifier: %q and 16 characters of a-z and 2-7", s, kind, prefix)
}

// ParsePrincipalID accepts exactly what NewPrincipalID makes.
func ParsePrincipalID(s string) (PrincipalID, error) {
	return PrincipalID(s), checkID("a principal", principalPrefix, s)
}

// ParseIncidentID accepts exactly what NewIncidentID makes.
func ParseIncidentID(s string) (IncidentID, error) {
	return IncidentID(s), checkID("an incident", incidentPrefix, s)
}

// ParseEvidenceID accepts exactly what NewEvidenceID makes.
func ParseEvidenceID(s string) (EvidenceID, error) {
	return EvidenceID(s), checkID("an evidence", evidencePrefix, s)
}

// Stream names an ordered history of records:
//
//	policy                    policies, service and log keys, enrolments
//	incidents                 which incidents exist, and what is of none: rota, procedures, reported vulnerabilities
//	principal/p-…             keys, roles and sessions of one principal
//	incident/i-…              one incident
//	evidence/e-…              one evidence item
type Stream string

// The two streams that the genesis record opens.
const (
	PolicyStream    Stream = "policy"
	IncidentsStream Stream = "incidents"
)

// Stream returns the principal's stream.
func (p PrincipalID) Stream() Stream { return Stream("principal/" + string(p)) }

// Stream returns the incident's stream.
func (i IncidentID) Stream() Stream { return Stream("incident/" + string(i)) }

// Stream returns the item's stream.
func (e EvidenceID) Stream() Stream { return Stream("evidence/" + string(e)) }

// ParseStream accepts the five forms above.
func ParseStream(s string) (Stream, error) {
	if s == string(PolicyStream) || s == string(IncidentsStream) {
		return Stream(s), nil
	}
	kind, id, _ := strings.Cut(s, "/")
	var err error
	switch kind {
	case "principal":
		_, err = ParsePrincipalID(id)
	case "incident":
		_, err = ParseIncidentID(id)
	case "evidence":
		_, err = ParseEvidenceID(id)
	default:
		err = fmt.Errorf("%.80q is not a stream", s)
	}
	return Stream(s), err
}

// Kind returns the part before the slash: policy, incidents, principal, incident or evidence.
func (s Stream) Kind() string {
	kind, _, _ := strings.Cut(string(s), "/")
	return kind
}

// ID returns the identifier of what the stream is about; "" of one that is about
// no single thing.
func (s Stream) ID() string {
	_, id, _ := strings.Cut(string(s), "/")
	return id
}
