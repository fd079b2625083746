// Package custody holds the words of the service and the proofs behind them:
// who said what about which evidence, what was decided about it, and how
// somebody who trusts neither the service nor its operator can check that.
//
// It promises:
//
//   - A format has one encoding. What a parser here accepts encodes to the same
//     bytes again; anything else is refused.
//   - What a person says is signed by that person, and kept as it was signed.
//   - The state of a person, an incident or an item is the fold of its records
//     and of nothing else: whoever has the records comes to the same state.
//   - It is pure. No input or output, no clock, no randomness, no globals: they
//     come in as arguments. It compiles to WebAssembly.
//
// It does not decide who may do what (package policy does), it does not put
// anything on record (package guard does), and it keeps no bytes.
//
// # Words
//
// One word for each idea, here and everywhere else:
//
//	anchor        the checkpoint that a record names: it was decided after it
//	appointment   how somebody has a role in an incident (package investigate)
//	artifact      the bytes of an item
//	audience      the log that a statement is for, by its origin
//	basis         the heads of the streams that a decision was folded from
//	block         64 KiB of an artifact; a chunk is 128 blocks
//	bundle        the portable proof of an exhibit or an incident: one file (package bundle)
//	checkpoint    the signed head of the log: origin, size, root
//	citation      evidence by digest and place, for a finding or against it
//	clearance     a legal advisor's word that images may be examined
//	commitment    what binds a record without disclosing it
//	cosignature   a witness's signed word that it saw a checkpoint, and when
//	declaration   the opening of a stream by a record of another
//	envelope      a signed payload: DSSE, with exactly one signature
//	erasure       the destruction of a record's bytes and opening, by order of two
//	evidence item an artifact in custody, with its exhibit number and history
//	exhibit       the number that an item bears in its incident
//	excerpt       a stretch of an artifact, proven without the rest (package bundle)
//	finding       what an examiner concludes, fact and interpretation apart
//	fold          the state that the records of a stream make
//	genesis       the first record of all; the trust file names it
//	grant         a permitted retrieval
//	head          how far a stream had come: a length and the last commitment
//	hold          a legal hold: while it lasts an item is not destroyed
//	identity      the name under which the log refuses the same statement twice
//	kind          the type of a statement, such as evidence.seal
//	leaf          65 bytes in the log, which disclose nothing
//	measure       what is done to contain an incident, or put it right
//	motion        what one person moved and another must second, within 30 days
//	opening       32 random bytes without which a commitment cannot be tested
//	origin        the name of a log
//	paper         what is made from a bundle for a court, and proves nothing itself (package paper)
//	pass          the permission to read bytes; only package guard makes one
//	policy        the rules of who may do what, or the stream that holds them
//	possession    the proof that the holder of a key has it
//	post-mortem   what is learned from an incident: an item that nobody outside reads
//	principal     a person or a service identity, with keys and roles
//	quorum        the witnesses without whom a checkpoint does not count
//	readiness     that somebody is ready for a role: training, experience, authority
//	receipt       the proof that a leaf is in the log
//	record        a statement and what was decided about it
//	release       what became of a grant: how many bytes were handed over
//	repair item   what is put right after an incident, by whom and until when
//	rota          who is on call
//	scene         where a collector signs without a network (evidence.collect)
//	seal          the statement that says which bytes an item is
//	stage         where an incident stands; it is left when what it asks for is on record
//	statement     what a principal says and signs
//	stream        an ordered history of records
//	tag           what marks the leaf of one place in one stream
//	ticket        the right to fetch what a grant is for (package guard)
//	trust file    the one thing that a verifier takes on faith
//	verdict       what a verification found (package bundle)
//	withdrawal    the end of an item that was begun and is not to be sealed
//	withheld      said of a record of which a bundle has the leaf alone (package bundle)
//	witness       an independent cosigner of checkpoints
//
// Begin reading at Statement, then Record, Leaf and Receipt. FORMAT.md beside
// this file is normative, and its vectors lie in testdata/vectors.
package custody
