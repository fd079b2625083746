// Package guardtest is a small world to test in: a store and a log in memory,
// and people who sign statements, all of it made from a seed.
//
// It promises that the same seed and the same acts make the same bytes, so that
// a test can compare what it makes with what another run made. The store and
// the log keep the contracts of guard.Store and guard.Log, but only as long as
// the process lives. Every record of them stands under a signature of its own
// checkpoint, which no real log could afford.
//
// It does not replace the tests of a real store and log. No program imports it.
//
// Begin reading at World.
package guardtest
