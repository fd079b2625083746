package paper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/paper"
	"github.com/forensic-custody/custody/investigate"
)

// TestAStampedReport says in whose word each record existed when, and carries the
// presumption of a qualified stamp only where the trust file says that it is one.
func TestAStampedReport(t *testing.T) {
	l := eventful(t)
	one, err := guardtest.NewTimeAuthority(1, "Example TSA", custody.QualifiedAuthority)
	require.NoError(t, err)
	l.Pass(time.Minute)
	at := custody.TimeOf(l.Now().Truncate(time.Second))
	require.NoError(t, l.Log.Stamp(one, at))
	const presumed = "Example TSA (qualified: presumed accurate by Article 41(2) eIDAS)"
	b := l.bundle()
	for _, kind := range []custody.TimeAuthorityKind{custody.QualifiedAuthority, custody.ExternalAuthority} {
		trust := *l.Trust
		one.Trusted.Kind = kind
		trust.Authorities = []custody.TimeAuthority{one.Trusted}
		p, err := paper.Read(b, &trust, investigate.Words())
		require.NoError(t, err)
		all := files(t, p, custody.PaperReport)
		says(t, all, "custody-report", "existed by "+at.Time().UTC().Format("2006-01-02 15:04:05"), "records existed by "+at.String())
		if kind == custody.QualifiedAuthority {
			says(t, all, "custody-report", presumed)
			continue
		}
		says(t, all, "custody-report", "Example TSA (external)")
		silent(t, all, "custody-report", "Article 41(2)")
	}
	all := files(t, l.proof())
	says(t, all, "custody-report", "by the service's own word", "The bundle has no time stamp by an authority of the trust file: when a record was made, its signer and the service say.")
	says(t, all, "certificate-902-13", "The bundle has no time stamp by an authority of the trust file.")
	silent(t, all, "custody-report", "records existed by")
}

// TestTimesThatNobodyBearsOut are named in the report, and in the certificate of the
// system beside what stamps bear out.
func TestTimesThatNobodyBearsOut(t *testing.T) {
	l := eventful(t)
	one, err := guardtest.NewTimeAuthority(1, "Example TSA", custody.ExternalAuthority)
	require.NoError(t, err)
	trust := *l.Trust
	trust.Authorities = []custody.TimeAuthority{one.Trusted}
	made := func() map[string][]byte {
		p, err := paper.Read(l.bundle(), &trust, investigate.Words())
		require.NoError(t, err)
		return files(t, p)
	}
	l.Pass(time.Minute)
	require.NoError(t, l.Log.Stamp(one, custody.TimeOf(l.Now().Truncate(time.Second))))
	early := made()
	silent(t, early, "custody-report", "first time stamp in it", "no time stamp in it")
	says(t, early, "certificate-902-13", "Time stamps (RFC 3161) by authorities of the trust file: the log's first 25 records existed by", "(Example TSA, external)")
	l.does(l.Counsel, "once more", &custody.ExportEvidence{Evidence: l.Evidence})
	says(t, made(), "custody-report", "1 record of the bundle, recorded from", "as the service says, have no time stamp in it.")
	l.Pass(24 * time.Hour)
	at := custody.TimeOf(l.Now().Truncate(time.Second))
	require.NoError(t, l.Log.Stamp(one, at))
	all := made()
	for _, name := range []string{"custody-report", "certificate-902-13"} {
		says(t, all, name, "1 record of the bundle, recorded from", "as the service says, have their first time stamp in it at "+at.Time().Format("2006-01-02 15:04:05"))
	}
}

// TestTheOperatorsOwnClock bears out nothing, and the report says so.
func TestTheOperatorsOwnClock(t *testing.T) {
	l := eventful(t)
	own, err := guardtest.NewTimeAuthority(1, "own clock", custody.LocalAuthority)
	require.NoError(t, err)
	require.NoError(t, l.Log.Stamp(own, custody.TimeOf(l.Now())))
	trust := *l.Trust
	trust.Authorities = []custody.TimeAuthority{own.Trusted}
	p, err := paper.Read(l.bundle(), &trust, investigate.Words())
	require.NoError(t, err)
	says(t, files(t, p, custody.PaperReport), "custody-report", "The bundle has no time stamp but of the operator's own clock: when a record was made, its signer and the service say.")
}
