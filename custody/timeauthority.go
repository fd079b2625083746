package custody

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// TimeAuthority is a time-stamping authority (RFC 3161), as a trust file names it:
// whose word on the time of a checkpoint counts for whoever goes by the file.
type TimeAuthority struct {
	// Certificates are the authority's roots and, where its tokens do not carry
	// them, the certificates between these and the one that it signs with: PEM
	// (RFC 7468) in one spelling, see NormalCertificates. A certificate whose issuer
	// is its subject is a root.
	Certificates string `json:"certificates"`

	Kind TimeAuthorityKind `json:"kind"`
	Name string            `json:"name"` // a line, which no other authority of the file has
}

// TimeAuthorityKind is what the word of an authority is worth, in the eyes of whoever
// wrote the trust file.
type TimeAuthorityKind string

// The kinds of authority.
const (
	// ExternalAuthority is somebody else than the operator of the log.
	ExternalAuthority TimeAuthorityKind = "external"
	// QualifiedAuthority is a qualified trust service provider's: its stamps enjoy
	// the presumption of Article 41(2) of Regulation (EU) 910/2014 (eIDAS).
	QualifiedAuthority TimeAuthorityKind = "qualified"
	// LocalAuthority is the operator's own clock, which proves nothing to anybody
	// else.
	LocalAuthority TimeAuthorityKind = "local"
)

// String says what the kind means.
func (k TimeAuthorityKind) String() string {
	switch k {
	case QualifiedAuthority:
		return "qualified: presumed accurate by Article 41(2) eIDAS"
	case LocalAuthority:
		return "local: the operator's own clock"
	}
	return string(k)
}

// ParseTimeAuthorityKind accepts the three kinds.
func ParseTimeAuthorityKind(s string) (TimeAuthorityKind, error) {
	switch k := TimeAuthorityKind(s); k {
	case ExternalAuthority, QualifiedAuthority, LocalAuthority:
		return k, nil
	}
	return "", fmt.Errorf("kind of authority %.40q is none of external, qualified and local", s)
}

// The bounds of what a trust file says of authorities.
const (
	maxAuthorities  = 32
	maxCertificates = 64 << 10 // bytes of one authority's
)

// Check returns nil when the authority is as a trust file may name one.
func (a TimeAuthority) Check() error {
	if err := checkLine("name of an authority", a.Name, true); err != nil {
		return err
	}
	if _, err := ParseTimeAuthorityKind(string(a.Kind)); err != nil {
		return fmt.Errorf("authority %s: %w", a.Name, err)
	}
	if normal, err := NormalCertificates([]byte(a.Certificates)); err != nil {
		return fmt.Errorf("authority %s: %w", a.Name, err)
	} else if normal != a.Certificates {
		return fmt.Errorf("authority %s: its certificates are not in their one spelling", a.Name)
	}
	return nil
}

// Chain returns the authority's certificates: those that are believed, and those
// that may stand between them and the one that signs. It fails for an authority
// that Check refuses.
func (a TimeAuthority) Chain() (roots, between []*x509.Certificate, err error) {
	list, err := parseCertificates([]byte(a.Certificates))
	if err != nil {
		return nil, nil, fmt.Errorf("authority %s: %w", a.Name, err)
	}
	for _, c := range list {
		if isRoot(c) {
			roots = append(roots, c)
		} else {
			between = append(between, c)
		}
	}
	return roots, between, nil
}

// isRoot says whether a certificate is one that its holder issued to himself. Its
// signature says nothing: what makes it a root is that it stands in a trust file.
func isRoot(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// NormalCertificates returns certificates in PEM, as authorities publish them, in
// the one spelling that a trust file has: the CERTIFICATE blocks alone, with lines
// of 64 characters. It fails for anything else than certificates in a block, one
// that stands there twice, and when none of them is a root.
func NormalCertificates(file []byte) (string, error) {
	list, err := parseCertificates(file)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range list {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String(), nil
}

func parseCertificates(file []byte) (list []*x509.Certificate, err error) {
	if len(file) > maxCertificates {
		return nil, fmt.Errorf("certificates of more than %d bytes", maxCertificates)
	}
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("among the certificates stands a %.40q", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		if slices.ContainsFunc(list, c.Equal) {
			return nil, errors.New("a certificate stands there twice")
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("no certificate in PEM (-----BEGIN CERTIFICATE-----) is in it")
	}
	if !slices.ContainsFunc(list, isRoot) {
		return nil, errors.New("none of the certificates is a root, issued by whom it is issued to")
	}
	return list, nil
}

// checkAuthorities checks the authorities of a trust file.
func checkAuthorities(list []TimeAuthority) error {
	if len(list) > maxAuthorities {
		return fmt.Errorf("more than %d authorities", maxAuthorities)
	}
	for i, a := range list {
		if err := a.Check(); err != nil {
			return err
		}
		if slices.ContainsFunc(list[:i], func(b TimeAuthority) bool { return b.Name == a.Name }) {
			return fmt.Errorf("two authorities are called %q", a.Name)
		}
	}
	return nil
}
