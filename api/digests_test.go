package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
)

// TestDigestsOfNoPage: a page that is not there is no damage, however its number
// is chosen.
func TestDigestsOfNoPage(t *testing.T) {
	s := newService(t)
	v := s.login(s.Engineer)
	e, _ := s.takeIn(v, "EX-1", s.Artifact)
	ticket := s.retrieve(v, e, 0, 0)
	for _, page := range []string{"1", "4503599627370496", "9007199254740991"} {
		a := s.do(v, http.MethodGet, "/v1/evidence/"+string(e)+"/digests?page="+page, http.Header{api.TicketHeader: {ticket}}, nil)
		problem(t, a, http.StatusBadRequest, "malformed")
	}
	require.Equal(t, http.StatusOK, s.do(v, http.MethodGet, "/v1/evidence/"+string(e)+"/digests", http.Header{api.TicketHeader: {ticket}}, nil).StatusCode)
	item, err := s.Item(t.Context(), e)
	require.NoError(t, err)
	require.False(t, item.Damaged)
}
