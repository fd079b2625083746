// Package replay decides every record of a log again: for an auditor who has the
// records and trusts nobody who had a hand in them.
//
// It promises that a report without disagreements means, of all records under the
// checkpoint:
//
//   - They are the leaves of the log, in its order, and make its root; so is every
//     earlier checkpoint that one of them names or that is given.
//   - Each stream was declared by a record that may do so, begins at 0 and has no
//     gap, and no leaf lies outside of a declared stream.
//   - Each statement was signed with a key that was its actor's and live, is of
//     this log, was recorded while it was valid, and once.
//   - Each decision stood on the newest state of all that it depends on, and is the
//     one that the policy in force and the rules of the domain lead to, with its
//     reason, its rules and its place: each permission, and each refusal.
//   - Where witnesses cosigned, what was recorded lies between their times.
//
// It says what it could not decide again: what was erased by order, and refusals of
// seals because of bytes, which are not in the log.
//
// It goes by one writer: records stand in the log in the order in which they were
// decided.
//
// Begin reading at Run. stream.go folds, check.go compares, brackets.go is about
// time, structure.go does without contents.
package replay
