package paper

import (
	"time"

	"github.com/forensic-custody/custody/custody"
)

// Document is a paper before it has a form: HTML and PDF are made from the same
// one, and say the same.
type Document struct {
	Title  string
	Draft  bool           // to be completed and signed by a person: every page says so
	Bundle custody.Digest // SHA-256 of the bundle that it was made from, on every page
	At     custody.Time   // of the newest record in it
	Code   string         // of the QR code
	Parts  []Part

	attached []byte // the bundle, attached to the PDF; nil when it is not
}

// Part is a stretch of a document under one title.
type Part struct {
	Title  string // empty for the beginning
	Blocks []Block
}

// Block is one thing of a part; one of its members is set.
type Block struct {
	Text   string   // a paragraph
	Strong string   // a paragraph that must not be overlooked
	Facts  []Fact   // labels and what is known
	Table  *Table   //
	List   []string // sentences
	Blanks []string // lines to write on, by what is to be written
	Code   bool     // the QR code
}

// Fact is something known under a label.
type Fact struct {
	Label string // empty: that of the fact before it
	Value string
	Exact bool // digits that somebody may compare
}

// Table has rows of as many cells as columns.
type Table struct {
	Caption string
	Columns []Column
	Rows    [][]Cell
}

// Percent is the column's share of the width.
func (c Column) Percent() int { return int(c.Share*100 + 0.5) }

// Column is one column of a table.
type Column struct {
	Title string
	Share float64 // of the width
}

// Cell is what stands in a table: lines.
type Cell []Line

// Line is a line of a cell.
type Line struct {
	Text   string
	Strong bool
	Exact  bool // digits that somebody may compare
}

func (p *Part) text(s string)    { p.Blocks = append(p.Blocks, Block{Text: s}) }
func (p *Part) strong(s string)  { p.Blocks = append(p.Blocks, Block{Strong: s}) }
func (p *Part) facts(f ...Fact)  { p.Blocks = append(p.Blocks, Block{Facts: f}) }
func (p *Part) list(s ...string) { p.Blocks = append(p.Blocks, Block{List: s}) }
func (p *Part) blanks(s ...string) {
	p.Blocks = append(p.Blocks, Block{Blanks: s})
}

func (p *Part) table(t *Table) { p.Blocks = append(p.Blocks, Block{Table: t}) }

// add adds a part.
func (d *Document) add(p Part) { d.Parts = append(d.Parts, p) }

// texts calls yield for every text of the document, and puts in its place what
// yield returns.
func (d *Document) texts(yield func(string) string) {
	d.Title = yield(d.Title)
	for i := range d.Parts {
		d.Parts[i].Title = yield(d.Parts[i].Title)
		for j := range d.Parts[i].Blocks {
			d.Parts[i].Blocks[j].texts(yield)
		}
	}
}

func (b *Block) texts(yield func(string) string) {
	b.Text, b.Strong = yield(b.Text), yield(b.Strong)
	for n := range b.Facts {
		b.Facts[n].Label, b.Facts[n].Value = yield(b.Facts[n].Label), yield(b.Facts[n].Value)
	}
	for n := range b.List {
		b.List[n] = yield(b.List[n])
	}
	for n := range b.Blanks {
		b.Blanks[n] = yield(b.Blanks[n])
	}
	if b.Table == nil {
		return
	}
	b.Table.Caption = yield(b.Table.Caption)
	for _, row := range b.Table.Rows {
		for _, cell := range row {
			for n := range cell {
				cell[n].Text = yield(cell[n].Text)
			}
		}
	}
}

// clone copies the document deep enough for texts.
func (d *Document) clone() *Document {
	c := *d
	c.Parts = make([]Part, len(d.Parts))
	for i, p := range d.Parts {
		c.Parts[i].Title = p.Title
		for _, b := range p.Blocks {
			c.Parts[i].Blocks = append(c.Parts[i].Blocks, b.clone())
		}
	}
	return &c
}

func (b Block) clone() Block {
	b.Facts = append([]Fact(nil), b.Facts...)
	b.List = append([]string(nil), b.List...)
	b.Blanks = append([]string(nil), b.Blanks...)
	if b.Table != nil {
		t := *b.Table
		t.Rows = make([][]Cell, len(b.Table.Rows))
		for i, row := range b.Table.Rows {
			for _, cell := range row {
				t.Rows[i] = append(t.Rows[i], append(Cell(nil), cell...))
			}
		}
		b.Table = &t
	}
	return b
}

// utc writes a time as people read it.
func utc(t custody.Time) string { return t.Time().Format("2006-01-02 15:04:05") + " UTC" }

// duration writes how long something took, roughly.
func duration(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return plural(int(d.Seconds()), "second")
	case d < 2*time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}
