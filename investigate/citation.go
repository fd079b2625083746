package investigate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/forensic-custody/custody/custody"
)

// The stances of a citation. What speaks against a conclusion is cited as what
// speaks for it is.
const (
	StanceFor     = "for"
	StanceAgainst = "against"
)

// Citation names evidence by its item, the digest of its bytes, and a place within
// them, and says whether it speaks for what cites it or against. Its text form is
//
//	e-…:for                 all of the item
//	e-…:against:PLACE       a place, in the text form of Place
//
// without the digest, which follows from the item.
type Citation struct {
	Evidence custody.EvidenceID `json:"evidence"`
	Place    Place              `json:"place"`
	SHA256   custody.Digest     `json:"sha256"` // as sealed
	Stance   string             `json:"stance"` // StanceFor or StanceAgainst
}

// String returns the text form.
func (c Citation) String() string {
	text := string(c.Evidence) + ":" + c.Stance
	if c.Place.Kind != PlaceWhole {
		text += ":" + c.Place.String()
	}
	return text
}

// Set reads the text form that String writes. The digest stays as it is.
func (c *Citation) Set(text string) error {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		return fmt.Errorf("citation %.80q is not of the form ITEM:for or ITEM:against, with :PLACE or without", text)
	}
	id, err := custody.ParseEvidenceID(parts[0])
	if err != nil {
		return err
	}
	said := Citation{Evidence: id, SHA256: c.SHA256, Stance: parts[1], Place: Place{Kind: PlaceWhole}}
	if len(parts) == 3 {
		if err := said.Place.Set(parts[2]); err != nil {
			return err
		}
	}
	if err := said.check(); err != nil {
		return err
	}
	*c = said
	return nil
}

func (c Citation) check() error {
	_, err := custody.ParseEvidenceID(string(c.Evidence))
	return errors.Join(err, oneOf("stance", c.Stance, []string{StanceFor, StanceAgainst}), c.Place.check())
}

func checkCitations(list []Citation) error {
	if len(list) > maxList {
		return fmt.Errorf("%d citations; at most %d", len(list), maxList)
	}
	for _, c := range list {
		if err := c.check(); err != nil {
			return fmt.Errorf("citation of %.40q: %w", c.Evidence, err)
		}
	}
	return nil
}

// The kinds of place within an artifact.
const (
	PlaceWhole   = "whole"
	PlaceRange   = "range"
	PlaceFile    = "file"
	PlaceLine    = "line"
	PlaceRecord  = "record"
	PlaceAddress = "address"
)

// Place is a place within an artifact. Its text forms, and the members that each
// has beside the kind:
//
//	whole                           all of it; the empty text too
//	range=OFFSET+LENGTH             bytes: offset, length
//	file=PATH                       a file inside an image: file
//	range=OFFSET+LENGTH,file=PATH   bytes of that file: file, offset, length
//	line=FROM-TO                    lines of a log, the first is 1: from, to; line=7 is line 7 alone
//	record=NUMBER                   by the number that the log gives it: record
//	address=0xHEX                   in memory, in lower case, without leading zeros: address
//
// A path is given, and shown, as custody.Name has it.
type Place struct {
	Address string        `json:"address,omitempty"`
	File    *custody.Name `json:"file,omitempty"`
	From    uint64        `json:"from,omitzero"`
	Kind    string        `json:"kind"`
	Length  uint64        `json:"length,omitzero"`
	Offset  uint64        `json:"offset,omitzero"`
	Record  uint64        `json:"record,omitzero"`
	To      uint64        `json:"to,omitzero"`
}

// String returns the text form. A path that cannot be shown stands there as
// custody.Name escapes it, and is not read back.
func (p Place) String() string {
	stretch := fmt.Sprintf("range=%d+%d", p.Offset, p.Length)
	switch p.Kind {
	case PlaceRange:
		return stretch
	case PlaceFile:
		text := "file="
		if p.File != nil {
			text += p.File.Display
		}
		if p.Length > 0 {
			text = stretch + "," + text
		}
		return text
	case PlaceLine:
		if p.From == p.To {
			return fmt.Sprintf("line=%d", p.From)
		}
		return fmt.Sprintf("line=%d-%d", p.From, p.To)
	case PlaceRecord:
		return fmt.Sprintf("record=%d", p.Record)
	case PlaceAddress:
		return "address=" + p.Address
	}
	return p.Kind
}

// Set reads the text form that String writes.
func (p *Place) Set(text string) error {
	said := Place{Kind: PlaceWhole}
	if text != "" && text != PlaceWhole {
		var err error
		if said, err = parsePlace(text); err != nil {
			return err
		}
	}
	if err := said.check(); err != nil {
		return err
	}
	*p = said
	return nil
}

func parsePlace(text string) (Place, error) {
	kind, value, _ := strings.Cut(text, "=")
	p := Place{Kind: kind}
	var err error
	switch kind {
	case PlaceRange:
		stretch, path, within := strings.Cut(value, ",file=")
		if p.Offset, p.Length, err = pair(stretch, "+"); err == nil && within {
			p.Kind = PlaceFile
			p.File, err = named(path)
		}
	case PlaceFile:
		p.File, err = named(value)
	case PlaceLine:
		if !strings.Contains(value, "-") {
			value += "-" + value
		}
		p.From, p.To, err = pair(value, "-")
	case PlaceRecord:
		p.Record, err = number(value)
	case PlaceAddress:
		p.Address = value
	default:
		err = fmt.Errorf("place %.80q is none of whole, range=, file=, line=, record=, address=", text)
	}
	return p, err
}

func named(path string) (*custody.Name, error) {
	n, err := custody.NewName([]byte(path))
	return &n, err
}

// pair reads two numbers.
func pair(text, between string) (a, b uint64, err error) {
	left, right, ok := strings.Cut(text, between)
	if !ok {
		return 0, 0, fmt.Errorf("%.80q is not two numbers with %q between them", text, between)
	}
	if a, err = number(left); err == nil {
		b, err = number(right)
	}
	return a, b, err
}

// number reads a number as it is written, and in no other spelling.
func number(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 53) // beyond that no statement holds it
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%.40q is not a number", text)
	}
	return n, nil
}

// check refuses a place that lacks a member of its kind, or has one of another.
func (p Place) check() error {
	own := Place{Kind: p.Kind}
	var err error
	switch p.Kind {
	case PlaceWhole:
	case PlaceRange:
		own.Offset, own.Length = p.Offset, p.Length
		if p.Length == 0 {
			err = errors.New("a range has at least a byte")
		}
	case PlaceFile:
		own.File, own.Offset, own.Length = p.File, p.Offset, p.Length
		err = p.checkFile()
	case PlaceLine:
		own.From, own.To = p.From, p.To
		if p.From == 0 || p.To < p.From {
			err = errors.New("lines are counted from 1, and go from one to a later one")
		}
	case PlaceRecord:
		own.Record = p.Record
	case PlaceAddress:
		own.Address = p.Address
		err = checkAddress(p.Address)
	default:
		err = fmt.Errorf("place %.40q is none of whole, range, file, line, record, address", p.Kind)
	}
	if err == nil && own != p {
		err = fmt.Errorf("a place of kind %s has members of another", p.Kind)
	}
	return err
}

func (p Place) checkFile() error {
	if p.File == nil {
		return errors.New("the file's path is missing")
	}
	again, err := custody.NewName(p.File.Raw())
	switch {
	case err != nil:
		return err
	case again.Display != p.File.Display || !bytes.Equal(again.Bytes, p.File.Bytes):
		return fmt.Errorf("path %.80q is not shown as it must be", p.File.Display)
	case p.Length == 0 && p.Offset != 0:
		return errors.New("a range has at least a byte")
	}
	return nil
}

func checkAddress(text string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
	if err != nil || fmt.Sprintf("0x%x", n) != text {
		return fmt.Errorf("address %.40q is not of the form 0xffff8880: lower case, no leading zeros", text)
	}
	return nil
}

// within returns an Unlawful error when an item has no such place.
func (p Place) within(id custody.EvidenceID, size uint64) error {
	switch {
	case size == 0 && p.Kind != PlaceWhole:
		return no("item %s has no bytes, and no places among them", id)
	case p.Kind == PlaceRange && (p.Offset > size || p.Length > size-p.Offset):
		return no("%d bytes from byte %d are not within the %d bytes of item %s", p.Length, p.Offset, size, id)
	}
	return nil
}

// sealedItem returns an item of the incident that is sealed with a digest, or an
// Unlawful error.
func sealedItem(v custody.View, in custody.IncidentID, id custody.EvidenceID, sum custody.Digest) (custody.Item, error) {
	item, err := custody.ItemIn(v, in, id)
	switch {
	case errors.Is(err, custody.ErrUnknown):
		return item, no("the incident has no item %s", id)
	case err != nil:
		return item, err
	case item.Withdrawn:
		return item, no("item %s was withdrawn", id)
	case !item.Sealed:
		return item, no("item %s is not sealed: nobody knows yet which bytes it is", id)
	case item.Artifact.SHA256 != sum:
		return item, no("item %s has the SHA-256 %s, and not %s", id, item.Artifact.SHA256.Hex(), sum.Hex())
	}
	return item, nil
}

// cited returns an Unlawful error unless each citation names a sealed item of the
// incident, by the digest of its bytes and a place that it has.
func cited(v custody.View, in custody.IncidentID, list []Citation) error {
	for _, c := range list {
		item, err := sealedItem(v, in, c.Evidence, c.SHA256)
		if err != nil {
			return err
		}
		if err := c.Place.within(c.Evidence, item.Artifact.Size); err != nil {
			return err
		}
	}
	return nil
}

// digestLengths are the sizes in bytes of the digests that indicators can be.
var digestLengths = map[string]int{"md5": 16, "sha1": 20, "sha256": 32}

// IndicatorTypes lists what an indicator of compromise can be.
func IndicatorTypes() []string {
	return []string{
		"domain", "email", "file-name", "ip", "md5", "mutex", "other", "path", "process", "registry-key", "sha1", "sha256",
		"url", "user-account", "user-agent",
	}
}

// Indicator is something by which the same intruder is recognized elsewhere. Its
// text form is TYPE:VALUE, such as ip:203.0.113.7.
type Indicator struct {
	Type  string `json:"type"` // one of IndicatorTypes
	Value string `json:"value"`
}

// String returns the text form.
func (x Indicator) String() string { return x.Type + ":" + x.Value }

// Set reads the text form that String writes.
func (x *Indicator) Set(text string) error {
	kind, value, ok := strings.Cut(text, ":")
	if !ok {
		return fmt.Errorf("indicator %.80q is not of the form TYPE:VALUE", text)
	}
	said := Indicator{kind, value}
	if err := said.check(); err != nil {
		return err
	}
	*x = said
	return nil
}

func (x Indicator) check() error {
	if err := errors.Join(oneOf("indicator", x.Type, IndicatorTypes()), custody.CheckLine("value", x.Value)); err != nil {
		return err
	}
	if x.Type == "ip" {
		if ip, err := netip.ParseAddr(x.Value); err != nil || ip.String() != x.Value {
			return fmt.Errorf("indicator %.80q is no IP address as it is written", x.Value)
		}
	}
	if length, ok := digestLengths[x.Type]; ok {
		if raw, err := hex.DecodeString(x.Value); err != nil || len(raw) != length || hex.EncodeToString(raw) != x.Value {
			return fmt.Errorf("indicator %.80q is not %d lower-case hexadecimal digits, as a %s is", x.Value, 2*length, x.Type)
		}
	}
	return nil
}

func checkIndicators(list []Indicator) error {
	if len(list) > maxList {
		return fmt.Errorf("%d indicators; at most %d", len(list), maxList)
	}
	for n, x := range list {
		if err := x.check(); err != nil {
			return err
		}
		if slices.Contains(list[:n], x) {
			return fmt.Errorf("indicator %.80q is there twice", x)
		}
	}
	return nil
}

// checkTechniques refuses what is no technique of ATT&CK, by its form: T1059, or
// T1059.001 for a part of it.
func checkTechniques(list []string) error {
	if len(list) > maxList {
		return fmt.Errorf("%d techniques; at most %d", len(list), maxList)
	}
	for n, t := range list {
		main, part, parted := strings.Cut(t, ".")
		if !strings.HasPrefix(main, "T") || !digits(main[1:], 4) || parted && !digits(part, 3) {
			return fmt.Errorf("technique %.40q is not of the form T1059 or T1059.001", t)
		}
		if slices.Contains(list[:n], t) {
			return fmt.Errorf("technique %s is there twice", t)
		}
	}
	return nil
}

func digits(s string, count int) bool {
	return len(s) == count && strings.Trim(s, "0123456789") == ""
}
