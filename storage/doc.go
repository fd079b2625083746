// Package storage keeps artifacts: bytes under their digest, encrypted, on any
// bucket, for as long as anybody may ask for them.
//
// It promises:
//
//   - What Seal acknowledged is there: every chunk and the list of them are
//     durable before it returns.
//   - No wrong byte. Whatever happens to the objects in a bucket (lost, cut
//     short, exchanged, written over, changed in one bit), a reader gets the
//     artifact's bytes or ErrDamaged with the range in question. A chunk's bytes
//     are handed out after its tag and its digest are verified, never before.
//   - Bytes leave through Open only, which takes a guard.Pass. Check reads
//     everything and returns digests.
//   - Whoever runs the bucket learns sizes, not contents, and cannot tell
//     whether a file that he knows is there.
//   - Zeros take no room, and what compresses takes less. Digests are of the
//     plaintext and do not depend on it.
//   - Memory does not grow with an artifact's size: of its list of chunks one
//     page is held, some hundred KiB, and chunks lie in a fixed number of
//     buffers.
//   - What is sealed on a bucket with object lock cannot be removed or changed
//     before its time, by nobody, and Locks tells whether that is so. What is
//     disposed of is first unreadable, then gone, and takes nothing with it that
//     another artifact uses.
//
// It does not decide who may read, how long anything is kept, or know what an
// artifact is evidence of. On a bucket without object lock it finds out what was
// lost or changed, and prevents nothing.
//
// Read bucket.go first, then vault.go; the formats are where they are coded, in
// object.go, keys.go and manifest.go. DESIGN.md tells the life of an artifact.
package storage
