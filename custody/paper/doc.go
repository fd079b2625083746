// Package paper makes the papers that go to court with a bundle: the report of
// the chain of custody and drafts of certificates, as HTML and as PDF, and the
// history for other tools (package caseuco).
//
// It promises:
//
//   - No paper from a bundle that does not verify. A paper says what the verdict
//     shows, and what nobody looked at in the verdict's own words.
//   - The same bundle and trust file make the same bytes: no clock, no randomness.
//     (The same program does: how a PDF is compressed may change with it.)
//   - Nothing that somebody wrote into a record does harm in a paper, or is left
//     out of it. What a PDF's fonts cannot show as it is stands there escaped,
//     and the paper says so.
//   - What the records do not say is a blank for a person to fill in. A draft says
//     on every page that it is one.
//
// A paper proves nothing by itself. The bundle does, which the PDF of a report
// carries as an attachment; who issued a paper shows in the log (evidence.report,
// incident.report).
//
// Begin reading at Read and Make.
package paper
