package wire

import "slices"

// Fault is what is wrong with a body. Each makes the request one that no
// server may act upon.
type Fault string

const (
	None                   Fault = ""
	CutAtStart             Fault = "cut at 0 %"
	CutHalf                Fault = "cut at 50 %"
	CutLate                Fault = "cut at 99.9 %"
	WrongSHA256            Fault = "wrong SHA-256"
	WrongMD5               Fault = "wrong Content-MD5"
	WrongHeadChecksum      Fault = "wrong checksum in the head"
	FirstChunkSignature    Fault = "wrong signature of the first chunk"
	LastDataChunkSignature Fault = "wrong signature of the last data chunk"
	FinalChunkSignature    Fault = "wrong signature of the final chunk"
	WrongTrailer           Fault = "wrong trailer"
	MissingTrailer         Fault = "missing trailer"
	MalformedTrailer       Fault = "malformed trailer"
	TrailerSignature       Fault = "wrong signature of the trailer"
	DecodedLengthLong      Fault = "decoded length one too long"
	DecodedLengthShort     Fault = "decoded length one too short"
	ExtraBytes             Fault = "extra bytes after the end"
)

// Cuts are the faults of a client that goes away.
var Cuts = []Fault{CutAtStart, CutHalf, CutLate}

// Cut tells whether the client goes away before its body is whole.
func (f Fault) Cut() bool { return slices.Contains(Cuts, f) }

// Faults lists what can be wrong with a body of this mode.
func (m Mode) Faults() []Fault {
	faults := append(slices.Clone(Cuts), WrongMD5)
	switch {
	case m == Literal:
		return append(faults, WrongSHA256, WrongHeadChecksum)
	case m == Unsigned:
		return append(faults, WrongHeadChecksum)
	}
	faults = append(faults, DecodedLengthLong, DecodedLengthShort, ExtraBytes)
	if m.Signed() {
		faults = append(faults, FirstChunkSignature, LastDataChunkSignature, FinalChunkSignature)
	}
	if m.Trailer() {
		faults = append(faults, WrongTrailer, MissingTrailer, MalformedTrailer)
	}
	if m == SignedTrailer {
		faults = append(faults, TrailerSignature)
	}
	return faults
}

// swap returns other bytes than body when f is the wanted fault, so that
// whatever is computed from them is well formed and wrong.
func (f Fault) swap(want Fault, body []byte) []byte {
	if f == want {
		return []byte("not the body")
	}
	return body
}

// cut drops the part of an encoded body that a vanishing client never sent.
func (f Fault) cut(body []byte) []byte {
	switch f {
	case CutAtStart:
		return nil
	case CutHalf:
		return body[:len(body)/2]
	case CutLate:
		return body[:len(body)-min(len(body), max(1, len(body)/1000))]
	}
	return body
}
