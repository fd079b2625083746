package bundle_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

var update = flag.Bool("update", false, "write the vectors instead of comparing them")

// cases is the folder of the vectors of single rules, and of what only some bundles
// have. FORMAT.md says what is in it.
const cases = "../testdata/vectors/cases"

// specimen is a bundle with what a verifier has to say of it.
type specimen struct {
	name  string // of its file
	rule  int    // of FORMAT.md, section 13, that refuses it, and no other; 0 when it verifies
	what  string // it is
	says  string // the one problem of it has
	made  []byte
	trust *custody.Trust
}

// listed is what cases.json says of a vector.
type listed struct {
	Bundle   string           `json:"bundle"`
	Trust    string           `json:"trust"`
	What     string           `json:"what"`
	Rule     int              `json:"rule,omitempty"`
	Verified bool             `json:"verified"`
	Complete bool             `json:"complete"`
	Items    []listedItem     `json:"items"`
	Refused  int              `json:"refused,omitempty"` // records that say so
	Erased   int              `json:"erased,omitempty"`
	Stamps   int              `json:"stamps,omitempty"` // that are believed
	Also     int              `json:"alsoCosigned,omitempty"`
	Warnings int              `json:"warnings,omitempty"`
	Problems []bundle.Problem `json:"problems,omitempty"`
}

type listedItem struct {
	Evidence      custody.EvidenceID `json:"evidence"`
	ArtifactState string             `json:"artifactState"`
	Destroyed     bool               `json:"destroyed,omitempty"`
	Excerpts      int                `json:"excerpts,omitempty"`
}

// of lists what a verdict says.
func (v *specimen) of(d *bundle.Verdict) listed {
	l := listed{
		Bundle: v.name + ".bundle", What: v.what, Rule: v.rule, Verified: d.Verified, Complete: d.Complete, Items: []listedItem{},
		Erased: len(d.Erased), Also: len(d.AlsoCosigned), Warnings: len(d.Warnings), Problems: d.Problems,
	}
	for _, i := range d.Items {
		l.Items = append(l.Items, listedItem{i.Evidence, string(i.ArtifactState), i.Destroyed, len(i.Excerpts)})
	}
	for _, e := range slices.Concat(d.Timeline, d.Around) {
		if !e.Permitted {
			l.Refused++
		}
	}
	for _, s := range d.Stamps {
		if s.Verified {
			l.Stamps++
		}
	}
	return l
}

// TestVectors makes each vector again, and compares. What is refused is refused for one
// reason alone, so that a verifier without that rule would accept it.
func TestVectors(t *testing.T) {
	made := map[string][]byte{}
	list := []listed{}
	for _, v := range slices.Concat(refusedVectors(t), validVectors(t)) {
		verdict := verify(v.made, v.trust)
		if v.rule > 0 {
			require.Len(t, verdict.Problems, 1, "%s: %v", v.name, verdict.Problems)
			require.Contains(t, verdict.Problems[0].What, v.says, v.name)
		} else {
			require.Empty(t, verdict.Problems, v.name)
		}
		l := v.of(verdict)
		trust, err := v.trust.Marshal()
		require.NoError(t, err)
		l.Trust = "trust-" + custody.Hash(trust).Hex()[:8] + ".json"
		made[l.Bundle], made[l.Trust] = v.made, trust
		list = append(list, l)
	}
	index, err := json.MarshalIndent(list, "", "  ")
	require.NoError(t, err)
	made["cases.json"] = append(index, '\n')
	for name, content := range made {
		file := filepath.Join(cases, name)
		if *update {
			require.NoError(t, os.MkdirAll(cases, 0o755))
			require.NoError(t, os.WriteFile(file, content, 0o644))
			continue
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, content), "%s: the format has changed: that is a new version of it", name)
	}
	there, err := os.ReadDir(cases)
	require.NoError(t, err)
	require.Len(t, there, len(made), "nothing lies among the vectors that is not made")
	for rule := 1; rule <= 20; rule++ {
		require.True(t, slices.ContainsFunc(list, func(l listed) bool { return l.Rule == rule }), "rule %d refuses none", rule)
	}
}

// single is a short story, of somebody who does everything himself: an item is announced.
func single(t testing.TB) *guardtest.Story {
	t.Helper()
	w, err := guardtest.New(t.Context(), guardtest.Setup{Seed: 1, Policy: "@id(\"all\")\npermit (principal, action, resource);\n"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	ada, err := w.Person("Ada Administrator")
	require.NoError(t, err)
	require.NoError(t, ada.Enrols(t.Context(), ada))
	s := &guardtest.Story{World: w, Administrator: ada, Lead: ada, Engineer: ada, Artifact: []byte("what was on the disk\n")}
	s.Incident = custody.NewIncidentID(says(t, s, ada, &investigate.Open{Class: investigate.Security, DetectedAt: custody.TimeOf(s.Now()), Title: "a login from two countries at once"}))
	s.Evidence = announced(t, s, "EX-1")
	return s
}

// short is single, up to the seal of the item.
func short(t testing.TB) *guardtest.Story {
	t.Helper()
	s := single(t)
	says(t, s, s.Engineer, s.Seal())
	return s
}

// checked is a story in which the service checked the item, so that its stream is in the
// bundle.
func checked(t testing.TB) *guardtest.Story {
	t.Helper()
	s := short(t)
	attests(t, s, &custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)})
	return s
}

// refusedVectors are bundles by whoever has the log's key, and the people's whose
// statements are in it, each wrong in one way.
func refusedVectors(t *testing.T) (list []specimen) {
	t.Helper()
	s := short(t)
	says(t, s, s.Engineer, &custody.ExportEvidence{Evidence: s.Evidence}) // upon which nothing stands
	item, last := s.Evidence.Stream(), 1
	whole := written(t, contents(t, s, true))
	trusting := s.Trust
	put := func(rule int, name, what, says string, made []byte) {
		list = append(list, specimen{fmt.Sprintf("%02d-%s", rule, name), rule, what, says, made, trusting})
	}
	// forged has the last record of the item changed.
	forged := func(change func(*custody.Record)) []byte { return written(t, forge(t, s, 1, item, last, change)) }
	// added has one more record at the end of a stream.
	added := func(who custody.PrincipalID, key custody.Signer, act custody.Act) []byte {
		f, c := forgerOf(t, s)
		add(t, f, c, item, func(r *custody.Record) {
			by(t, r, s, who, key, act)
			heads(t, c, r, who)
		})
		return written(t, f.prove(t, c))
	}
	engineer := func(act custody.Act) []byte { return added(s.Engineer.ID, s.Engineer.Key, act) }

	padded := bytes.Clone(whole)
	padded[len(padded)-1025] = 1
	put(1, "padding", "a byte behind the last member is not zero", "", padded)
	f, c := forgerOf(t, s)
	var err error
	_, f.signer, err = guardtest.LogKey(s.Trust.Origin, 2)
	require.NoError(t, err)
	put(1, "signer", "the checkpoint is signed by another key of the log's name", "is not signed by the log", written(t, f.prove(t, c)))

	c = contents(t, s, false)
	put(2, "receipt", "a hash of a receipt is another", "", written(t, edited(c, itemIn(c, s), func(list []bundle.Record) []bundle.Record {
		r := *list[last].Receipt
		r.Proof = slices.Clone(r.Proof)
		r.Proof[0][0] ^= 1
		list[last].Receipt = &r
		return list
	})))

	other := *s.Trust
	other.Genesis = custody.Hash([]byte("another log"))
	trusting = &other
	put(3, "genesis", "the trust file names another genesis record", "genesis", whole)
	trusting = s.Trust

	put(4, "previous", "a record does not follow the one before it", "does not follow", forged(func(r *custody.Record) { r.Previous = custody.Hash([]byte("x")) }))

	c = contents(t, s, true)
	administrator := slices.IndexFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == s.Administrator.ID.Stream() })
	c.Streams[administrator].TagKey[0] ^= 1
	put(5, "tag-key", "the tag key of a stream is not the one that was declared", "is not the one that was declared", written(t, c))

	elsewhere := custody.NewEvidenceID(custody.Hash([]byte("x")))
	put(6, "stream", "a statement about another item stands in the item's stream", "belongs to another history", forged(func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, s.Engineer.Key, &custody.ExportEvidence{Evidence: elsewhere})
	}))

	another, err := s.Person("Emil Engineer the Second")
	require.NoError(t, err)
	put(7, "key", "a statement is signed with a key that is not its actor's", "is not one of", forged(func(r *custody.Record) {
		by(t, r, s, s.Engineer.ID, another.Key, &custody.ExportEvidence{Evidence: s.Evidence})
	}))

	put(8, "basis", "a decision rests on a state of the policy that never was", "not the one here", forged(func(r *custody.Record) {
		r.Basis[head(r, custody.PolicyStream)].Commitment = custody.Hash([]byte("x"))
	}))

	c = contents(t, s, true)
	put(9, "left-out", "the item's last record is left out, of which the leaves tell", "leaves out", written(t, edited(c, itemIn(c, s), func(list []bundle.Record) []bundle.Record { return list[:last] })))

	put(10, "not-the-service", "somebody else than the service says what it checked", "only the service", engineer(&custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)}))
	put(11, "expired", "a record was recorded a year after its statement expired", "after it had expired", forged(func(r *custody.Record) { r.Recorded = r.Recorded.Add(365 * 24 * time.Hour) }))
	put(12, "second-seal", "the item is sealed twice", "a second time", engineer(planted(s)))

	checked := checked(t)
	f, c = forgerOf(t, checked)
	var order custody.Digest
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.Lead.ID, s.Lead.Key, &custody.DisposeEvidence{Evidence: s.Evidence})
		heads(t, c, r, s.Lead.ID)
		order = custody.Hash(r.Envelope.Payload)
	})
	add(t, f, c, item, func(r *custody.Record) {
		by(t, r, s, s.ServiceID(), serviceKey(t), &custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: order, SHA256: custody.Hash(s.Artifact)})
		heads(t, c, r, s.ServiceID())
	})
	put(13, "one-ordered", "the item is said to be destroyed, which one had ordered, and nobody seconded", "which no two people had ordered", written(t, f.prove(t, c)))

	c = contents(t, s, true)
	put(14, "not-ordered", "a record is called erased, which nobody had ordered", "no two people have ordered it erased", written(t, without(c, itemIn(c, s), uint64(last))))

	c = contents(t, s, true)
	c.Artifact, c.Size = strings.NewReader("what was on the dish\n"), uint64(len(s.Artifact))
	put(15, "artifact", "the artifact is not the one that was sealed", "these 21 bytes have", written(t, c))

	put(16, "no-such-hold", "a hold is to be lifted which is neither here nor withheld", "names the hold", engineer(&custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: custody.Hash([]byte("x"))}))

	some := excerpted(t, written(t, contents(t, s, false)), s, bundle.Stretch{Offset: 5, Length: 3})
	at := bytes.Index(some, s.Artifact)
	require.Positive(t, at)
	some[at] ^= 1
	put(17, "excerpt", "beside the bytes that an excerpt is of, one of its block is another", "", some)

	began := single(t)
	c = incidentContents(t, began, true)
	c.Items = []custody.EvidenceID{}
	c.Streams = slices.DeleteFunc(c.Streams, func(st bundle.Stream) bool { return st.Name == began.Evidence.Stream() })
	put(18, "left-out", "an item that the incident announced is left out of its bundle", "which this bundle leaves out", written(t, c))

	w := witness(t, "w")
	trusting = with(s.Trust, quorumOf(w))
	put(19, "quorum", "the witness whom the trust file asks for did not cosign", "did not cosign", whole)
	trusting = s.Trust
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w))
	put(19, "nobodys-line", "a witness cosigned whom neither the trust file nor a record names", "nobody whom the log's records name", written(t, contents(t, s, true)))
	require.NoError(t, s.Log.Witnessed(0))

	one := authority(t, 1, "Example TSA", custody.ExternalAuthority)
	require.NoError(t, s.Log.Stamp(one, custody.TimeOf(s.Now())))
	trusting = believing(s, one)
	stamped := members(t, written(t, contents(t, s, true)))
	n := slices.IndexFunc(stamped, func(m member) bool { return strings.HasSuffix(m.name, ".tst") })
	stamped[n].content = otherForm(t, stamped[n].content)
	put(20, "high-s", "the signature of a stamp is in its other form", "one spelling", archive(stamped))
	says(t, s, s.Engineer, &custody.ExportEvidence{Evidence: s.Evidence})
	stamped = members(t, written(t, contents(t, s, true)))
	n = slices.IndexFunc(stamped, func(m member) bool {
		return strings.HasSuffix(m.name, "/proof") && strings.HasPrefix(m.name, "stamps/")
	})
	stamped[n].content = append(bytes.Repeat([]byte("A"), 43), '=', '\n')
	put(20, "proof", "a stamped checkpoint is not shown to be one that the bundle's goes on from", "goes on from", archive(stamped))
	return list
}

// otherForm writes the ECDSA signature with which a list of DER values ends in its
// other form.
func otherForm(t *testing.T, der []byte) (again []byte) {
	t.Helper()
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	require.NoError(t, err)
	switch {
	case len(rest) > 0:
		return append(bytes.Clone(v.FullBytes), otherForm(t, rest)...)
	case v.IsCompound:
		v.Bytes = otherForm(t, v.Bytes)
	default:
		var signature struct{ R, S *big.Int }
		_, err := asn1.Unmarshal(v.Bytes, &signature)
		require.NoError(t, err)
		signature.S.Sub(elliptic.P256().Params().N, signature.S)
		v.Bytes, err = asn1.Marshal(signature)
		require.NoError(t, err)
	}
	v.FullBytes = nil
	again, err = asn1.Marshal(v)
	require.NoError(t, err)
	return again
}

// validVectors are bundles that verify, with what only some have.
func validVectors(t *testing.T) (list []specimen) {
	t.Helper()
	put := func(name, what string, made []byte, trust *custody.Trust) {
		list = append(list, specimen{name, 0, what, "", made, trust})
	}
	of := func(s *guardtest.Story) []byte { return written(t, contents(t, s, true)) }

	s := short(t)
	put("plain", "nothing of what follows; a story as that of the refused ones", of(s), s.Trust)

	s = sealed(t, 1)
	a, err := s.Administrator.Does(t.Context(), "curious about EX-1", s.Retrieval())
	require.NoError(t, err)
	require.False(t, a.Permit)
	a, err = s.Engineer.Does(t.Context(), "once more", s.Seal())
	require.NoError(t, err)
	require.False(t, a.Permit)
	put("refusals", "an administrator was refused the item's bytes, in his own stream, and the engineer a second seal, in the item's", of(s), s.Trust)

	s = sealed(t, 1)
	scalar := custody.Hash([]byte("a vector"))
	s.Outsider.Key = newP256(t, scalar[:])
	require.NoError(t, s.Others(t.Context()))
	says(t, s, s.Outsider, &custody.ExportEvidence{Evidence: s.Evidence})
	put("ecdsa", "somebody signs with ECDSA on P-256", of(s), s.Trust)

	s = sealed(t, 1)
	key, act := further(t, s.Engineer, 5)
	enrols(t, s.Engineer, act)
	first := *s.Engineer
	first.Key = key
	says(t, s, &first, &custody.ExportEvidence{Evidence: s.Evidence})
	says(t, s, &first, &custody.RevokeKey{Key: s.Engineer.Key.Public().ID(), Principal: s.Engineer.ID})
	says(t, s, &first, &custody.ExportEvidence{Evidence: s.Evidence})
	put("keys", "the engineer enrolled a further key, signed with it, and revoked the first", of(s), s.Trust)

	s = sealed(t, 1)
	hold := says(t, s, s.Lead, &custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence})
	lift := custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: hold}
	lift.Seconds = says(t, s, s.Lead, &lift)
	says(t, s, s.Engineer, &lift)
	says(t, s, s.Lead, &custody.HoldEvidence{Authority: "another court", Evidence: s.Evidence})
	put("holds", "a hold that two people lifted, and one that stands", of(s), s.Trust)

	s = sealed(t, 1)
	keepNothing(t, s)
	moved := says(t, s, s.Lead, &custody.DisposeEvidence{Evidence: s.Evidence})
	order := says(t, s, s.Engineer, &custody.DisposeEvidence{Evidence: s.Evidence, Seconds: moved})
	attests(t, s, &custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: order, SHA256: custody.Hash(s.Artifact)})
	put("disposal", "the bytes were destroyed by order of two people", of(s), s.Trust)

	s = shredded(t)
	put("shredding", "the keys of the incident were destroyed by order of two people", of(s), s.Trust)

	s = atTheScene(t)
	put("scene", "somebody signed for the item at the scene, and another sealed it later", of(s), s.Trust)

	s = sealed(t, 1)
	require.NoError(t, s.Administrator.Enrols(t.Context(), s.Counsel, custody.RoleLegalAdvisor))
	says(t, s, s.Engineer, &custody.ExportEvidence{Evidence: s.Evidence})
	erase(t, s, 1, custody.KindExportEvidence)
	put("erasure", "a record is erased by order of two people", of(s), s.Trust)

	s = sealedUnder(t, 1, adoptingPolicy)
	w := witness(t, "w")
	adopt(t, s, quorumOf(w))
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w))
	put("witnesses", "a witness cosigned whom two administrators had the log adopt, and the trust file does not name", of(s), s.Trust)

	s = checked(t)
	made, trust := succeeded(t, s)
	put("succession", "the log's key gave way to another, by which the checkpoint is signed", made, trust)

	s = taken(t, noise(2*custody.BlockSize+7))
	put("excerpt", "an excerpt over the second block and the last", excerpted(t, written(t, contents(t, s, false)), s,
		bundle.Stretch{Offset: 2*custody.BlockSize - 3, Length: 8}), s.Trust)

	s = sealed(t, 1)
	rsa, err := guardtest.NewRSATimeAuthority(1, "Example TSA", custody.QualifiedAuthority)
	require.NoError(t, err)
	require.NoError(t, s.Log.Stamp(rsa, custody.TimeOf(s.Now())))
	says(t, s, s.Engineer, &custody.ExportEvidence{Evidence: s.Evidence})
	require.NoError(t, s.Log.Stamp(authority(t, 1, "Other TSA", custody.ExternalAuthority), custody.TimeOf(s.Now())))
	says(t, s, s.Engineer, &custody.ExportEvidence{Evidence: s.Evidence})
	put("stamps", "two checkpoints that the bundle's goes on from are stamped, by an RSA key and by an ECDSA key; nobody stamped the last record", of(s),
		believing(s, rsa, authority(t, 1, "Other TSA", custody.ExternalAuthority)))
	return list
}

// adoptingPolicy permits administrators what concerns the log itself, too.
const adoptingPolicy = guardtest.ShortPolicy + `@id("log")
permit (principal in Role::"administrator", action, resource is Custody);
`

// erase has two people order a record of the item erased, and waits until it is.
func erase(t *testing.T, s *guardtest.Story, sequence uint64, was custody.Kind) {
	t.Helper()
	stored, err := s.Store.Records(t.Context(), s.Evidence.Stream(), sequence, 1, true)
	require.NoError(t, err)
	act := custody.EraseRecord{Authority: "request 12/26", Commitment: stored[0].Commitment, Sequence: sequence, Stream: s.Evidence.Stream(), Was: was}
	second := act
	second.Seconds = says(t, s, s.Lead, &act)
	says(t, s, s.Counsel, &second)
	require.Eventually(t, func() bool {
		open, err := s.Store.Erasures(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}, 10*time.Second, time.Millisecond)
}

// shredded is a story at whose end the keys of the incident are destroyed.
func shredded(t *testing.T) *guardtest.Story {
	t.Helper()
	s := sealed(t, 1)
	keepNothing(t, s)
	order := shredOrder(t, s)
	attests(t, s, gone(s, order))
	attests(t, s, &custody.ShreddedIncident{Incident: s.Incident, Items: 1, Method: "cryptographic erase", Order: order})
	return s
}

// atTheScene is a story in which the outsider signed for the item before the engineer
// sealed it.
func atTheScene(t *testing.T) *guardtest.Story {
	t.Helper()
	s := gathered(t, 1, guardtest.ShortPolicy)
	require.NoError(t, s.Others(t.Context()))
	s.Evidence = announced(t, s, "EX-1")
	name, err := custody.NewName([]byte("EX-1.img"))
	require.NoError(t, err)
	h, err := s.Outsider.Header("seized at the scene")
	require.NoError(t, err)
	seal := s.Seal()
	seal.Scene, err = custody.Sign(s.Outsider.Key, h, &custody.CollectEvidence{Acquisition: seal.Acquisition, Artifact: seal.Artifact, Name: name, Type: "disk"})
	require.NoError(t, err)
	says(t, s, s.Engineer, seal)
	return s
}

// succeeded is the bundle of a story whose log's key gave way to another, and the trust
// file of whoever knows that.
func succeeded(t *testing.T, s *guardtest.Story) ([]byte, *custody.Trust) {
	t.Helper()
	f, c := forgerOf(t, s)
	public, next, err := guardtest.LogKey(s.Trust.Origin, 8)
	require.NoError(t, err)
	last, err := custody.CheckpointBody(c.Checkpoint)
	require.NoError(t, err)
	succession, err := (&custody.Succession{Checkpoint: last, To: public}).Sign(f.signer, next)
	require.NoError(t, err)
	f.signer = next
	add(t, f, c, custody.PolicyStream, func(r *custody.Record) {
		r.Declares = []custody.Declaration{}
		by(t, r, s, s.ServiceID(), serviceKey(t), &custody.ReplaceLogKey{Succession: string(succession)})
		heads(t, c, r, s.ServiceID())
	})
	trust := *s.Trust
	trust.Successions = []string{string(succession)}
	b, err := trust.Marshal()
	require.NoError(t, err)
	parsed, err := custody.ParseTrust(b)
	require.NoError(t, err)
	return written(t, f.prove(t, c)), parsed
}

// p256 signs as RFC 6979 says, without randomness, so that its signatures are the same
// each time.
type p256 struct {
	key    *ecdsa.PrivateKey
	public custody.PublicKey
}

func newP256(t testing.TB, scalar []byte) p256 {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	require.NoError(t, err)
	public, err := custody.NewPublicKey(key.Public())
	require.NoError(t, err)
	return p256{key, public}
}

func (p p256) Public() custody.PublicKey { return p.public }

func (p p256) Sign(message []byte) ([]byte, error) {
	digest := custody.Hash(message)
	return p.key.Sign(nil, digest[:], crypto.SHA256)
}
