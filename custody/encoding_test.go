package custody_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/investigate"
)

type thing struct {
	Bytes  []byte   `json:"bytes"`
	Flag   bool     `json:"flag"`
	List   []string `json:"list"`
	Number int64    `json:"number"`
	Text   string   `json:"text"`
}

const canonicalThing = `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a\"é"}`

func TestDecodeAcceptsWhatEncodeWrites(t *testing.T) {
	var v thing
	require.NoError(t, custody.Decode([]byte(canonicalThing), &v))
	require.Equal(t, thing{[]byte("hi"), true, []string{"x"}, 7, `a"é`}, v)
	b, err := custody.Encode(v)
	require.NoError(t, err)
	require.Equal(t, canonicalThing, string(b))
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               ``,
		"null":                  `null`,
		"a list":                `[]`,
		"an unknown key":        `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a","zebra":1}`,
		"a missing key":         `{"bytes":"aGk=","flag":true,"list":["x"],"number":7}`,
		"a repeated key":        `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"number":7,"text":"a"}`,
		"another order":         `{"flag":true,"bytes":"aGk=","list":["x"],"number":7,"text":"a"}`,
		"another case":          `{"Bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"white space":           `{"bytes":"aGk=", "flag":true,"list":["x"],"number":7,"text":"a"}`,
		"white space before":    ` {"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"a line feed after":     `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}` + "\n",
		"trailing data":         `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}{}`,
		"null bytes":            `{"bytes":null,"flag":true,"list":["x"],"number":7,"text":"a"}`,
		"a null list":           `{"bytes":"aGk=","flag":true,"list":null,"number":7,"text":"a"}`,
		"null text":             `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":null}`,
		"a fraction":            `{"bytes":"aGk=","flag":true,"list":["x"],"number":1.0,"text":"a"}`,
		"an exponent":           `{"bytes":"aGk=","flag":true,"list":["x"],"number":1e3,"text":"a"}`,
		"a negative zero":       `{"bytes":"aGk=","flag":true,"list":["x"],"number":-0,"text":"a"}`,
		"a leading zero":        `{"bytes":"aGk=","flag":true,"list":["x"],"number":07,"text":"a"}`,
		"a plus":                `{"bytes":"aGk=","flag":true,"list":["x"],"number":+7,"text":"a"}`,
		"a number in quotes":    `{"bytes":"aGk=","flag":true,"list":["x"],"number":"7","text":"a"}`,
		"an integer too large":  `{"bytes":"aGk=","flag":true,"list":["x"],"number":9007199254740992,"text":"a"}`,
		"an escape not needed":  `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"\u0061"}`,
		"an escaped slash":      `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a\/"}`,
		"an escape in a key":    `{"byt\u0065s":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"a long escape":         `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"\u000a"}`,
		"a lone surrogate":      `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"\ud800"}`,
		"invalid UTF-8":         `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"` + "\xff" + `"}`,
		"a control character":   `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"` + "\n" + `"}`,
		"base64 without pad":    `{"bytes":"aGk","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"base64 with other end": `{"bytes":"aGl=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"base64 of URLs":        `{"bytes":"_-8=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"base64 over lines":     `{"bytes":"aG\nk=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"a byte order mark":     "\ufeff" + `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}`,
		"a comment":             `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a"}//`,
		"a trailing comma":      `{"bytes":"aGk=","flag":true,"list":["x"],"number":7,"text":"a",}`,
	} {
		require.Error(t, custody.Decode([]byte(text), new(thing)), name)
	}
}

// TestIntegersThatSomeWouldRound are neither written nor read.
func TestIntegersThatSomeWouldRound(t *testing.T) {
	for n, good := range map[int64]bool{
		0: true, -1: true, 1<<53 - 1: true, -(1<<53 - 1): true,
		1 << 53: false, -(1 << 53): false, 1<<53 + 1: false, 1 << 60: false, math.MaxInt64: false, math.MinInt64: false,
	} {
		b, err := custody.Encode(thing{Bytes: []byte{}, List: []string{}, Number: n})
		require.Equal(t, good, err == nil, "%d: %v", n, err)
		if good {
			var again thing
			require.NoError(t, custody.Decode(b, &again))
			require.Equal(t, n, again.Number)
		}
	}
	b, err := custody.Encode(jsontext.Value("-0"))
	require.NoError(t, err)
	require.Equal(t, "0", string(b), "there is one zero")
	_, err = custody.Encode(uint64(math.MaxUint64))
	require.Error(t, err)
	_, err = custody.Encode(1.5)
	require.Error(t, err)
}

// TestKeysAreOrderedByUTF16 as RFC 8785, section 3.2.3, has it.
func TestKeysAreOrderedByUTF16(t *testing.T) {
	b, err := custody.Encode(map[string]int{
		"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7, "": 8, `\`: 9,
	})
	require.NoError(t, err)
	require.Equal(t, `{"":8,"\r":2,"1":4,"\\":9,"`+"\u0080"+`":6,"ö":7,"€":1,"😀":5,"`+"\ufb33"+`":3}`, string(b))
}

// FuzzDecode: whatever is accepted is what Encode writes.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(canonicalThing))
	f.Add([]byte(`{"bytes":"","flag":false,"list":[],"number":-1,"text":"\\\""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v thing
		if custody.Decode(b, &v) != nil {
			return
		}
		again, err := custody.Encode(v)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, again))
	})
}

// TestRecordsHaveOneForm: what has its own way of being encoded is refused for
// the same reasons as everything else.
func TestRecordsHaveOneForm(t *testing.T) {
	good := string(take(os.ReadFile(filepath.Join(vectors, "record.json"))))
	r, err := custody.ParseRecord([]byte(good))
	require.NoError(t, err)
	require.Equal(t, good, string(take(custody.Encode(r))))
	for name, c := range map[string]struct{ old, new string }{
		"an integer too large":         {`"sequence":3`, `"sequence":9007199254740992`},
		"a length too large":           {`"length":3`, `"length":9007199254740993`},
		"a missing key":                {`"reason":"",`, ``},
		"a missing list":               {`"declares":[],`, ``},
		"a null list":                  {`"declares":[]`, `"declares":null`},
		"null text":                    {`"reason":""`, `"reason":null`},
		"an unknown key":               {`"size":13`, `"size":13,"zebra":1`},
		"another order":                {`"permit":true,"policy"`, `"policy":"","permit":true,"policy"`},
		"white space":                  {`"sequence":3`, `"sequence": 3`},
		"an escape not needed":         {`"team"`, `"\u0074eam"`},
		"a digest in upper case":       {`:d5c8b6`, `:D5C8B6`},
		"a time without parts":         {`.000000Z"`, `Z"`},
		"a time of more parts":         {`.000000Z"`, `.0000000Z"`},
		"a time with a comma":          {`.000000Z"`, `,000000Z"`},
		"a local time":                 {`.000000Z"`, `.000000+00:00"`},
		"another end of the signature": {`B/Ag=="`, `B/Ah=="`},
		"trailing data":                {`"length":3,`, `"length":3,,`},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		require.NotEqual(t, good, text, name)
		_, err := custody.ParseRecord([]byte(text))
		require.Error(t, err, name)
	}
}

// TestTheKindIsWhatThePayloadSays, whatever else its text looks like.
func TestTheKindIsWhatThePayloadSays(t *testing.T) {
	s := newStory(t)
	key := s.Engineer.Key
	other := `","predicateType":"https://github.com/forensic-custody/custody/statement/evidence.export/v1"`
	h := header(s)
	h.Purpose = other
	e, err := custody.Sign(key, h, &custody.OpenSession{Client: other})
	require.NoError(t, err)
	said, err := e.Statement(investigate.Words())
	require.NoError(t, err)
	require.Equal(t, &custody.OpenSession{Client: other}, said.Act)
	require.Equal(t, custody.KindOpenSession, said.Kind)

	good := string(take(custody.Sign(key, header(s), s.Retrieval())).Payload)
	kind := `"predicateType":"https://github.com/forensic-custody/custody/statement/evidence.retrieve/v1"`
	act := good[strings.Index(good, `"act":{`)+len(`"act":`) : strings.Index(good, `,"actor"`)]
	for name, text := range map[string]string{
		"no act":                  strings.Replace(good, act, "null", 1),
		"a list for an act":       strings.Replace(good, act, "[]", 1),
		"an act of no fields":     strings.Replace(good, act, "{}", 1),
		"a kind within the act":   strings.Replace(strings.Replace(good, kind, `"predicateType":""`, 1), act, `{`+kind+`}`, 1),
		"the kind at another end": strings.Replace(good, kind+",", "", 1) + "," + kind,
		"two kinds":               strings.Replace(good, kind, kind+","+kind, 1),
		"the kind and more":       strings.Replace(good, "/v1\",\"subject\"", "/v1\\u0000\",\"subject\"", 1),
		"the kind and another":    strings.Replace(good, "/v1\",\"subject\"", "/v1/v1\",\"subject\"", 1),
		"nothing":                 "",
	} {
		require.NotEqual(t, good, text, name)
		e := custody.Envelope{Payload: []byte(text), PayloadType: custody.PayloadType, Signatures: []custody.Signature{{KeyID: key.Public().ID()}}}
		_, err := e.Statement(investigate.Words())
		require.Error(t, err, name)
	}

	e = take(custody.Sign(key, header(s), odd{PredicateType: kind[len(`"predicateType":"`) : len(kind)-1]}))
	vocabulary := custody.Vocabulary{custody.KindRetrieveEvidence: func() custody.Act { return new(odd) }}
	_, err = e.Statement(vocabulary)
	require.NoError(t, err)
	e.Payload = []byte(strings.Replace(string(e.Payload), `},`+kind, `},"predicateType":""`, 1))
	_, err = e.Statement(vocabulary)
	require.ErrorContains(t, err, "predicate type", "only the act says what kind it is")
}

// odd is an act with a field of the name that says the kind of a statement.
type odd struct {
	PredicateType string `json:"predicateType"`
}

func (odd) Kind() custody.Kind             { return custody.KindRetrieveEvidence }
func (odd) NeedsPurpose() bool             { return false }
func (odd) Subject() custody.Subject       { return custody.Subject{Name: "odd"} }
func (odd) Check(*custody.Statement) error { return nil }
func (odd) Lawful(custody.View, *custody.Statement) (custody.Outcome, error) {
	return custody.Outcome{}, nil
}
