package paper

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"

	"codeberg.org/go-pdf/fpdf"
)

// The fonts of a PDF: DejaVu, whose licence (fonts/LICENSE) allows embedding. They
// have Latin, Greek and Cyrillic letters, and more.
var (
	//go:embed fonts/DejaVuSerifCondensed.ttf
	fontText []byte
	//go:embed fonts/DejaVuSerifCondensed-Bold.ttf
	fontStrong []byte
	//go:embed fonts/DejaVuSansMono.ttf
	fontExact []byte
)

// The measures of a page, in millimetres. It is as wide as A4 and as high as US
// Letter, nearly, so that it prints on both.
const (
	pageWidth, pageHeight = 210, 279
	margin                = 20
	top, bottom           = 22, pageHeight - 22 // between which text stands
	textWidth             = pageWidth - 2*margin
	codeSize              = 36 // of the QR code
	labelWidth            = 42 // of the labels of facts
	cellGap               = 1.5
)

// A style is a font and its size.
type style struct {
	family, weight string
	size           float64 // in points
	line           float64 // height of a line, in millimetres
}

var (
	plain  = style{"text", "", 9.5, 4.6}
	strong = style{"text", "B", 9.5, 4.6}
	title  = style{"text", "B", 16, 8}
	head   = style{"text", "B", 11.5, 6}
	exact  = style{"exact", "", 8, 4.6}
	small  = style{"text", "", 8.2, 3.9}
	smallB = style{"text", "B", 8.2, 3.9}
	smallX = style{"exact", "", 6.6, 3.9}
	foot   = style{"exact", "", 6.2, 3}
	footB  = style{"text", "B", 8, 3.5}
)

// inFonts returns what both fonts of texts have. The third is for digits.
func inFonts() (glyphs, error) {
	all, err := glyphsOf(fontText)
	if err != nil {
		return nil, err
	}
	bold, err := glyphsOf(fontStrong)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(r rune, _ bool) bool { return !bold[r] })
	return all, nil
}

// PDF returns the document as a PDF whose fonts are embedded. The same document
// makes the same bytes.
func (d *Document) PDF() ([]byte, error) {
	fonts, err := inFonts()
	if err != nil {
		return nil, err
	}
	d = d.shown(fonts.inPrint)
	s := newSheet(d)
	s.document()
	s.feet()
	var b bytes.Buffer
	if err := s.pdf.Output(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// shown returns the document with all that can is false for escaped, and a
// sentence about that where it happened.
func (d *Document) shown(can func(rune) bool) *Document {
	c, any := d.clone(), false
	c.texts(func(s string) string {
		s, escaped := show(s, can)
		any = any || escaped
		return s
	})
	if any && len(c.Parts) > 0 {
		first := &c.Parts[0]
		first.text(`Some names or texts have characters that cannot be shown here as they are. They stand as \u{…} with the number of the character in Unicode; in such a text a backslash stands as \u{5c}.`)
	}
	return c
}

// sheet is a PDF while it is drawn.
type sheet struct {
	pdf    *fpdf.Fpdf
	doc    *Document
	y      float64
	widths map[string]map[rune]float64
	style  style
}

func newSheet(d *Document) *sheet {
	s := &sheet{doc: d, widths: map[string]map[rune]float64{}}
	s.pdf = fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm", Size: fpdf.SizeType{Wd: pageWidth, Ht: pageHeight}})
	s.pdf.SetAutoPageBreak(false, 0)
	s.pdf.SetMargins(margin, top, margin)
	s.pdf.SetCatalogSort(true)
	s.pdf.SetCreationDate(d.At.Time())
	s.pdf.SetModificationDate(d.At.Time())
	s.pdf.SetTitle(d.Title, true)
	s.pdf.SetSubject("made from the bundle with SHA-256 "+d.Bundle.Hex(), true)
	s.pdf.SetCreator("Custody", true)
	s.pdf.SetProducer("Custody", true)
	s.pdf.SetLang("en")
	for _, f := range []struct {
		family, weight string
		bytes          []byte
	}{{"text", "", fontText}, {"text", "B", fontStrong}, {"exact", "", fontExact}} {
		s.pdf.AddUTF8FontFromBytes(f.family, f.weight, bytes.Clone(f.bytes)) // fpdf writes into what it is given
	}
	if d.attached != nil {
		s.pdf.SetAttachments([]fpdf.Attachment{{Content: d.attached, Filename: BundleName, Description: "the bundle that this paper was made from"}})
	}
	return s
}

// BundleName is the name of the bundle, attached to a paper and in its folder.
const BundleName = "proof.bundle"

func (s *sheet) set(st style) {
	if s.style != st {
		s.pdf.SetFont(st.family, st.weight, st.size)
		s.style = st
	}
}

// width is that of a character in a style.
func (s *sheet) width(st style, r rune) float64 {
	key := fmt.Sprint(st)
	if s.widths[key] == nil {
		s.widths[key] = map[rune]float64{}
	}
	w, ok := s.widths[key][r]
	if !ok {
		s.set(st)
		w = s.pdf.GetStringWidth(string(r))
		s.widths[key][r] = w
	}
	return w
}

// wrap breaks a text into lines of at most a width: at spaces, and where there is
// none, wherever it must.
func (s *sheet) wrap(st style, text string, width float64) []string {
	var lines []string
	runes := []rune(text)
	for len(runes) > 0 {
		used, end, space := 0.0, 0, -1
		for end < len(runes) {
			w := s.width(st, runes[end])
			if used+w > width && end > 0 {
				break
			}
			if runes[end] == ' ' {
				space = end
			}
			used += w
			end++
		}
		switch {
		case end == len(runes):
			lines = append(lines, string(runes))
			runes = nil
		case runes[end] == ' ':
			lines, runes = append(lines, string(runes[:end])), runes[end+1:]
		case space > 0:
			lines, runes = append(lines, string(runes[:space])), runes[space+1:]
		default:
			lines, runes = append(lines, string(runes[:end])), runes[end:]
		}
	}
	return lines
}

func (s *sheet) page() {
	s.pdf.AddPage()
	s.y = top
	s.style = style{} // a page begins without a font
	if s.doc.Draft {
		s.pdf.SetTextColor(160, 0, 0)
		s.print(footB, margin, 14, "DRAFT. Not signed, and nobody's statement until it is completed and signed.")
		s.pdf.SetTextColor(0, 0, 0)
	}
}

// feet writes what stands at the foot of each page, now that their number is known.
func (s *sheet) feet() {
	name := s.wrap(footB, s.doc.Title, textWidth-5)
	if len(name) > 1 {
		name[0] += "…"
	}
	for n := range s.pdf.PageCount() {
		s.pdf.SetPage(n + 1)
		s.print(foot, margin, pageHeight-11, "Bundle SHA-256 "+s.doc.Bundle.Hex())
		number := fmt.Sprintf("Page %d of %d", n+1, s.pdf.PageCount())
		s.print(footB, pageWidth-margin-s.length(footB, number), pageHeight-11, number)
		s.print(footB, margin, pageHeight-15, name[0])
	}
}

func (s *sheet) length(st style, text string) (w float64) {
	for _, r := range text {
		w += s.width(st, r)
	}
	return w
}

// print writes a line whose baseline is at y.
func (s *sheet) print(st style, x, y float64, text string) {
	s.set(st)
	s.pdf.Text(x, y, text)
}

// need begins a page where less than a height is left on this one.
func (s *sheet) need(height float64) {
	if s.y+height > bottom {
		s.page()
	}
}

// paragraph writes a text at x, in lines of a width.
func (s *sheet) paragraph(st style, x, width float64, text string) {
	for _, line := range s.wrap(st, text, width) {
		s.need(st.line)
		s.print(st, x, s.y+st.line*0.75, line)
		s.y += st.line
	}
}

func (s *sheet) document() {
	s.page()
	s.paragraph(title, margin, textWidth, s.doc.Title)
	s.y += 2
	for _, p := range s.doc.Parts {
		if p.Title != "" {
			s.y += 4
			s.need(6 * plain.line)
			s.paragraph(head, margin, textWidth, p.Title)
			s.y += 1
		}
		for _, b := range p.Blocks {
			s.block(b)
		}
	}
}

func (s *sheet) block(b Block) {
	switch {
	case b.Strong != "":
		s.boxed(b.Strong)
	case b.Text != "":
		s.paragraph(plain, margin, textWidth, b.Text)
		s.y += 1.5
	case b.Facts != nil:
		s.facts(b.Facts)
	case b.List != nil:
		for _, text := range b.List {
			s.need(plain.line)
			s.print(plain, margin+1, s.y+plain.line*0.75, "•")
			s.paragraph(plain, margin+5, textWidth-5, text)
			s.y += 0.8
		}
		s.y += 0.7
	case b.Blanks != nil:
		for _, text := range b.Blanks {
			s.blank(text)
		}
	case b.Table != nil:
		s.table(b.Table)
	case b.Code:
		s.code()
	}
}

// boxed writes a paragraph in a frame.
func (s *sheet) boxed(text string) {
	lines := s.wrap(strong, text, textWidth-6)
	height := float64(len(lines))*strong.line + 3
	if height < bottom-top {
		s.need(height)
		s.pdf.SetDrawColor(0, 0, 0)
		s.pdf.SetLineWidth(0.4)
		s.pdf.Rect(margin, s.y, textWidth, height, "D")
	}
	s.y += 1.5
	s.paragraph(strong, margin+3, textWidth-6, text)
	s.y += 3
}

// facts writes labels and values side by side.
func (s *sheet) facts(list []Fact) {
	for _, f := range list {
		st := plain
		if f.Exact {
			st = exact
		}
		labels, values := s.wrap(smallB, f.Label, labelWidth-2), s.wrap(st, f.Value, textWidth-labelWidth)
		for n := range max(len(labels), len(values)) {
			s.need(plain.line)
			if n < len(labels) {
				s.print(smallB, margin, s.y+plain.line*0.75, labels[n])
			}
			if n < len(values) {
				s.print(st, margin+labelWidth, s.y+plain.line*0.75, values[n])
			}
			s.y += plain.line
		}
		s.y += 0.4
	}
	s.y += 1.5
}

// blank writes what is to be written, and a line to write it on.
func (s *sheet) blank(text string) {
	lines := s.wrap(plain, text, textWidth)
	s.need(float64(len(lines))*plain.line + 9)
	s.paragraph(plain, margin, textWidth, text)
	s.y += 7
	s.pdf.SetDrawColor(0, 0, 0)
	s.pdf.SetLineWidth(0.2)
	s.pdf.Line(margin, s.y, margin+textWidth, s.y)
	s.y += 2
}

// laid is a line of a cell as it stands in a row.
type laid struct {
	style style
	text  string
}

func (s *sheet) lay(c Cell, width float64) (lines []laid) {
	for _, l := range c {
		st := small
		switch {
		case l.Strong:
			st = smallB
		case l.Exact:
			st = smallX
		}
		for _, text := range s.wrap(st, l.Text, width) {
			lines = append(lines, laid{st, text})
		}
	}
	return lines
}

// table writes rows under a head that stands on each page. A row stays on one page
// where it fits on one.
func (s *sheet) table(t *Table) {
	header := make([]Cell, len(t.Columns))
	widths := make([]float64, len(t.Columns))
	for n, c := range t.Columns {
		header[n], widths[n] = Cell{{Text: c.Title, Strong: true}}, c.Share*textWidth
	}
	s.need(6 * small.line)
	s.paragraph(small, margin, textWidth, t.Caption)
	s.y += 0.6
	s.row(header, widths, nil)
	for _, r := range t.Rows {
		s.row(r, widths, header)
	}
	s.pdf.Line(margin, s.y, margin+textWidth, s.y)
	s.y += 3
}

func (s *sheet) row(cells []Cell, widths []float64, header []Cell) {
	columns, most := make([][]laid, len(cells)), 0
	for n, c := range cells {
		columns[n] = s.lay(c, widths[n]-cellGap)
		most = max(most, len(columns[n]))
	}
	if height := float64(most)*small.line + 1.4; s.y+height > bottom && height < (bottom-top)/2 {
		s.turn(widths, header)
	}
	s.pdf.SetDrawColor(150, 150, 150)
	s.pdf.SetLineWidth(0.15)
	s.pdf.Line(margin, s.y, margin+textWidth, s.y)
	s.y += 0.7
	for i := range most {
		if s.y+small.line > bottom {
			s.turn(widths, header)
		}
		x := float64(margin)
		for n, lines := range columns {
			if i < len(lines) {
				s.print(lines[i].style, x, s.y+small.line*0.75, lines[i].text)
			}
			x += widths[n]
		}
		s.y += small.line
	}
	s.y += 0.7
}

// turn goes on with a table on a new page.
func (s *sheet) turn(widths []float64, header []Cell) {
	s.page()
	if header != nil {
		s.row(header, widths, nil)
	}
}

// code draws the QR code with its margin of four modules.
func (s *sheet) code() {
	rows, err := squares(s.doc.Code)
	if err != nil {
		s.pdf.SetError(err)
		return
	}
	s.need(codeSize + 2)
	module := codeSize / float64(len(rows)+8)
	s.pdf.SetFillColor(0, 0, 0)
	for y, row := range rows {
		for x, black := range row {
			if black {
				s.pdf.Rect(margin+float64(x+4)*module, s.y+float64(y+4)*module, module, module, "F")
			}
		}
	}
	s.y += codeSize + 2
}
