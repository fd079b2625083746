package bundle_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/bundle"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
)

func witness(t testing.TB, name string) *guardtest.Witness {
	t.Helper()
	w, err := guardtest.NewWitness(1, name)
	require.NoError(t, err)
	return w
}

func quorumOf(list ...*guardtest.Witness) string {
	text, all := "", "group all all"
	for _, w := range list {
		text += "witness " + w.Name + " " + w.Key + "\n"
		all += " " + w.Name
	}
	return text + all + "\nquorum all\n"
}

func with(trust *custody.Trust, policy string) *custody.Trust {
	other := *trust
	other.Witnesses = policy
	return &other
}

func text(t testing.TB, v *bundle.Verdict) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, v.Write(&b))
	return b.String()
}

// TestTheVerdictSaysWhoCosigned, by the trust file of whoever asks.
func TestTheVerdictSaysWhoCosigned(t *testing.T) {
	s := newStory(t, 1)
	w, x := witness(t, "w"), witness(t, "x")
	at := custody.TimeOf(s.Now())
	require.NoError(t, s.Log.Witnessed(at, w))
	b := written(t, contents(t, s, true))

	v := verify(b, with(s.Trust, quorumOf(w)))
	require.Empty(t, v.Problems)
	require.Equal(t, custody.QuorumMet, v.Quorum)
	require.Equal(t, []custody.Cosignature{{Name: "w", Key: w.Key, Time: at}}, v.Cosigned)
	require.Contains(t, text(t, v), "complete as of tree size 14, cosigned at "+at.String())
	require.Contains(t, text(t, v), "cosigned by w at "+at.String())

	v = verify(b, with(s.Trust, quorumOf(w, x)))
	require.False(t, v.Verified)
	require.Equal(t, custody.QuorumNotMet, v.Quorum)
	require.Contains(t, text(t, v), "NOT VERIFIED")
	require.Contains(t, text(t, v), "quorum not met")

	require.NoError(t, s.Log.Witnessed(at))
	v = verify(written(t, contents(t, s, true)), with(s.Trust, quorumOf(w)))
	require.False(t, v.Verified, "T11: the log's key alone is not enough")
	v = verify(written(t, contents(t, s, true)), s.Trust)
	require.True(t, v.Verified)
	require.Contains(t, text(t, v), "No outside witness")
}

// TestASignatureOfNobody: a line that neither the trust file nor the log's records
// account for is bytes that nothing covers.
func TestASignatureOfNobody(t *testing.T) {
	s := newStory(t, 1)
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), witness(t, "w")))
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.False(t, v.Verified)
	require.Contains(t, v.Problems[0].What, "nobody whom the log's records name")
}

// TestEveryByteOfACosignedBundleCounts, of the part that witnesses add.
func TestEveryByteOfACosignedBundleCounts(t *testing.T) {
	s := newStory(t, 1)
	w, x := witness(t, "w"), witness(t, "x")
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w, x))
	b, trust := written(t, contents(t, s, false)), with(s.Trust, quorumOf(w, x))
	require.True(t, verify(b, trust).Verified)
	start := bytes.Index(b, []byte("— w "))
	end := start + bytes.Index(b[start:], []byte{0})
	require.Greater(t, end-start, 200)
	for at := start; at < end; at++ {
		for bit := range 8 {
			c := bytes.Clone(b)
			c[at] ^= 1 << bit
			require.False(t, verify(c, trust).Verified, "bit %d of byte %d", bit, at)
		}
	}
}

// adopt has two administrators adopt a policy.
func adopt(t *testing.T, s *guardtest.Story, policy string) {
	t.Helper()
	bert, err := s.Person("Bert Administrator")
	require.NoError(t, err)
	require.NoError(t, s.Administrator.Enrols(t.Context(), bert, custody.RoleAdministrator))
	first := says(t, s, s.Administrator, &custody.AdoptWitnesses{Policy: policy})
	says(t, s, bert, &custody.AdoptWitnesses{Policy: policy, Seconds: first})
}

// TestWitnessesOnRecord: a trust file of before the log had witnesses still
// verifies, and says that others cosigned.
func TestWitnessesOnRecord(t *testing.T) {
	s := sealedUnder(t, 1, "")
	w := witness(t, "w")
	adopt(t, s, quorumOf(w))
	at := custody.TimeOf(s.Now())
	require.NoError(t, s.Log.Witnessed(at, w))
	b := written(t, contents(t, s, true))
	v := verify(b, s.Trust)
	require.Empty(t, v.Problems)
	require.Equal(t, custody.NoWitness, v.Quorum)
	require.Empty(t, v.Cosigned)
	require.Equal(t, []custody.Cosignature{{Name: "w", Key: w.Key, Time: at}}, v.AlsoCosigned)
	require.Contains(t, text(t, v), "also cosigned by w at")
	require.Contains(t, text(t, v), "No outside witness of your trust file")
	for start := bytes.Index(b, []byte("— w ")); b[start] != 0; start++ {
		c := bytes.Clone(b)
		c[start] ^= 1
		require.False(t, verify(c, s.Trust).Verified, "byte %d", start)
	}
}

// TestRecordsFromTheFuture: a service that dates records after what a witness saw
// of them is disputable.
func TestRecordsFromTheFuture(t *testing.T) {
	s := newStory(t, 1)
	w := witness(t, "w")
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now().Add(-time.Hour)), w))
	v := verify(written(t, contents(t, s, true)), with(s.Trust, quorumOf(w)))
	require.True(t, v.Verified)
	require.NotEmpty(t, v.Warnings)
	require.Contains(t, v.Warnings[0].What, "though w had seen it by")
}

// TestAdoptedByOne: an adoption that no two people carried is a problem of the bundle.
func TestAdoptedByOne(t *testing.T) {
	s := sealedUnder(t, 1, alone)
	w := witness(t, "w")
	says(t, s, s.Administrator, &custody.AdoptWitnesses{Policy: quorumOf(w)})
	require.NoError(t, s.Log.Witnessed(custody.TimeOf(s.Now()), w))
	v := verify(written(t, contents(t, s, true)), s.Trust)
	require.False(t, v.Verified, "what one moved is not in force, so w is nobody")
	says(t, s, s.Engineer, &custody.AdoptWitnesses{Policy: quorumOf(witness(t, "x"))})
	v = verify(written(t, contents(t, s, true)), with(s.Trust, quorumOf(w)))
	require.False(t, v.Verified)
	require.Contains(t, v.Problems[0].What, "was no administrator")
}

// alone is a policy under which everybody may do everything.
const alone = `@id("all") permit (principal, action, resource);`
