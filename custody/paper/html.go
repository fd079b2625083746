package paper

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"strings"
)

//go:embed page.css
var pageStyle string

//go:embed page.html
var pageText string

// page is the template of a document, its style in its place. html/template escapes
// what stands in it for the place where it stands.
var page = template.Must(template.New("page").Parse(strings.Replace(pageText, "{{/* page.css comes here */}}", pageStyle+styleOf("{{.Digest}}"), 1)))

// styleOf is the style that says the bundle's digest on each printed page.
func styleOf(digest string) string {
	return "@page{@bottom-left{content:\"Bundle SHA-256 " + digest + "\"}}\n"
}

// HTML returns the document as one page that needs nothing else: no script, no
// network, no further file. It prints with page numbers and the bundle's digest
// on each page.
func (d *Document) HTML() ([]byte, error) {
	rows, err := squares(d.Code)
	if err != nil {
		return nil, err
	}
	d = d.shown(onScreen)
	hash := sha256.Sum256([]byte(pageStyle + styleOf(d.Bundle.Hex())))
	path, size := path(rows)
	var b bytes.Buffer
	// No Document, whose methods a template would keep in a program that makes no PDF.
	err = page.Execute(&b, struct {
		Title     string
		Draft     bool
		Parts     []Part
		StyleHash string // for the page's own content security policy
		Path      string
		Size      int
		Digest    string
	}{d.Title, d.Draft, d.Parts, base64.StdEncoding.EncodeToString(hash[:]), path, size, d.Bundle.Hex()})
	return b.Bytes(), err
}
