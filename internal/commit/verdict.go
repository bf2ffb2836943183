package commit

import "github.com/s3mirror/s3mirror/internal/object"

// Proof is what an object's own checksum says of its bytes.
type Proof int8

const (
	Disproved Proof = iota - 1
	Unproved        // it has none that could be compared
	Proved
)

// State is how the replicas of a key were found.
type State uint8

const (
	Alike     State = iota // all that answered show the same, or the row knows of what differs
	Pending                // the log knows that something is under way, or left to do: nothing is judged
	Differs                // see Faults; with Act the key has a row now, and is healed
	Undecided              // they differ, and nothing says which of them is right: an operator must
	Unknowing              // the log did not answer, or the key changed all the time
)

// Fault is what is wrong with one replica of a key.
type Fault struct {
	Replica string
	What    Wrong
	Seen    object.Info // what it showed
	Want    object.Info // what it should hold
}

// Wrong is a kind of fault.
type Wrong string

const (
	Missing   Wrong = "missing"  // an object should be there
	Extra     Wrong = "extra"    // none should be
	WrongSize Wrong = "size"     // an object of another size
	WrongETag Wrong = "etag"     // of another ETag
	WrongID   Wrong = "identity" // of another write
	WrongTags Wrong = "tags"     // the right object, under other tags
	Rot       Wrong = "bytes"    // the right object by all that it says, of other bytes
)

// Verdict is what a scrub found of a key.
type Verdict struct {
	State  State
	Faults []Fault
	Silent object.Replicas // did not answer, or could not be read
	Known  bool            // the key has a row
}

func (v Verdict) words() (text string) {
	for i, f := range v.Faults {
		if i > 0 {
			text += ", "
		}
		text += f.Replica + " " + string(f.What)
	}
	return text
}
