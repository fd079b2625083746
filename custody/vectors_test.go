package custody_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/investigate"
)

var update = flag.Bool("update", false, "write the vectors instead of comparing them")

const vectors = "testdata/vectors"

// TestVectors makes every vector again, from fixed keys and randomness, and
// compares. What the files say is specified in FORMAT.md; its first section
// describes each.
func TestVectors(t *testing.T) {
	for name, content := range made(t) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(vectors, name)
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, content, 0o644))
				return
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), string(content), "the format has changed: that is a new version of it")
		})
	}
}

// TestVectorsAreAll: nothing lies among the vectors that is not made.
func TestVectorsAreAll(t *testing.T) {
	all := made(t)
	require.NoError(t, filepath.WalkDir(vectors, func(file string, d os.DirEntry, err error) error {
		switch {
		case err == nil && d.IsDir() && d.Name() == "cases":
			return fs.SkipDir // package bundle makes them
		case err != nil || d.IsDir():
			return err
		}
		name, err := filepath.Rel(vectors, file)
		require.NoError(t, err)
		if frozen[name] == "" {
			require.Contains(t, all, filepath.ToSlash(name))
		}
		return nil
	}))
}

// made returns all vectors by name.
func made(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	put := func(name string, v any) {
		b, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
		require.NoError(t, err)
		all[name] = append(b, '\n')
	}
	put("keys.json", keyVectors(t))
	put("names.json", nameVectors(t))
	put("trees.json", treeVectors())

	s := newStory(t)
	trust := must[[]byte](t)(s.Trust.Marshal())
	all["trust.json"] = trust
	for kind, act := range actVectors(t, s) {
		key, h := s.Engineer.Key, header(s)
		if kind == custody.KindGenesis || kind == custody.KindEnrolPrincipal {
			h.Actor = ""
		}
		if kind == custody.KindGenesis {
			key = must[custody.Signer](t)(guardtest.Key(7, "the service"))
		}
		all["statements/"+string(kind)+".dsse"] = must[[]byte](t)(guardtest.Seal(key, h, act))
	}
	for _, act := range laterActs(s) {
		all["statements/later/"+string(act.Kind())+".dsse"] = must[[]byte](t)(guardtest.Seal(s.Engineer.Key, header(s), act))
	}

	stored, err := s.Store.Records(t.Context(), s.Evidence.Stream(), 3, 1, true)
	require.NoError(t, err)
	info, err := s.Store.Stream(t.Context(), s.Evidence.Stream())
	require.NoError(t, err)
	all["record.json"] = stored[0].Record
	all["record.tlog-proof"] = stored[0].Receipt
	put("record-parts.json", recordParts{
		Opening: stored[0].Opening[:], TagKey: info.TagKey[:], TagKeyDigest: info.TagKey.Digest(),
		Sequence: stored[0].Sequence, Payload: stored[0].Payload, Identity: custody.Identity(stored[0].Payload),
		Commitment: stored[0].Commitment, Tag: stored[0].Leaf[33:], Leaf: stored[0].Leaf[:],
	})

	bundleVectors(t, s, all, put)
	succeeded := *s.Trust
	succeeded.Successions = []string{succession(t, s)}
	all["trust-succeeded.json"] = must[[]byte](t)(succeeded.Marshal())
	incidentVectors(t, s, all, put)
	stampVectors(t, s, all, put)
	return all
}

// recordParts is what goes into the leaf of a record, and what comes of it.
type recordParts struct {
	Opening      []byte         `json:"opening"`
	TagKey       []byte         `json:"tagKey"`
	TagKeyDigest custody.Digest `json:"tagKeyDigest"`
	Sequence     uint64         `json:"sequence"`
	Payload      custody.Digest `json:"payload"`
	Identity     custody.Digest `json:"identity"`
	Commitment   custody.Digest `json:"commitment"`
	Tag          []byte         `json:"tag"`
	Leaf         []byte         `json:"leaf"`
}

// succession is the note by which the key of the story's log gives way to another.
func succession(t *testing.T, s *guardtest.Story) string {
	t.Helper()
	_, from, err := guardtest.LogKey(s.Trust.Origin, 7)
	require.NoError(t, err)
	public, to, err := guardtest.LogKey(s.Trust.Origin, 8)
	require.NoError(t, err)
	last, err := custody.CheckpointBody(s.Log.Checkpoint())
	require.NoError(t, err)
	b, err := (&custody.Succession{Checkpoint: last, To: public}).Sign(from, to)
	require.NoError(t, err)
	return string(b)
}

// header is that of every vector of a statement.
func header(s *guardtest.Story) custody.Header {
	now := custody.TimeOf(s.Now())
	return custody.Header{
		Actor: s.Engineer.ID, Audience: "custody.example/demo", Time: now, Expires: now.Add(custody.MaxValidity),
		Nonce: custody.Nonce{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Purpose: "a vector",
	}
}

// actVectors returns an act of each kind.
func actVectors(t *testing.T, s *guardtest.Story) map[custody.Kind]custody.Act {
	t.Helper()
	further := must[custody.Signer](t)(guardtest.Key(7, "a further key"))
	engineer := s.Engineer.Key.Public()
	list := []custody.Act{
		&custody.Genesis{Key: must[custody.Signer](t)(guardtest.Key(7, "the service")).Public().Bytes(), Log: s.Trust.Log, Policy: "permit (principal, action, resource);\n"},
		&custody.EnrolPrincipal{
			Contact: "+49 30 1234", Key: engineer.Bytes(), Name: "Zoë Müller", Title: "forensic engineer",
			Possession: must[[]byte](t)(custody.ProvePossession(s.Engineer.Key, "custody.example/demo", "Zoë Müller")),
		},
		&custody.SuspendPrincipal{Principal: s.Lead.ID},
		&custody.ReinstatePrincipal{Principal: s.Lead.ID},
		&custody.GrantRole{Principal: s.Lead.ID, Role: custody.RoleOnCall},
		&custody.RevokeRole{Principal: s.Lead.ID, Role: custody.RoleOnCall},
		&custody.EnrolKey{
			Key:        further.Public().Bytes(),
			Possession: must[[]byte](t)(custody.ProvePossession(further, "custody.example/demo", string(s.Engineer.ID))),
		},
		&custody.RevokeKey{Key: engineer.ID(), Principal: s.Engineer.ID},
		&custody.OpenSession{Client: "custody 1.0"},
		summaryVector(s),
		&custody.BeginEvidence{AtMost: 1 << 40, Exhibit: "EX-1", Incident: s.Incident, Name: must[custody.Name](t)(custody.NewName([]byte("disk\n.img"))), Type: "disk"},
		s.Seal(),
		&custody.CheckEvidence{Evidence: s.Evidence, Intact: true, SHA256: custody.Hash(s.Artifact)},
		s.Retrieval(),
		&custody.ReleaseEvidence{Evidence: s.Evidence, Grant: s.Grant, Outcome: custody.ReleaseFinished, Sent: 21},
		&custody.ReceiveEvidence{Evidence: s.Evidence, Grant: s.Grant, SHA256: custody.Hash(s.Artifact), Size: 21},
		&custody.ExportEvidence{Evidence: s.Evidence},
		&custody.ReportEvidence{Evidence: s.Evidence, Paper: custody.PaperReport, SHA256: custody.Hash([]byte("a paper")), Size: 7},
		&custody.ExportIncident{Incident: s.Incident},
		&custody.ReportIncident{Incident: s.Incident, Paper: custody.PaperReport, SHA256: custody.Hash([]byte("a paper")), Size: 7},
		&custody.WithdrawEvidence{Evidence: s.Evidence, Incident: s.Incident},
		&custody.CollectEvidence{Acquisition: s.Seal().Acquisition, Artifact: s.Seal().Artifact, Format: "raw", Name: must[custody.Name](t)(custody.NewName([]byte("disk.img"))), Type: "disk"},
		&custody.ProveStore{Checksum: true, ConditionalPut: true, Hold: true, Lock: true, Store: custody.StoreS3, Versions: true},
		&custody.AdoptWitnesses{Policy: policyOf(witnesses(t, "witness.example/w1", "witness.example/w2"), "group w any witness.example/w1 witness.example/w2\nquorum w\n")},
		&custody.ReplaceLogKey{Succession: succession(t, s)},
		&custody.NoticeTime{Authority: "Example TSA", DriftMs: -61250, Since: custody.TimeOf(s.Now()), State: custody.TimeDrift},
		&custody.VerifyEvidence{Evidence: s.Evidence},
		&custody.HoldEvidence{Authority: "a court", Evidence: s.Evidence},
		&custody.LiftHold{Authority: "a court", Evidence: s.Evidence, Hold: custody.Hash(nil)},
		&custody.DisposeEvidence{Evidence: s.Evidence},
		&custody.DisposedEvidence{Evidence: s.Evidence, Method: "deleted", Order: custody.Hash(nil), SHA256: custody.Hash(s.Artifact)},
		&custody.EraseRecord{
			Authority: "request 12/26", Commitment: custody.Hash(nil), Grant: s.Grant, Sequence: 3, Stream: s.Evidence.Stream(), Was: custody.KindReceiveEvidence,
		},
		&custody.ErasedRecord{Commitment: custody.Hash(nil), Method: "erased", Order: custody.Hash(nil), Sequence: 3, Stream: s.Evidence.Stream()},
		&custody.ShredIncident{Incident: s.Incident},
		&custody.ShreddedIncident{Incident: s.Incident, Items: 1, Method: "erased", Order: custody.Hash(nil)},
		&custody.ShreddedEvidence{Evidence: s.Evidence, Method: "erased", Order: custody.Hash(nil), SHA256: custody.Hash(s.Artifact)},
		&custody.LoseKeys{Evidence: s.Evidence, State: custody.KeysMissing},
		&investigate.Retain{Days: 3650, Incident: s.Incident, Type: "disk"},
		&investigate.Open{Class: investigate.Security, DetectedAt: custody.TimeOf(s.Now()).Add(-3600e9), Title: "a login from two countries at once"},
		&investigate.Assign{Incident: s.Incident, Principal: s.Engineer.ID},
		&investigate.Unassign{Incident: s.Incident, Principal: s.Engineer.ID},
	}
	acts := map[custody.Kind]custody.Act{}
	for _, a := range append(list, incidentActs(s)...) {
		acts[a.Kind()] = a
	}
	for kind := range investigate.Words() {
		require.Contains(t, acts, kind, "each kind of statement has a vector")
	}
	return acts
}

// summaryVector sums three refusals up.
func summaryVector(s *guardtest.Story) *custody.SummariseRefusals {
	var r custody.Refusals
	for n, payload := range []string{"one", "two", "three"} {
		r.Add(custody.Hash([]byte(payload)), custody.TimeOf(s.Now()).Add(time.Duration(n-3)*time.Minute))
	}
	return r.Summary(s.Engineer.ID)
}

// TestStatementVectorsAreStatements reads each vector of a statement back.
func TestStatementVectorsAreStatements(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors, "statements", "*.dsse"))
	require.NoError(t, err)
	require.Len(t, files, len(investigate.Words()))
	later, err := filepath.Glob(filepath.Join(vectors, "statements", "later", "*.dsse"))
	require.NoError(t, err)
	require.Len(t, later, len(laterActs(newStory(t))))
	files = append(files, later...)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		e, err := custody.ParseEnvelope(b)
		require.NoError(t, err)
		s, err := e.Statement(investigate.Words())
		require.NoError(t, err)
		require.Equal(t, string(s.Kind)+".dsse", filepath.Base(f))
		service, err := guardtest.Key(7, "the service")
		require.NoError(t, err)
		engineer, err := guardtest.Key(7, "Emil Engineer")
		require.NoError(t, err)
		key := engineer
		if s.Kind == custody.KindGenesis {
			key = service
		}
		require.NoError(t, e.Verify(key.Public()))
	}
}

type keyVector struct {
	Algorithm  string        `json:"algorithm"`
	Private    string        `json:"private"` // seed or scalar, hexadecimal
	PKIX       []byte        `json:"pkix"`
	ID         custody.KeyID `json:"id"`
	Holder     string        `json:"holder"`
	Audience   string        `json:"audience"`
	Possession []byte        `json:"possession"`
}

func keyVectors(t *testing.T) []keyVector {
	t.Helper()
	seed := sha256.Sum256([]byte("a vector"))
	list := []keyVector{}
	for _, k := range []struct {
		signer custody.Signer
	}{
		{must[custody.Signer](t)(custody.NewSigner(ed25519.NewKeyFromSeed(seed[:])))},
		{newP256(t, seed[:])},
	} {
		pub := k.signer.Public()
		list = append(list, keyVector{
			Algorithm: pub.Algorithm(), Private: fmt.Sprintf("%x", seed), PKIX: pub.Bytes(), ID: pub.ID(),
			Holder: "Zoë Müller", Audience: "custody.example/demo",
			Possession: must[[]byte](t)(custody.ProvePossession(k.signer, "custody.example/demo", "Zoë Müller")),
		})
	}
	return list
}

// TestKeyVectorsVerify: a vector's possession is proven, the randomness of its
// signature aside.
func TestKeyVectorsVerify(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(vectors, "keys.json"))
	require.NoError(t, err)
	var list []keyVector
	require.NoError(t, json.Unmarshal(b, &list))
	require.Len(t, list, 2)
	for _, v := range list {
		key, err := custody.ParsePublicKey(v.PKIX)
		require.NoError(t, err)
		require.Equal(t, v.ID, key.ID())
		message := fmt.Sprintf(`{"audience":%q,"holder":%q,"key":%q,"label":"custody/v1/possession"}`,
			v.Audience, v.Holder, base64.StdEncoding.EncodeToString(v.PKIX))
		require.NoError(t, key.Verify([]byte(message), v.Possession))
	}
}

// p256 signs as RFC 6979 says, without randomness, so that its signatures are
// the same each time.
type p256 struct{ key *ecdsa.PrivateKey }

func newP256(t testing.TB, scalar []byte) p256 {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	require.NoError(t, err)
	return p256{key}
}

func (p p256) Public() custody.PublicKey {
	k, err := custody.NewPublicKey(p.key.Public())
	if err != nil {
		panic(err)
	}
	return k
}

func (p p256) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return p.key.Sign(nil, digest[:], crypto.SHA256)
}

// order is that of the group: s and order-s sign the same message.
func order() *big.Int { return elliptic.P256().Params().N }

type nameVector struct {
	Raw  []byte       `json:"raw"`
	Name custody.Name `json:"name"`
}

func nameVectors(t *testing.T) []nameVector {
	t.Helper()
	list := []nameVector{}
	for _, raw := range namesToTry() {
		list = append(list, nameVector{[]byte(raw), must[custody.Name](t)(custody.NewName([]byte(raw)))})
	}
	return list
}

type treeVector struct {
	Pattern  string           `json:"pattern"` // the artifact's byte number n is n mod 251
	Artifact custody.Artifact `json:"artifact"`
}

func treeVectors() []treeVector {
	list := []treeVector{}
	for _, size := range []int{0, 1, custody.BlockSize, custody.BlockSize + 1, 3*custody.BlockSize + 7, custody.ChunkSize, custody.ChunkSize + 1} {
		b := make([]byte, size)
		for n := range b {
			b[n] = byte(n % 251)
		}
		tree := custody.NewTreeHash(nil)
		_, _ = tree.Write(b) // fails only after Finish
		list = append(list, treeVector{"n mod 251", tree.Finish()})
	}
	return list
}
