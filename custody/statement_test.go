package custody_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

// TestHeaders tries what a header must not say.
func TestHeaders(t *testing.T) {
	s := newStory(t)
	for _, c := range []struct {
		name   string
		change func(*custody.Header)
		want   string // of the error; empty when there is none
	}{
		{"as it should be", func(*custody.Header) {}, ""},
		{"no actor", func(h *custody.Header) { h.Actor = "" }, "actor is missing"},
		{"an actor that is no identifier", func(h *custody.Header) { h.Actor = "p-1" }, "identifier"},
		{"an incident as actor", func(h *custody.Header) { h.Actor = custody.PrincipalID(s.Incident) }, "identifier"},
		{"no audience", func(h *custody.Header) { h.Audience = "" }, "audience"},
		{"expires when it is signed", func(h *custody.Header) { h.Expires = h.Time }, "expires"},
		{"expires before it is signed", func(h *custody.Header) { h.Expires = h.Time - 1 }, "expires"},
		{"expires as late as it may", func(h *custody.Header) { h.Expires = h.Time.Add(custody.MaxValidity) }, ""},
		{"expires too late", func(h *custody.Header) { h.Expires = h.Time.Add(custody.MaxValidity) + 1 }, "expires"},
		{"no purpose", func(h *custody.Header) { h.Purpose = "" }, "purpose is missing"},
		{"a purpose of spaces", func(h *custody.Header) { h.Purpose = "  " }, "purpose is missing"},
		{"a purpose of two lines", func(h *custody.Header) { h.Purpose = "a\nb" }, "cannot be shown"},
		{"a purpose that turns round", func(h *custody.Header) { h.Purpose = "a\u202eb" }, "cannot be shown"},
		{"a purpose too long", func(h *custody.Header) { h.Purpose = strings.Repeat("a", 1001) }, "longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header(s)
			c.change(&h)
			e, err := custody.Sign(s.Engineer.Key, h, s.Retrieval())
			require.NoError(t, err)
			got, err := e.Statement(investigate.Words())
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, h, got.Header)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestActs tries, for each kind, what an act must not say.
func TestActs(t *testing.T) {
	s := newStory(t)
	long := strings.Repeat("a", 1001)
	type changes map[string]func(a custody.Act)
	for kind, c := range map[custody.Kind]changes{
		custody.KindGenesis: {
			"another's key":     func(a custody.Act) { a.(*custody.Genesis).Key = s.Engineer.Key.Public().Bytes() },
			"no key":            func(a custody.Act) { a.(*custody.Genesis).Key = []byte{} },
			"another log":       func(a custody.Act) { a.(*custody.Genesis).Log = otherLog(t) },
			"no log":            func(a custody.Act) { a.(*custody.Genesis).Log = "" },
			"the log otherwise": func(a custody.Act) { g := a.(*custody.Genesis); g.Log = shouted(g.Log) },
		},
		custody.KindEnrolPrincipal: {
			"no name":        func(a custody.Act) { a.(*custody.EnrolPrincipal).Name = "" },
			"another name":   func(a custody.Act) { a.(*custody.EnrolPrincipal).Name = "Zoe Muller" },
			"no title":       func(a custody.Act) { a.(*custody.EnrolPrincipal).Title = "" },
			"no contact":     func(a custody.Act) { a.(*custody.EnrolPrincipal).Contact = "" },
			"a long contact": func(a custody.Act) { a.(*custody.EnrolPrincipal).Contact = long },
			"another's key":  func(a custody.Act) { a.(*custody.EnrolPrincipal).Key = s.Lead.Key.Public().Bytes() },
			"a damaged key":  func(a custody.Act) { a.(*custody.EnrolPrincipal).Key[3] ^= 1 },
			"no possession":  func(a custody.Act) { a.(*custody.EnrolPrincipal).Possession = []byte{} },
		},
		custody.KindSuspendPrincipal:   {"nobody": func(a custody.Act) { a.(*custody.SuspendPrincipal).Principal = "" }},
		custody.KindReinstatePrincipal: {"nobody": func(a custody.Act) { a.(*custody.ReinstatePrincipal).Principal = "p-" }},
		custody.KindGrantRole: {
			"nobody":             func(a custody.Act) { a.(*custody.GrantRole).Principal = "" },
			"an unknown role":    func(a custody.Act) { a.(*custody.GrantRole).Role = "root" },
			"the service's role": func(a custody.Act) { a.(*custody.GrantRole).Role = custody.RoleService },
			"no role":            func(a custody.Act) { a.(*custody.GrantRole).Role = "" },
		},
		custody.KindRevokeRole: {"nobody": func(a custody.Act) { a.(*custody.RevokeRole).Principal = "x" }},
		custody.KindEnrolKey: {
			"no key":        func(a custody.Act) { a.(*custody.EnrolKey).Key = []byte{} },
			"the own key":   func(a custody.Act) { a.(*custody.EnrolKey).Key = s.Engineer.Key.Public().Bytes() },
			"no possession": func(a custody.Act) { a.(*custody.EnrolKey).Possession = []byte{} },
		},
		custody.KindRevokeKey: {"nobody": func(a custody.Act) { a.(*custody.RevokeKey).Principal = "" }},
		custody.KindOpenSession: {
			"no client":   func(a custody.Act) { a.(*custody.OpenSession).Client = "" },
			"a long name": func(a custody.Act) { a.(*custody.OpenSession).Client = long },
		},
		custody.KindBeginEvidence: {
			"no incident":         func(a custody.Act) { a.(*custody.BeginEvidence).Incident = "" },
			"an unknown type":     func(a custody.Act) { a.(*custody.BeginEvidence).Type = "floppy" },
			"too much":            func(a custody.Act) { a.(*custody.BeginEvidence).AtMost = custody.MaxArtifact + 1 },
			"no exhibit number":   func(a custody.Act) { a.(*custody.BeginEvidence).Exhibit = "" },
			"two lines of number": func(a custody.Act) { a.(*custody.BeginEvidence).Exhibit = "1\n2" },
			"no name":             func(a custody.Act) { a.(*custody.BeginEvidence).Name = custody.Name{} },
		},
		custody.KindWithdrawEvidence: {
			"no item":     func(a custody.Act) { a.(*custody.WithdrawEvidence).Evidence = "" },
			"no incident": func(a custody.Act) { a.(*custody.WithdrawEvidence).Incident = "" },
		},
		custody.KindSealEvidence: {
			"an unknown digest as received": func(a custody.Act) { a.(*custody.SealEvidence).AsReceived = []string{"md5"} },
			"the SHA-256 alone as received": func(a custody.Act) { a.(*custody.SealEvidence).AsReceived = []string{custody.DigestSHA256} },
			"a digest twice as received": func(a custody.Act) {
				a.(*custody.SealEvidence).AsReceived = []string{custody.DigestRoot, custody.DigestRoot}
			},
			"no item":             func(a custody.Act) { a.(*custody.SealEvidence).Evidence = "" },
			"no incident":         func(a custody.Act) { a.(*custody.SealEvidence).Incident = "" },
			"other chunks":        func(a custody.Act) { a.(*custody.SealEvidence).Artifact.ChunkSize = 4 << 20 },
			"too much":            func(a custody.Act) { a.(*custody.SealEvidence).Artifact.Size = custody.MaxArtifact + 1 },
			"no root":             func(a custody.Act) { a.(*custody.SealEvidence).Artifact.Root = custody.Digest{} },
			"no SHA-256":          func(a custody.Act) { a.(*custody.SealEvidence).Artifact.SHA256 = custody.Digest{} },
			"two lines of source": func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.Source.Description = "a\nb" },
			"an unknown method":   func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.Method = "magic" },
			"an unknown right":    func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.Authority.Kind = "might" },
			"a tool of blanks":    func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.Tool.Name = " " },
			"no IP address":       func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.Source.IP = "300.1.1.1" },
			"no MAC address":      func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.Source.MAC = "00:00:5e:00:53" },
			"an image that says nothing": func(a custody.Act) {
				a.(*custody.SealEvidence).Acquisition.Image = &custody.ImageFacts{Filled: []string{}, Says: []custody.Said{{Name: "examiner"}}}
			},
			"a place that the image filled": func(a custody.Act) {
				a.(*custody.SealEvidence).Acquisition.Image = &custody.ImageFacts{Filled: []string{"place"}, Says: []custody.Said{}}
			},
			"a member that it filled twice": func(a custody.Act) {
				a.(*custody.SealEvidence).Acquisition.Image = &custody.ImageFacts{Filled: []string{"unread", "unread"}, Says: []custody.Said{}}
			},
			"an unmeasured clock": func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.ClockError.AheadMS = 5 },
			"a log that ends before it begins": func(a custody.Act) {
				a.(*custody.SealEvidence).Acquisition.Coverage = &custody.Coverage{First: "2026-11-23T20:41:00Z", Last: "2026-11-23T20:40:00Z"}
			},
			"a right that ends before it begins": func(a custody.Act) {
				q := &a.(*custody.SealEvidence).Acquisition.Authority
				q.From, q.Until = "2026-11-23T20:41:00Z", "2026-11-23T20:40:00Z"
			},
			"parts that are too few": func(a custody.Act) {
				a.(*custody.SealEvidence).Parts = []custody.Part{{Name: custody.Name{Display: "a.001"}, Size: 20}}
			},
			"parts that are too many": func(a custody.Act) {
				a.(*custody.SealEvidence).Parts = []custody.Part{{Name: custody.Name{Display: "a.001"}, Size: 20}, {Name: custody.Name{Display: "a.002"}, Size: 2}}
			},
			"a part of no name": func(a custody.Act) { a.(*custody.SealEvidence).Parts = []custody.Part{{Size: 21}} },
			"a label of a short digest": func(a custody.Act) {
				a.(*custody.SealEvidence).Labels = []custody.Label{{Algorithm: "md5", Measured: "00", Over: custody.LabelArtifact}}
			},
			"a label that nobody states": func(a custody.Act) {
				md5 := strings.Repeat("0", 32)
				a.(*custody.SealEvidence).Labels = []custody.Label{{Algorithm: "md5", Measured: md5, Stated: md5, Over: custody.LabelArtifact}}
			},
			"a label in an unknown algorithm": func(a custody.Act) {
				a.(*custody.SealEvidence).Labels = []custody.Label{{Algorithm: "crc32", Measured: "00000000", Over: custody.LabelArtifact}}
			},
			"a time of no place": func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.CollectedAt = "2026-11-23T20:41:00" },
			"yesterday":          func(a custody.Act) { a.(*custody.SealEvidence).Acquisition.CollectedAt = "yesterday" },
		},
		custody.KindCheckEvidence:    {"no item": func(a custody.Act) { a.(*custody.CheckEvidence).Evidence = "" }},
		custody.KindRetrieveEvidence: {"no item": func(a custody.Act) { a.(*custody.RetrieveEvidence).Evidence = "i-" }},
		custody.KindReleaseEvidence: {
			"no item":            func(a custody.Act) { a.(*custody.ReleaseEvidence).Evidence = "" },
			"an unknown outcome": func(a custody.Act) { a.(*custody.ReleaseEvidence).Outcome = "fine" },
		},
		custody.KindSummariseRefusals: {
			"of nobody":       func(a custody.Act) { a.(*custody.SummariseRefusals).Principal = "" },
			"of none":         func(a custody.Act) { a.(*custody.SummariseRefusals).Count = 0 },
			"no root":         func(a custody.Act) { a.(*custody.SummariseRefusals).Root = custody.Digest{} },
			"backwards":       func(a custody.Act) { r := a.(*custody.SummariseRefusals); r.From, r.To = r.To, r.From },
			"from the future": func(a custody.Act) { a.(*custody.SummariseRefusals).To = header(s).Time + 1 },
		},
		custody.KindReceiveEvidence: {"no item": func(a custody.Act) { a.(*custody.ReceiveEvidence).Evidence = "" }},
		custody.KindExportEvidence:  {"no item": func(a custody.Act) { a.(*custody.ExportEvidence).Evidence = "" }},
		custody.KindExportIncident:  {"no incident": func(a custody.Act) { a.(*custody.ExportIncident).Incident = "" }},
		custody.KindReplaceLogKey:   {"no succession": func(a custody.Act) { a.(*custody.ReplaceLogKey).Succession = "" }},
		custody.KindNoticeTime: {
			"no authority":                func(a custody.Act) { a.(*custody.NoticeTime).Authority = "" },
			"another state":               func(a custody.Act) { a.(*custody.NoticeTime).State = "fine" },
			"a drift of nothing":          func(a custody.Act) { a.(*custody.NoticeTime).DriftMs = 0 },
			"a drift of a thousand years": func(a custody.Act) { a.(*custody.NoticeTime).DriftMs = 1000 * 365 * 24 * 3600 * 1000 },
			"a loss with a drift":         func(a custody.Act) { a.(*custody.NoticeTime).State = custody.TimeLost },
			"from the future":             func(a custody.Act) { a.(*custody.NoticeTime).Since = header(s).Time + 1 },
		},
		custody.KindProveStore: {"an unknown store": func(a custody.Act) { a.(*custody.ProveStore).Store = "tape" }},
		custody.KindReportEvidence: {
			"no item":         func(a custody.Act) { a.(*custody.ReportEvidence).Evidence = "" },
			"an unknown kind": func(a custody.Act) { a.(*custody.ReportEvidence).Paper = "poem" },
			"no digest":       func(a custody.Act) { a.(*custody.ReportEvidence).SHA256 = custody.Digest{} },
			"no bytes":        func(a custody.Act) { a.(*custody.ReportEvidence).Size = 0 },
		},
		custody.KindReportIncident: {
			"no incident":     func(a custody.Act) { a.(*custody.ReportIncident).Incident = "" },
			"an unknown kind": func(a custody.Act) { a.(*custody.ReportIncident).Paper = "poem" },
			"no digest":       func(a custody.Act) { a.(*custody.ReportIncident).SHA256 = custody.Digest{} },
			"no bytes":        func(a custody.Act) { a.(*custody.ReportIncident).Size = 0 },
		},
		custody.KindAdoptWitnesses: {
			"no policy":        func(a custody.Act) { a.(*custody.AdoptWitnesses).Policy = "" },
			"another spelling": func(a custody.Act) { a.(*custody.AdoptWitnesses).Policy += "\n" },
		},
		custody.KindVerifyEvidence: {"no item": func(a custody.Act) { a.(*custody.VerifyEvidence).Evidence = "" }},
		custody.KindHoldEvidence: {
			"no item":      func(a custody.Act) { a.(*custody.HoldEvidence).Evidence = "" },
			"no authority": func(a custody.Act) { a.(*custody.HoldEvidence).Authority = "" },
		},
		custody.KindLiftHold: {
			"no item":      func(a custody.Act) { a.(*custody.LiftHold).Evidence = "" },
			"no authority": func(a custody.Act) { a.(*custody.LiftHold).Authority = "" },
		},
		custody.KindDisposeEvidence: {"no item": func(a custody.Act) { a.(*custody.DisposeEvidence).Evidence = "" }},
		custody.KindDisposedEvidence: {
			"no item":   func(a custody.Act) { a.(*custody.DisposedEvidence).Evidence = "" },
			"no method": func(a custody.Act) { a.(*custody.DisposedEvidence).Method = "" },
		},
		investigate.KindRetain: {
			"no incident":     func(a custody.Act) { a.(*investigate.Retain).Incident = "" },
			"an unknown type": func(a custody.Act) { a.(*investigate.Retain).Type = "floppy" },
			"for ever":        func(a custody.Act) { a.(*investigate.Retain).Days = 36526 },
		},
		investigate.KindOpen: {
			"no title":        func(a custody.Act) { a.(*investigate.Open).Title = "" },
			"another class":   func(a custody.Act) { a.(*investigate.Open).Class = "party" },
			"from the future": func(a custody.Act) { a.(*investigate.Open).DetectedAt = header(s).Time + 1 },
		},
		investigate.KindAssign: {
			"no incident": func(a custody.Act) { a.(*investigate.Assign).Incident = "" },
			"nobody":      func(a custody.Act) { a.(*investigate.Assign).Principal = "" },
		},
		investigate.KindUnassign: {
			"no incident": func(a custody.Act) { a.(*investigate.Unassign).Incident = "" },
			"nobody":      func(a custody.Act) { a.(*investigate.Unassign).Principal = "" },
		},
	} {
		for name, change := range c {
			t.Run(string(kind)+": "+name, func(t *testing.T) {
				act := actVectors(t, s)[kind]
				_, err := said(t, s, act)
				require.NoError(t, err)
				change(act)
				_, err = said(t, s, act)
				require.Error(t, err)
			})
		}
	}
	for kind := range investigate.Words() {
		require.NotNil(t, actVectors(t, s)[kind])
	}
}

// said signs the act and reads the statement back.
func said(t *testing.T, s *guardtest.Story, act custody.Act) (*custody.Statement, error) {
	t.Helper()
	key, h := s.Engineer.Key, header(s)
	switch act.Kind() {
	case custody.KindGenesis:
		key, h.Actor = take(guardtest.Key(7, "the service")), ""
	case custody.KindEnrolPrincipal:
		h.Actor = ""
	}
	e, err := custody.Sign(key, h, act)
	require.NoError(t, err)
	return e.Statement(investigate.Words())
}

func otherLog(t *testing.T) string {
	t.Helper()
	text, _, err := guardtest.LogKey("custody.example/other", 7)
	require.NoError(t, err)
	return text
}

// shouted writes the hexadecimal part of a verifier key in upper case.
func shouted(key string) string {
	parts := strings.SplitN(key, "+", 3)
	return parts[0] + "+" + strings.ToUpper(parts[1]) + "+" + parts[2]
}

// TestPurposes: which acts need to be given a reason.
func TestPurposes(t *testing.T) {
	s := newStory(t)
	need := []custody.Kind{
		custody.KindSuspendPrincipal, custody.KindReinstatePrincipal, custody.KindRevokeKey,
		custody.KindBeginEvidence, custody.KindSealEvidence, custody.KindCheckEvidence, custody.KindRetrieveEvidence, custody.KindExportEvidence, custody.KindReportEvidence,
		custody.KindExportIncident, custody.KindReportIncident,
		custody.KindWithdrawEvidence, custody.KindCollectEvidence, custody.KindVerifyEvidence, custody.KindHoldEvidence, custody.KindLiftHold, custody.KindDisposeEvidence,
		custody.KindShredIncident, custody.KindLoseKeys, custody.KindEraseRecord, custody.KindAdoptWitnesses,
		investigate.KindAssign, investigate.KindUnassign, investigate.KindRetain, custody.KindDisqualifyPrincipal,
	}
	for _, act := range incidentActs(s) {
		if k := act.Kind(); k != investigate.KindRota && k != investigate.KindReportVulnerability && k != custody.KindQualifyPrincipal && k != custody.KindDisqualifyPrincipal {
			need = append(need, k)
		}
	}
	for kind, act := range actVectors(t, s) {
		require.Equal(t, act.NeedsPurpose(), contains(need, kind), kind)
	}
}

func contains(list []custody.Kind, k custody.Kind) bool {
	for _, e := range list {
		if e == k {
			return true
		}
	}
	return false
}

// TestPayloads tries payloads that are signed well and say something else than
// they should.
func TestPayloads(t *testing.T) {
	s := newStory(t)
	good, err := custody.Sign(s.Engineer.Key, header(s), s.Retrieval())
	require.NoError(t, err)
	for _, c := range []struct{ name, old, new string }{
		{"another type", `"_type":"https://in-toto.io/Statement/v1"`, `"_type":"https://in-toto.io/Statement/v0.1"`},
		{"another predicate", "/evidence.retrieve/v1", "/evidence.export/v1"},
		{"another version", "/evidence.retrieve/v1", "/evidence.retrieve/v2"},
		{"an unknown kind", "/evidence.retrieve/v1", "/evidence.destroy/v1"},
		{"somebody else's kind", "https://github.com/forensic-custody/custody/", "https://example.com/"},
		{"another subject", `"name":"e-`, `"name":"f-`},
		{"another digest of the subject", `{"sha256":"`, `{"sha256":"0`},
		{"two subjects", `"subject":[{`, `"subject":[{"digest":{"sha256":"00"},"name":"x"},{`},
		{"a field more", `"offset":0`, `"offset":0,"zero":0`},
		{"a field less", `,"offset":0`, ``},
		{"a fraction", `"offset":0`, `"offset":0.0`},
		{"a string for a number", `"offset":0`, `"offset":"0"`},
		{"a short nonce", `"nonce":"00`, `"nonce":"`},
		{"a nonce in upper case", `0a0b0c`, `0A0B0C`},
		{"a time without parts", `.000000Z","nonce"`, `Z","nonce"`},
		{"a local time", `.000000Z","nonce"`, `.000000+00:00","nonce"`},
		{"white space", `{"_type"`, `{ "_type"`},
		{"nothing", ``, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := *good
			text := strings.Replace(string(good.Payload), c.old, c.new, 1)
			if c.old != "" {
				require.NotEqual(t, string(good.Payload), text)
			}
			e.Payload = []byte(text)
			sig, err := s.Engineer.Key.Sign(dsse.PAE(custody.PayloadType, e.Payload))
			require.NoError(t, err)
			e.Signatures = []custody.Signature{{KeyID: s.Engineer.Key.Public().ID(), Sig: sig}}
			require.NoError(t, e.Verify(s.Engineer.Key.Public()))
			_, err = e.Statement(investigate.Words())
			require.Equal(t, c.old == "", err == nil, "%v", err)
		})
	}
}

func TestEnvelopes(t *testing.T) {
	s := newStory(t)
	key := s.Engineer.Key.Public()
	good, err := custody.Sign(s.Engineer.Key, header(s), s.Retrieval())
	require.NoError(t, err)
	require.NoError(t, good.Verify(key))
	require.Error(t, good.Verify(s.Lead.Key.Public()))
	for name, change := range map[string]func(*custody.Envelope){
		"no signature":   func(e *custody.Envelope) { e.Signatures = []custody.Signature{} },
		"two signatures": func(e *custody.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) },
		"another type of payload": func(e *custody.Envelope) {
			e.PayloadType = "application/json"
			e.Signatures[0].Sig = take(s.Engineer.Key.Sign(dsse.PAE(e.PayloadType, e.Payload)))
		},
	} {
		e := *good
		e.Signatures = append([]custody.Signature{}, good.Signatures...)
		change(&e)
		require.Error(t, e.Verify(key), name)
		_, err := e.Statement(investigate.Words())
		require.Error(t, err, name)
	}
	e := *good
	e.Signatures = []custody.Signature{{KeyID: key.ID(), Sig: take(s.Engineer.Key.Sign(good.Payload))}}
	require.Error(t, e.Verify(key), "the payload itself is not what is signed (DSSE, PAE)")

	large := fmt.Sprintf(`{"payload":%q,"payloadType":"x","signatures":[]}`, strings.Repeat("A", custody.MaxStatement))
	_, err = custody.ParseEnvelope([]byte(large))
	require.ErrorContains(t, err, "larger")
}

// TestTheSignedBytesAreThoseOfDSSE: what is signed is the pre-authentication
// encoding of version 1, and in-toto's readers find their fields.
func TestTheSignedBytesAreThoseOfDSSE(t *testing.T) {
	s := newStory(t)
	e, err := custody.Sign(s.Engineer.Key, header(s), s.Seal())
	require.NoError(t, err)
	pae := fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(e.Payload), e.Payload)
	require.NoError(t, s.Engineer.Key.Public().Verify([]byte(pae), e.Signatures[0].Sig))
	var p struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name   string            `json:"name"`
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	require.NoError(t, json.Unmarshal(e.Payload, &p))
	require.Equal(t, "https://in-toto.io/Statement/v1", p.Type)
	require.Equal(t, string(s.Evidence), p.Subject[0].Name)
	require.Equal(t, custody.Hash(s.Artifact).Hex(), p.Subject[0].Digest["sha256"])
}

func TestTimesAndIdentifiers(t *testing.T) {
	var at custody.Time
	require.NoError(t, at.UnmarshalText([]byte("2026-11-23T21:05:00.000001Z")))
	require.Equal(t, "2026-11-23T21:05:00.000001Z", at.String())
	require.Equal(t, time.Date(2026, 11, 23, 21, 5, 0, 1000, time.UTC), at.Time())
	for _, bad := range []string{
		"", "2026-11-23T21:05:00Z", "2026-11-23T21:05:00.000Z", "2026-11-23T21:05:00.0000001Z", "2026-11-23t21:05:00.000000z",
		"2026-11-23T21:05:00.000000+00:00", "2026-02-30T21:05:00.000000Z", "2026-11-23T24:00:00.000000Z", "2026-11-23 21:05:00.000000Z",
		"2026-11-23T23:59:60.000000Z", "12026-11-23T21:05:00.000000Z",
	} {
		require.Error(t, at.UnmarshalText([]byte(bad)), bad)
	}

	id := custody.NewEvidenceID(custody.Hash([]byte("x")))
	require.Equal(t, custody.Stream("evidence/"+string(id)), id.Stream())
	for _, good := range []string{"policy", "incidents", "evidence/" + string(id)} {
		s, err := custody.ParseStream(good)
		require.NoError(t, err)
		require.Equal(t, strings.Split(good, "/")[0], s.Kind())
	}
	for _, bad := range []string{
		"", "policy/", "Policy", "evidence", "evidence/", "evidence/p-" + string(id[2:]), "incident/" + string(id),
		"evidence/" + strings.ToUpper(string(id)), "evidence/" + string(id) + "/x", "evidence/" + string(id[:17]), "evidence/../policy",
		"evidence/e-1111111111111111",
	} {
		_, err := custody.ParseStream(bad)
		require.Error(t, err, bad)
	}
	d := custody.Hash([]byte("x"))
	require.Equal(t, d, take(custody.ParseDigest(d.String())))
	for _, bad := range []string{"", d.Hex(), "SHA256:" + d.Hex(), "sha256:" + strings.ToUpper(d.Hex()), d.String() + "0", d.String()[:70], "sha512:" + d.Hex()} {
		_, err := custody.ParseDigest(bad)
		require.Error(t, err, bad)
	}
}
