// Package commit is the protocol: pure step machines that take every decision
// about a key. A shell (package replica over real servers, package sim over
// simulated ones) feeds a machine with events and carries out the effects that
// it returns; nothing else decides.
//
// It promises the invariants I1-I12 of ARCHITECTURE.md under the assumptions
// A1-A6, and that the same events at the same times give the same effects: a
// machine holds no clock, goroutine, socket or source of randomness. Times and
// fresh identities come in with the events and the options. A machine is a value:
// after *copy = *machine the copy is another machine in the same state, because no
// step changes what the two share (a row, a map, a set is replaced, never changed).
// Package explore branches that way, and tests that it holds. Only the Memory of a
// repair is its shell's, and its fields are replaced too.
//
// The machines are Write (PUT, DELETE and heal copies are the same kind of
// write), Read, Repair (resolve, settle, heal, drop), and Bucket. Overlay lays
// the rows over a page of a list. The rule numbers R1-R31, U1-U12 and T1-T9 in comments are
// those of docs/reliability.md.
//
// # Uploads
//
// A multipart upload is an object.ID: the client's upload id, and the identity of the
// version. Each step has a machine; its shell carries the document of the upload
// (UploadRecord, as JSON in oplog.DocUpload under oplog.UploadName) for it.
//
//   - Create: Begin; Initiate asks a replica for an upload whose metadata are the
//     headers and the stamp of the identity (FlagMultipart). Done, then Record.
//   - Part: Begin; from Open on Part.UploadID knows each replica's id; the body
//     goes as that of a streamed Write, its tail held; AddPart inserts the record. Done
//     with the ETag. A Release has no version and no intent behind it.
//   - Complete: the shell reads the document and all parts, asks Choose for what the
//     client's list means (its refusals are the client's answer), adds the checksums to
//     Chosen.Info.Headers, and starts Complete with it; then everything is as with a
//     Write, except that there is no body (no Accept, no Verified), that Release asks for
//     a CompleteMultipartUpload (Complete.UploadID, Chosen.ETags), and that the document
//     is changed. An answer is a Yes with the ETag; a No with the code for a 4xx, or for
//     an error of that sort inside of a 200; anything else, an InternalError inside of a
//     200 or an empty body too, is Ambiguous. Op.Slow is both the request's deadline and
//     what the log says of it.
//   - Tend: a client's abort (TendOp.Abort; its answer is in Done), and what is to be
//     done for every upload now and then: Tended.Next says when. Abort.OK is a 204 or a
//     NoSuchUpload.
//   - Repair asks with Fence and Remember. Fence: read the document, ask MayFence, and
//     abort if it says send. Remember: for each, write Remembered of the document.
//   - Strays: which of a replica's listed uploads nobody names.
//
// Config.Fences, Config.Composed and Config.Copies are what a probe found; empty is safe.
//
// # Tags
//
// A change of tags is a Tag; Retag asks for one request, which is answered by Retagged (a
// 404 is a No). TagRead answers a GET of tags, from Look to ServeTags, Absent or
// Unavailable; AskTags asks one replica, here and in a Repair. Mend of a Repair asks for a
// Tag with TagOp.Heal. Info.Tags of a Write are sent with the version, but to the replicas
// of Config.Bare.
//
// # Copies and batches
//
// A copy is a Write of type oplog.OpCopy on its target, with Stream, after a Read of the
// source: the replicas of CopyPlan (Op.Direct) copy by themselves, when released, under
// x-amz-copy-source-if-match and with metadata replaced; the others get the bytes. Info has
// CopyETag. The conditions on the source are judged by the version that was read.
//
// A batch delete is a Write with Op.Ask for each key and one Batch for them: the Release
// effects of the writes that Let names together go to a replica as one request.
package commit
