package paper_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard/guardtest"
	"github.com/forensic-custody/custody/custody/paper"
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
		p, err := paper.Read(b, &trust, words())
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
	all := files(t, l.proof(), custody.PaperReport)
	says(t, all, "custody-report", "by the service's own word")
	silent(t, all, "custody-report", "records existed by")
}
