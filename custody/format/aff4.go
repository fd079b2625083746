package format

import (
	"archive/zip"
	"fmt"
	"io"
	"regexp"
)

// Stated is a digest that a container states, by the name that it gives the
// algorithm, such as "SHA1". It has not been compared with anything.
type Stated struct{ Algorithm, Hex string }

// Bounds on what is read of an AFF4 volume.
const (
	maxTurtle  = 1 << 20 // bytes of information.turtle
	maxStated  = 16
	mostInside = 1 << 16 // members
)

// turtleDigest is a typed literal such as "d5825d…"^^aff4:SHA1 (AFF4 Standard
// 1.0, 4.4).
var turtleDigest = regexp.MustCompile(`"([0-9A-Fa-f]{32,128})"\^\^aff4:([A-Za-z0-9]{2,12})\b`)

// AFF4Stated returns the digests that information.turtle of an AFF4 volume
// states, of whichever of its streams and maps, at most 16. The media are not
// read, so what they are worth is not known.
func AFF4Stated(r io.ReaderAt, size int64) ([]Stated, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("AFF4 volume: %w", err)
	}
	if len(z.File) > mostInside {
		return nil, fmt.Errorf("AFF4 volume: %d members", len(z.File))
	}
	for _, m := range z.File {
		if m.Name != "information.turtle" {
			continue
		}
		f, err := m.Open()
		if err != nil {
			return nil, fmt.Errorf("information.turtle: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(f, maxTurtle))
		if err != nil {
			return nil, fmt.Errorf("information.turtle: %w", err)
		}
		var list []Stated
		for _, d := range turtleDigest.FindAllSubmatch(text, maxStated) {
			list = append(list, Stated{string(d[2]), string(d[1])})
		}
		return list, nil
	}
	return nil, nil
}
