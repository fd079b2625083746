package paper

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

//go:embed page.css
var pageStyle string

//go:embed page.html
var pageText string

// page is the template of a document. html/template escapes what stands in it for
// the place where it stands.
var page = template.Must(template.New("page").Parse(pageText))

// HTML returns the document as one page that needs nothing else: no script, no
// network, no further file. It prints with page numbers and the bundle's digest
// on each page.
func (d *Document) HTML() ([]byte, error) {
	rows, err := squares(d.Code)
	if err != nil {
		return nil, err
	}
	d = d.shown(onScreen)
	style := pageStyle + "@page{@bottom-left{content:\"Bundle SHA-256 " + d.Bundle.Hex() + "\"}}\n"
	if d.Draft {
		style += "@page{@top-left{content:\"DRAFT. Not signed.\";color:#a00}}\n"
	}
	hash := sha256.Sum256([]byte(style))
	path, size := path(rows)
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		*Document
		Style     template.CSS // fixed but for the digest, which is hexadecimal
		StyleHash string       // for the page's own content security policy
		Path      string
		Size      int
		Digest    string
	}{d, template.CSS(style), base64.StdEncoding.EncodeToString(hash[:]), path, size, d.Bundle.Hex()})
	return b.Bytes(), err
}
