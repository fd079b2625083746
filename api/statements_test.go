package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

// TestStatementsThatAreNotReadLeaveNoRecord: T19, T20, T48.
func TestStatementsThatAreNotReadLeaveNoRecord(t *testing.T) {
	s := newService(t)
	good, err := s.Engineer.Sign("", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	before := s.records()
	for name, c := range map[string]struct {
		body   []byte
		status int
		kind   string
	}{
		"nothing":               {nil, 400, "malformed"},
		"no JSON":               {[]byte("hello"), 400, "malformed"},
		"half of it":            {good[:len(good)/2], 400, "malformed"},
		"two of them":           {append(bytes.Clone(good), good...), 400, "malformed"},
		"a space in front":      {append([]byte(" "), good...), 400, "malformed"},
		"a line feed behind":    {append(bytes.Clone(good), '\n'), 400, "malformed"},
		"another field":         {bytes.Replace(good, []byte(`{`), []byte(`{"a":1,`), 1), 400, "malformed"},
		"a field twice":         {bytes.Replace(good, []byte(`"payloadType"`), []byte(`"payloadType":"x","payloadType"`), 1), 400, "malformed"},
		"other order of fields": {[]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[]}`), 400, "malformed"},
		"64 KiB":                {bytes.Repeat([]byte("a"), custody.MaxStatement), 400, "malformed"},
		"more than 64 KiB":      {bytes.Repeat([]byte("a"), custody.MaxStatement+1), 413, "too-large"},
		"another signature":     {bytes.Replace(good, []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1), 401, "unauthenticated"},
	} {
		t.Run(name, func(t *testing.T) {
			problem(t, s.post(c.body), c.status, c.kind)
			require.Equal(t, before, s.records())
		})
	}
	admitted(t, s.post(good)) // it was good

	h, err := s.Engineer.Header("")
	require.NoError(t, err)
	h.Actor = ""
	nameless, err := guardtest.Seal(s.Engineer.Key, h, &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	problem(t, s.post(nameless), http.StatusBadRequest, "malformed")
}

func TestStatementsThatAreNotAuthenticLeaveNoRecord(t *testing.T) {
	s := newService(t)
	stranger, err := s.Person("Mallory")
	require.NoError(t, err)
	before := s.records()
	for name, c := range map[string]struct {
		key    custody.Signer
		change func(*custody.Header)
		says   string
	}{
		"for another log": {s.Engineer.Key, func(h *custody.Header) { h.Audience = "custody.example/other" }, "is for"},
		"expired": {s.Engineer.Key, func(h *custody.Header) {
			h.Time, h.Expires = h.Time.Add(-time.Hour), h.Time.Add(-time.Hour+time.Minute)
		}, "expired"},
		"of the future":         {s.Engineer.Key, func(h *custody.Header) { h.Time, h.Expires = h.Time.Add(time.Minute), h.Expires.Add(time.Minute) }, "ahead"},
		"by another's key":      {s.Outsider.Key, func(*custody.Header) {}, "this key is not accepted"},
		"by nobody's key":       {stranger.Key, func(*custody.Header) {}, "this key is not accepted"},
		"of nobody":             {stranger.Key, func(h *custody.Header) { h.Actor = "p-aaaaaaaaaaaaaaaa" }, "this key is not accepted"},
		"the service's own key": {stranger.Key, func(h *custody.Header) { h.Actor = s.ServiceID() }, "this key is not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := s.Engineer.Header("")
			require.NoError(t, err)
			c.change(&h)
			body, err := guardtest.Seal(c.key, h, &custody.OpenSession{Client: "a test"})
			require.NoError(t, err)
			require.Contains(t, problem(t, s.post(body), http.StatusUnauthorized, "unauthenticated").Detail, c.says)
			require.Equal(t, before, s.records())
		})
	}
}

// TestReplay: a statement makes one record, and is answered alike ever after.
func TestReplay(t *testing.T) {
	s := newService(t)
	body, err := s.Engineer.Sign("", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	before := s.records()
	a := s.post(body)
	require.Equal(t, http.StatusCreated, a.StatusCode)
	first, _ := admitted(t, a)
	require.False(t, first.Repeat)
	for _, wait := range []time.Duration{0, time.Second, time.Hour} { // also when it has expired
		s.Pass(wait)
		a := s.post(body)
		require.Equal(t, http.StatusOK, a.StatusCode)
		again, _ := admitted(t, a)
		require.Equal(t, api.Admitted{Record: first.Record, Receipt: first.Receipt, Repeat: true}, again)
	}
	require.Equal(t, before+1, s.records())
}

// TestReplayOfWhatIsErased: a statement that is on record, and erased by order, is
// neither taken again nor answered.
func TestReplayOfWhatIsErased(t *testing.T) {
	s := newService(t)
	e, _ := s.takeIn(s.login(s.Engineer), "EX-1", s.Artifact)
	_, payload := admitted(t, s.say(s.Engineer, "to examine it", &custody.RetrieveEvidence{Evidence: e}))
	h, err := s.Engineer.Header("")
	require.NoError(t, err)
	envelope, err := guardtest.Seal(s.Engineer.Key, h, &custody.ReceiveEvidence{Evidence: e, Grant: payload, SHA256: custody.Hash(s.Artifact), Size: uint64(len(s.Artifact))})
	require.NoError(t, err)
	said, _ := admitted(t, s.post(envelope))
	admitted(t, s.post(envelope)) // as long as it is there
	r, err := custody.ParseRecord(said.Record)
	require.NoError(t, err)
	list, err := s.Store.Records(t.Context(), r.Stream, r.Sequence, 1, true)
	require.NoError(t, err)
	order := custody.EraseRecord{
		Authority: "request 12/26", Commitment: list[0].Commitment, Grant: payload, Sequence: r.Sequence, Stream: r.Stream, Was: custody.KindReceiveEvidence,
	}
	_, order.Seconds = admitted(t, s.say(s.Lead, "because", &order))
	admitted(t, s.say(s.Counsel, "because", &order))
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
	before := s.records()
	problem(t, s.post(envelope), http.StatusGone, "erased")
	require.Equal(t, before, s.records())
}

func TestReplayOfARefusal(t *testing.T) {
	s := newService(t)
	body, err := s.Outsider.Sign("curious", &custody.RetrieveEvidence{Evidence: "e-aaaaaaaaaaaaaaaa"})
	require.NoError(t, err)
	first := s.post(body)
	problem(t, first, http.StatusForbidden, "refused")
	after := s.records()
	require.Equal(t, plain(first), plain(s.post(body)))
	require.Equal(t, after, s.records())
}

func TestReplayAtOnce(t *testing.T) {
	s := newService(t)
	body, err := s.Engineer.Sign("", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	before := s.records()
	answers := make([]answer, 50)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i] = s.post(body) })
	}
	wait.Wait()
	created := 0
	var said []api.Admitted
	for _, a := range answers {
		switch a.StatusCode {
		case http.StatusCreated:
			created++
			fallthrough
		case http.StatusOK:
			one, _ := admitted(t, a)
			one.Token, one.Repeat = "", false
			said = append(said, one)
		default: // the first one is on its way
			problem(t, a, http.StatusServiceUnavailable, "unavailable")
		}
	}
	require.Equal(t, 1, created)
	require.Equal(t, before+1, s.records())
	for _, one := range said {
		require.Equal(t, said[0], one)
	}
}

// TestUnknownAndForbiddenLookAlike: T29. What is not there and what is not the
// caller's are answered byte for byte the same.
func TestUnknownAndForbiddenLookAlike(t *testing.T) {
	s := newService(t)
	engineer, outsider := s.login(s.Engineer), s.login(s.Outsider)
	sealed, _ := s.takeIn(engineer, "EX-1", s.Artifact)
	begun := s.begin(s.Engineer, "EX-2", 100)
	ticket := s.retrieve(engineer, sealed, 0, 0)
	const nothing custody.EvidenceID = "e-aaaaaaaaaaaaaaaa"
	says := map[string]func(custody.EvidenceID) answer{
		"retrieve": func(e custody.EvidenceID) answer {
			return s.say(s.Outsider, "curious", &custody.RetrieveEvidence{Evidence: e})
		},
		"export": func(e custody.EvidenceID) answer {
			return s.say(s.Outsider, "curious", &custody.ExportEvidence{Evidence: e})
		},
		"receive": func(e custody.EvidenceID) answer {
			return s.say(s.Outsider, "", &custody.ReceiveEvidence{Evidence: e, Grant: s.Grant, SHA256: custody.Hash(s.Artifact), Size: 1})
		},
		"seal": func(e custody.EvidenceID) answer {
			act := s.seal(e, s.Artifact)
			act.Incident = s.Incident
			return s.say(s.Outsider, "curious", act)
		},
		"look": func(e custody.EvidenceID) answer { return s.get(outsider, "/v1/evidence/"+string(e)) },
		"records": func(e custody.EvidenceID) answer {
			return s.get(outsider, "/v1/streams/evidence/"+string(e)+"/records")
		},
		"chunks":  func(e custody.EvidenceID) answer { return s.get(outsider, "/v1/evidence/"+string(e)+"/chunks") },
		"put":     func(e custody.EvidenceID) answer { return s.put(outsider, e, 0, s.Artifact) },
		"content": func(e custody.EvidenceID) answer { return s.content(outsider, e, ticket) },
	}
	for name, say := range says {
		t.Run(name, func(t *testing.T) {
			unknown := say(nothing)
			require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, unknown.StatusCode)
			require.Equal(t, plain(unknown), plain(say(sealed)))
			require.Equal(t, plain(unknown), plain(say(begun)))
		})
	}
	t.Run("incident", func(t *testing.T) {
		look := func(i custody.IncidentID) answer { return plain(s.get(outsider, "/v1/incidents/"+string(i))) }
		require.Equal(t, look("i-aaaaaaaaaaaaaaaa"), look(s.Incident))
		require.NotContains(t, string(s.get(outsider, "/v1/incidents").body), string(s.Incident))
		require.Contains(t, string(s.get(engineer, "/v1/incidents").body), string(s.Incident))
	})
	t.Run("not even another's upload on the same team", func(t *testing.T) {
		lead := s.login(s.Lead)
		require.Equal(t, plain(s.get(lead, "/v1/evidence/"+string(nothing)+"/chunks")), plain(s.get(lead, "/v1/evidence/"+string(begun)+"/chunks")))
		require.Equal(t, plain(s.put(lead, nothing, 0, s.Artifact)), plain(s.put(lead, begun, 0, s.Artifact)))
	})
}

// TestARefusalGivesNothingAway: it is on record, and its record, which says
// why, is not in the answer.
func TestARefusalGivesNothingAway(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	before := s.records()
	a := s.say(s.Outsider, "curious", &custody.RetrieveEvidence{Evidence: e})
	require.Equal(t, before+1, s.records())
	require.JSONEq(t, `{"type":"https://github.com/forensic-custody/custody/problems/refused","title":"Refused","status":403,`+
		`"detail":"`+guard.RefusedText+`"}`, string(a.body))

	// Who may know more is told why.
	a = s.say(s.Engineer, "to examine it", &custody.RetrieveEvidence{Evidence: e, Offset: 1000})
	require.Contains(t, problem(t, a, http.StatusForbidden, "refused").Detail, "not within")
}

// TestFailuresAreLimited: guessing ends after 300 a minute.
func TestFailuresAreLimited(t *testing.T) {
	s := newService(t)
	good, err := s.Engineer.Sign("", &custody.OpenSession{Client: "a test"})
	require.NoError(t, err)
	for range 299 {
		problem(t, s.post([]byte("{}")), http.StatusBadRequest, "malformed")
	}
	admitted(t, s.post(good)) // what is well counts for nothing
	limited := 0
	for range 5 {
		if s.post([]byte("{}")).StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	require.GreaterOrEqual(t, limited, 3)
	a := s.post([]byte("{}"))
	problem(t, a, http.StatusTooManyRequests, "too-many")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Empty(t, a.Header.Get("X-RateLimit-Limit"))
	admitted(t, s.post(good)) // others behind the same address go on
}

func TestLogDownTakesNothing(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	s.Log.Break(true)
	before := s.records()
	a := s.say(s.Engineer, "", &custody.OpenSession{Client: "a test"})
	problem(t, a, http.StatusServiceUnavailable, "unavailable")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.NotContains(t, string(a.body), "volume is full", "internal text never leaves")
	problem(t, s.get(nil, "/readyz"), http.StatusServiceUnavailable, "unavailable")
	require.Equal(t, http.StatusOK, s.get(nil, "/livez").StatusCode)
	require.Equal(t, before, s.records())
	require.Equal(t, http.StatusOK, s.get(v, "/v1/whoami").StatusCode) // reading goes on
	s.Log.Mend()
	require.Equal(t, http.StatusOK, s.get(nil, "/readyz").StatusCode)
}

func TestSessions(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	var me api.Principal
	require.NoError(t, json.Unmarshal(s.get(v, "/v1/whoami").body, &me))
	require.Equal(t, s.Engineer.ID, me.ID)
	for _, token := range []string{"", "x", v.session + "x", strings.ToUpper(v.session)} {
		problem(t, s.get(&visitor{session: token}, "/v1/whoami"), http.StatusUnauthorized, "unauthenticated")
	}
	problem(t, s.do(nil, http.MethodGet, "/v1/whoami?access_token="+v.session, nil, nil), http.StatusUnauthorized, "unauthenticated")
	problem(t, s.do(nil, http.MethodGet, "/v1/whoami", http.Header{"Authorization": {"Basic " + v.session}}, nil), http.StatusUnauthorized, "unauthenticated")

	other := s.login(s.Engineer)
	require.Equal(t, http.StatusNoContent, s.do(v, http.MethodDelete, "/v1/session", nil, nil).StatusCode)
	problem(t, s.get(v, "/v1/whoami"), http.StatusUnauthorized, "unauthenticated")
	require.Equal(t, http.StatusOK, s.get(other, "/v1/whoami").StatusCode)

	s.Pass(59 * time.Minute)
	require.Equal(t, http.StatusOK, s.get(other, "/v1/whoami").StatusCode)
	s.Pass(time.Hour) // without use
	problem(t, s.get(other, "/v1/whoami"), http.StatusUnauthorized, "unauthenticated")

	suspended := s.login(s.Engineer)
	admitted(t, s.say(s.Administrator, "he left", &custody.SuspendPrincipal{Principal: s.Engineer.ID}))
	problem(t, s.get(suspended, "/v1/whoami"), http.StatusUnauthorized, "unauthenticated")
}

func TestReading(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	begun := s.begin(s.Engineer, "EX-2", 100)

	var people api.Principals
	require.NoError(t, json.Unmarshal(s.get(v, "/v1/principals").body, &people))
	require.Len(t, people.Principals, 6) // the service is one

	var incident api.Incident
	require.NoError(t, json.Unmarshal(s.get(v, "/v1/incidents/"+string(s.Incident)).body, &incident))
	require.Len(t, incident.Evidence, 1, "what is not sealed is listed nowhere")
	var item api.Evidence
	require.NoError(t, json.Unmarshal(s.get(v, "/v1/evidence/"+string(e)).body, &item))
	require.Equal(t, incident.Evidence[0], item)
	require.Equal(t, s.seal(e, s.Artifact).Artifact, *item.Artifact)
	require.Equal(t, "disk.img", item.Name.Display)

	var open api.Evidence
	require.NoError(t, json.Unmarshal(s.get(v, "/v1/evidence/"+string(begun)).body, &open))
	require.False(t, open.Sealed)
	problem(t, s.get(s.login(s.Counsel), "/v1/evidence/"+string(begun)), http.StatusNotFound, "not-found")
	require.Equal(t, http.StatusOK, s.get(s.login(s.Counsel), "/v1/evidence/"+string(e)).StatusCode)
}

// TestRecordsInPages: the pages of a stream are the stream, and each record
// verifies under the trust file.
func TestRecordsInPages(t *testing.T) {
	s := newService(t)
	v := s.login(s.Lead)
	path := "/v1/streams/incident/" + string(s.Incident) + "/records"
	for n := range 4 {
		s.begin(s.Engineer, fmt.Sprintf("EX-%d", n), 100)
	}
	read := func(query string) (page api.Records) {
		require.NoError(t, json.Unmarshal(s.get(v, path+query).body, &page))
		return page
	}
	whole := read("")
	require.Len(t, whole.Records, 5)
	require.Nil(t, whole.Next)
	pages := []api.Record{}
	for from := uint64(0); ; {
		page := read(fmt.Sprintf("?limit=2&from=%d", from))
		pages = append(pages, page.Records...)
		if page.Next == nil {
			break
		}
		from = *page.Next
	}
	require.Equal(t, whole.Records, pages)
	for _, r := range pages {
		receipt, err := custody.ParseReceipt([]byte(r.Receipt))
		require.NoError(t, err)
		leaf, err := receipt.Leaf(r.Record)
		require.NoError(t, err)
		_, err = receipt.Verify(s.Trust, leaf)
		require.NoError(t, err)
	}
	require.Len(t, read("?limit=0").Records, 1)
	require.Len(t, read("?limit=9007199254740991").Records, 5)
	require.Empty(t, read("?from=9007199254740991").Records)
	for _, query := range []string{"?from=-1", "?from=x", "?limit=1.5", "?limit=9007199254740992", "?from=%00"} {
		problem(t, s.get(v, path+query), http.StatusBadRequest, "malformed")
	}
	for _, stream := range []string{"evidence", "policy/x", "incident/../policy", "incident/", "secrets/x", "incident/i-AAAAAAAAAAAAAAAA"} {
		problem(t, s.get(v, "/v1/streams/"+stream+"/records"), http.StatusNotFound, "not-found")
	}
}
