package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
)

// EnrolmentCode is the header that carries the one-time code of the very first
// enrolment.
const EnrolmentCode = "Custody-Enrolment-Code"

// Admitted is the answer to a statement that was permitted and is proven.
type Admitted struct {
	Record  []byte `json:"record"`          // canonical bytes
	Receipt string `json:"receipt"`         // c2sp.org/tlog-proof, with the record's opening and tag
	Token   string `json:"token,omitempty"` // what a session, retrieval or export earned; given once
	Repeat  bool   `json:"repeat"`          // the statement was on record before
}

// postStatement takes in a signed statement: 201 when it is put on record, 200
// when it was before.
func (a *API) postStatement(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, custody.MaxStatement))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	admission, err := a.Guard.Admit(r.Context(), body, r.Header.Get(EnrolmentCode))
	if errors.Is(err, guard.ErrMalformed) || errors.Is(err, guard.ErrUnauthenticated) {
		a.metrics.rejected.Inc()
		// Only what fails is held against an address: others behind it go on.
		if a.limit.reached(r) {
			a.problem(w, r, problemTooMany.with("too many statements from your address could not be authenticated; wait a minute"))
			return
		}
		a.limit.failed(w, r)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.answer(w, r, admission)
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, admission *guard.Admission) {
	record, err := custody.ParseRecord(admission.Record)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	statement, err := record.Envelope.Statement(a.Guard.Words)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.metrics.statements.WithLabelValues(string(statement.Kind), strconv.FormatBool(admission.Permit)).Inc()
	if !admission.Permit {
		a.problem(w, r, problemRefused.with(admission.Reason))
		return
	}
	status := http.StatusCreated
	if admission.Repeat {
		status = http.StatusOK
	}
	a.reply(w, r, status, Admitted{
		Record: admission.Record, Receipt: string(admission.Receipt.Marshal()), Token: admission.Token, Repeat: admission.Repeat,
	})
}

// bearer returns the session token of a request, or "".
func bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// session answers with what do finds while reading under the request's session.
func (a *API) session(do func(r *http.Request, read *guard.Reader) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any
		err := a.Guard.Read(r.Context(), bearer(r), func(read *guard.Reader) (err error) {
			answer, err = do(r, read)
			return err
		})
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.reply(w, r, http.StatusOK, answer)
	}
}

func (a *API) deleteSession(w http.ResponseWriter, r *http.Request) {
	a.Guard.Logout(bearer(r))
	w.WriteHeader(http.StatusNoContent)
}
