// Package monitor follows a log from outside, for somebody who has its trust file
// and nothing else to believe.
//
// It promises, of a round that finds nothing: the checkpoint is the log's; its tree
// begins with all that was seen before; it is that of exactly the leaves that the
// log serves, each a leaf of Custody; no tag stands in two of them; the checkpoints
// that others were shown are of the same tree; the witnesses that the trust file
// asks for have cosigned it. What it finds to be a lie comes with a proof that
// convinces others, where there is one (custody.Contradiction, custody.Repetition).
//
// It keeps every leaf in its own folder, 65 bytes each, so that it depends on
// nothing that the log forgets; memory does not grow with the log.
//
// What records say it cannot know: that is for those who hold them (custody/bundle).
//
// Begin reading at Monitor.Round.
package monitor
