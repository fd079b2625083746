package paper

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// squares returns the modules of a QR code, row by row, without its margin.
func squares(text string) ([][]bool, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("QR code: %w", err)
	}
	rows := make([][]bool, c.Size)
	for y := range rows {
		rows[y] = make([]bool, c.Size)
		for x := range rows[y] {
			rows[y][x] = c.Black(x, y)
		}
	}
	return rows, nil
}

// path draws the modules as the path of an SVG, in a square of the size that it
// returns, margin of four modules included.
func path(rows [][]bool) (d string, size int) {
	var b strings.Builder
	for y, row := range rows {
		for x, black := range row {
			if black {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	return b.String(), len(rows) + 8
}
