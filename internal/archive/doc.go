// Package archive is a log as one file: every row, document, part and event,
// whatever engine holds them, to be kept, checked, or moved into another log.
//
// # The file
//
// It begins with a line of text that names the format. Then come frames: the
// length of the body (uvarint), the body, and four bytes of CRC-32C over
// everything of the file before them, so that a frame that was changed, lost,
// doubled or moved is found at its place. A body is one byte that tells its kind
// and the record:
//
//	'H' header (JSON)                              the first frame
//	'd' n(kind) n(name) stored form                a document
//	'r' n(bucket) n(key) stored form               a row
//	'p' upload(16) number(uvarint) attempt(16) stored form   a part
//	'h' stored form                                an event
//	'E' counts (JSON)                              the last frame, and nothing after it
//
// n(x) is x counted by a uvarint; the stored forms are package oplog's. Events
// stand newest first by time, and those of one moment in the order in which they
// came.
//
// It must not know engines, nor what a record means beyond which of them belong
// to a place and not to the log.
package archive
