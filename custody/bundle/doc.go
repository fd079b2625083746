// Package bundle is the portable proof of an exhibit, or of an incident with all
// its exhibits: one file that shows who touched it, when, why, and that nobody else
// did, to somebody who trusts nothing but a trust file that came another way.
//
// It promises:
//
//   - A verdict never says more than was checked. It says "complete" only as of
//     a size of the log, and only when the leaves of the log were there.
//   - Every byte of a bundle is covered: a bundle in which any byte is changed
//     is refused, and the verdict says where. Of a time stamp, whoever handles the
//     bundle can add, leave out or spell otherwise a certificate above the one that
//     signed, whose issuer's the spelling is; what is said stays the same.
//   - Of a record that is withheld nothing is in a bundle that would let a guess of
//     it be tested. The verdict says that it was there, and what cannot be told.
//   - An excerpt of an artifact is proven to be of what was sealed, without the rest.
//   - No network, no files, no clock: readers and writers come in, a verdict
//     goes out. It compiles to WebAssembly.
//
// What it does not check yet: whether policy permitted what was decided (the
// verdict repeats the recorded decisions; only that administrators administer
// and the service attests is checked), and of an exhibit's bundle whether the
// incident declared the item once only (its own stream is not in that).
//
// Begin reading at Verify; the examples show what else can be done with a bundle, and
// the format is in custody/FORMAT.md.
package bundle
