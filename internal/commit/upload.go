package commit

import (
	"crypto/md5" //nolint:gosec // S3's own form of an ETag, no secret
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// UploadState is where a multipart upload is in its life.
type UploadState string

// States of an upload.
const (
	UploadOpen       UploadState = "open"       // takes parts
	UploadCompleting UploadState = "completing" // a Complete of it may have been let go
	UploadDone       UploadState = "done"       // it became a version; remembered, so that a Complete may be repeated
	UploadAborted    UploadState = "aborted"    // it can become nothing any more
)

// UploadRecord is the document of one multipart upload (RELIABILITY 4.6), under
// oplog.UploadName. Its id is the client's upload id and the identity of the version
// that it may become. Every change of it is a compare-and-set.
type UploadRecord struct {
	State     UploadState       `json:"state"`
	Created   time.Time         `json:"created"`
	Since     time.Time         `json:"since"`               // of State
	Initiator string            `json:"initiator,omitempty"` // login
	Headers   object.Headers    `json:"headers,omitempty"`   // of the version
	Tags      object.Tags       `json:"tags,omitempty"`      // of the version
	Sum       string            `json:"sum,omitempty"`       // checksum algorithm and type, as the client asked
	Plain     string            `json:"plain,omitempty"`     // checksum algorithm and type where nobody asked, if there is to be one
	IDs       map[string]string `json:"ids"`                 // replica -> its own upload id
	In        object.Replicas   `json:"in"`                  // replicas that hold every part that was acknowledged; it only shrinks
	Gone      object.Replicas   `json:"gone,omitempty"`      // replicas on which nothing of it is left
	Set       object.Replicas   `json:"set,omitempty"`       // the replica set when it was begun; empty: not known

	// Of the Complete that was let go last.
	Op   object.ID    `json:"op"`
	Node string       `json:"node,omitempty"` // whose it is
	List string       `json:"list,omitempty"` // Chosen.List
	Info *object.Info `json:"info,omitempty"` // what it makes; of a done upload, what it made
	Sums []string     `json:"sums,omitempty"` // Chosen.Sums
}

// takesParts tells whether parts may be added.
func (u *UploadRecord) takesParts() bool {
	return u != nil && (u.State == UploadOpen || u.State == UploadCompleting)
}

// clone returns a copy whose own fields may be changed.
func (u *UploadRecord) clone() *UploadRecord {
	c := *u
	return &c
}

// over is the record in its last state.
func (u *UploadRecord) over(state UploadState, now Now) *UploadRecord {
	c := u.clone()
	c.State, c.Since = state, now.Wall
	return c
}

// Remembered is the record of an upload that is known to have become a version.
// One that was aborted stays so: its requests were on their way, and what is left of
// it must still go.
func Remembered(u *UploadRecord, d oplog.Done, now Now) *UploadRecord {
	if u.State == UploadDone || u.State == UploadAborted {
		return u
	}
	c := u.over(UploadDone, now)
	info := object.Info{}
	if c.Info != nil {
		info = *c.Info
	}
	info.ID, info.Ver, info.ETag, info.Kind, info.ModTime = d.ID, d.Ver, d.ETag, object.Present, d.Ver.Time()
	c.Info = &info
	return c
}

// Named is one line of the list that a client completes an upload with.
type Named struct {
	Number int
	ETag   string // without quotes
}

// Chosen is what a Complete is made of.
type Chosen struct {
	Reps  object.Replicas     // replicas that hold every part
	Parts []oplog.Part        // one attempt for each line, in order
	ETags map[string][]string // replica -> the ETags that it gave the parts, in order
	List  string              // names the list: two equal ones make the same object
	Info  object.Info         // Size, Parts, ETag (MD5 of MD5s, where the parts' are MD5) and the upload's Headers
	Sums  []string            // base64, of the parts in order, where the version's checksum is one of theirs; the caller's
}

// MinPart is the least size of a part that is not the last, bytes.
const MinPart = 5 << 20

// Codes of S3 that uploads are refused with.
const (
	codeNoSuchUpload   = "NoSuchUpload"
	codeInvalidPart    = "InvalidPart"
	codeInvalidOrder   = "InvalidPartOrder"
	codeEntityTooSmall = "EntityTooSmall"
	codeMalformedXML   = "MalformedXML"
)

// Choose finds the parts that a client names among the records of an upload, and
// the replicas that hold them all, or says with which code the list is refused. The
// client names a part by the ETag that it was told; of attempts with that ETag, which
// have the same bytes, each replica goes with its own latest. least is MinPart but
// for tests.
func Choose(u *UploadRecord, have []oplog.Part, list []Named, least int64) (Chosen, string) {
	if len(list) == 0 {
		return Chosen{}, codeMalformedXML
	}
	byNumber := map[int][]oplog.Part{}
	for _, p := range have {
		byNumber[p.Number] = append(byNumber[p.Number], p)
	}
	c := Chosen{Reps: u.In, ETags: map[string][]string{}}
	c.Info.Headers, c.Info.Tags = u.Headers.Clone(), u.Tags
	sum := sha256.New()
	last := 0
	for i, n := range list {
		if n.Number <= last {
			return Chosen{}, codeInvalidOrder
		}
		last = n.Number
		part, code := attempt(byNumber[n.Number], n)
		if code != "" {
			return Chosen{}, code
		}
		if part.Size < least && i < len(list)-1 {
			return Chosen{}, codeEntityTooSmall
		}
		c.Reps = c.Reps.Filter(func(r string) bool { _, has := part.ETags[r]; return has || !holds(UHolders) })
		c.Parts = append(c.Parts, part)
		c.Info.Size += part.Size
		c.Info.Parts = append(c.Info.Parts, part.Size)
		sum.Write(binary.BigEndian.AppendUint32(nil, uint32(n.Number))) //nolint:gosec // at most MaxPart
		fmt.Fprintf(sum, "%q", part.ETag)
	}
	for _, r := range c.Reps {
		for _, p := range c.Parts {
			c.ETags[r] = append(c.ETags[r], p.ETags[r])
		}
	}
	c.List = hex.EncodeToString(sum.Sum(nil)[:16])
	c.Info.Kind, c.Info.ETag = object.Present, multipartETag(c.Parts)
	return c, ""
}

// attempt merges the attempts of one number that have the ETag which the client
// names: the same bytes, held by whoever holds one of them. An attempt that was
// certainly overwritten since is refused, as AWS does; where two nodes' clocks cannot
// tell, the replicas do, each by the ETag that it is given.
func attempt(all []oplog.Part, n Named) (oplog.Part, string) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b oplog.Part) int { return a.Added.Compare(b.Added) })
	var found *oplog.Part
	holders := map[string]string{}
	for i := range all {
		p := &all[i]
		switch {
		case p.ETag == n.ETag:
			found = p
			maps.Copy(holders, p.ETags)
		case found != nil && p.Added.Sub(found.Added) > maxSkew:
			found = nil
			clear(holders)
		}
	}
	if found == nil {
		return oplog.Part{}, codeInvalidPart
	}
	part := *found
	part.ETags = holders
	return part, ""
}

// maxSkew is A4: clocks of gateways differ by less.
const maxSkew = time.Second

// multipartETag is the ETag of an object of these parts: the MD5 of their MD5s and
// their number; empty where one's ETag is no MD5.
func multipartETag(parts []oplog.Part) string {
	sum := md5.New() //nolint:gosec // see above
	for _, p := range parts {
		raw, err := hex.DecodeString(p.ETag)
		if err != nil || !isMD5(p.ETag) {
			return ""
		}
		sum.Write(raw)
	}
	return hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// became tells whether the row knows that an upload became a version of its key.
func became(row *oplog.Row, id object.ID) (oplog.Done, bool) {
	if row == nil {
		return oplog.Done{}, false
	}
	if row.Cur.ID == id && !row.Open {
		return oplog.Done{ID: id, Ver: row.Cur.Ver, ETag: row.Cur.ETag}, true
	}
	for _, d := range row.Done {
		if d.ID == id && holds(UOnce) {
			return d, true
		}
	}
	return oplog.Done{}, false
}

// Events and effects that the machines of uploads share. A machine has at most one
// ReadUpload or SwapUpload under way.
type (
	// UploadRead answers ReadUpload: Record nil means that there is none.
	UploadRead struct {
		Record *UploadRecord
		Epoch  oplog.Epoch
		Failed bool
	}
	// UploadSwapped answers SwapUpload. Epoch is that of the record that was written.
	UploadSwapped struct {
		Outcome CAS
		Epoch   oplog.Epoch
	}
	// Aborted answers Abort: OK when the replica said that nothing of the upload is
	// left there (204, or NoSuchUpload).
	Aborted struct {
		Replica string
		OK      bool
	}

	// ReadUpload asks for a linearizable read of the upload's document.
	ReadUpload struct{}
	// SwapUpload asks for one compare-and-set of it from Old (zero: there is none) to
	// Record (nil: drop it). The shell gives it a fresh epoch and never repeats the
	// attempt.
	SwapUpload struct {
		Old    oplog.Epoch
		Record *UploadRecord
	}
	// Abort asks a replica to throw an upload away. It may be repeated.
	Abort struct{ Replica, UploadID string }
)

func (UploadRead) event()    {}
func (UploadSwapped) event() {}
func (Aborted) event()       {}
func (ReadUpload) effect()   {}
func (SwapUpload) effect()   {}
func (Abort) effect()        {}
