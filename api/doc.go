// Package api is how the service is reached: HTTP, described by openapi.json.
//
// It promises:
//
//   - Everything that changes anything is a signed statement, sent to one
//     address, and decided by the guard. GET changes nothing.
//   - No byte of evidence leaves but for a ticket that an admitted retrieval
//     earned, and each chunk is verified before any of it is written.
//   - Errors are problem details (RFC 9457). What does not exist and what is
//     not the caller's look alike. Internal text never leaves.
//   - Every answer has the security headers; no answer is compressed.
//
// It decides nothing itself. It does not serve pages.
//
// Begin reading at New.
package api
