package s3

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	// MaxDeletes is how many keys one DeleteObjects can name.
	MaxDeletes = 1000
	// MaxDeleteBytes bounds its body: a thousand of the longest keys, every
	// fourth character of them escaped.
	MaxDeleteBytes = 4 << 20
)

// Delete is what a DeleteObjects asks for.
type Delete struct {
	Quiet   bool // the answer names failures alone
	Objects []DeleteEntry
}

// DeleteEntry is one key of a DeleteObjects.
type DeleteEntry struct {
	Key     string
	Version string // as the client named it; empty: it did not
	If      WriteConditions
	// Refusal is why this key is not deleted, whatever else happens; nil when
	// nothing is wrong with it.
	Refusal *Error
}

// ParseDelete reads the document of a DeleteObjects. What is wrong with the
// document, an empty list and one of more than a thousand keys included, is
// MalformedXML; what is wrong with one key is its Refusal: AccessDenied for a
// reserved key, KeyTooLongError, InvalidArgument for a version id and for
// a condition. An error of the reader itself is returned as
// it is.
func ParseDelete(op *Operation, body io.Reader) (*Delete, error) {
	del := &Delete{}
	d := newXMLReader(body, MaxDeleteBytes)
	root, err := d.root()
	if err == nil && root != "Delete" {
		err = errUnexpectedElement(root)
	}
	if err == nil {
		err = d.children(func(name []byte) (err error) {
			switch {
			case string(name) == "Quiet":
				del.Quiet, err = d.strictTruth()
			case string(name) == "Object" && len(del.Objects) < MaxDeletes:
				var e DeleteEntry
				e, err = d.deleteEntry(op)
				del.Objects = append(del.Objects, e)
			default:
				err = errUnexpectedElement(string(name))
			}
			return err
		})
	}
	if err == nil {
		err = d.end()
	}
	if err == nil && len(del.Objects) == 0 {
		err = errMissingElement("Object")
	}
	if err != nil {
		return nil, malformed(err)
	}
	return del, nil
}

func (x *xmlReader) strictTruth() (bool, error) {
	s, err := x.text()
	if err != nil {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func (x *xmlReader) deleteEntry(op *Operation) (e DeleteEntry, err error) {
	h := http.Header{}
	err = x.children(func(name []byte) (err error) {
		text, err := x.text()
		if err != nil {
			return err
		}
		switch string(name) {
		case "Key":
			e.Key = text
		case "VersionId":
			e.Version = text
		case "ETag":
			h.Set("If-Match", text)
		case "Size":
			h.Set("x-amz-if-match-size", strings.TrimSpace(text))
		case "LastModifiedTime":
			h.Set("x-amz-if-match-last-modified-time", strings.TrimSpace(text))
		default:
			return errUnexpectedElement(string(name))
		}
		return nil
	})
	if err == nil && e.Key == "" {
		err = errMissingElement("Key")
	}
	if err != nil {
		return e, err
	}
	e.If, err = ParseDeleteConditions(h)
	if err == nil {
		err = checkKey(e.Key)
	}
	if err == nil {
		err = op.permit(e.Key)
	}
	if err == nil && e.Version != "" && e.Version != NullVersion { // what stands in a bucket without versions has the id null
		err = Errorf(InvalidArgument, "Invalid version id specified")
	}
	if err != nil {
		e.Refusal = ForClient(err)
	}
	return e, nil
}

// RequireDigest refuses a request that came without Content-MD5 and without a
// checksum of its body, which DeleteObjects must have. InvalidRequest.
func RequireDigest(h http.Header) error {
	if sum, err := headerChecksum(h); err != nil || sum.Algorithm != "" {
		return err
	}
	if h.Get("Content-MD5") == "" {
		return Errorf(InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return nil
}

// DeleteOutcome is what became of one key: deleted when Err is nil.
type DeleteOutcome struct {
	Key     string
	Version string // as the client named it; empty: it did not
	Err     error
}

// Document is the answer: DeleteResult. Errors are what ForClient makes of
// them.
func (del *Delete) Document(outcomes []DeleteOutcome) []byte {
	x := newXML(256 + 96*len(outcomes))
	x.openNamespace("DeleteResult")
	for _, o := range outcomes {
		switch {
		case o.Err != nil:
			e := ForClient(o.Err)
			x.open("Error")
			x.text("Key", o.Key)
			if o.Version != "" {
				x.text("VersionId", o.Version)
			}
			x.words("Code", string(e.Code))
			x.words("Message", e.Message)
			x.close("Error")
		case !del.Quiet:
			x.open("Deleted")
			x.text("Key", o.Key)
			if o.Version != "" {
				x.text("VersionId", o.Version)
			}
			x.close("Deleted")
		}
	}
	x.close("DeleteResult")
	return x.bytes()
}

// Batchable tells whether a document can name the key so that every server
// reads it back as it is. XML has no control characters, and no way to write
// them that strict parsers take.
func Batchable(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return !xmlChar(r) })
}

// DeleteDocument is the body of a DeleteObjects to a backend. The answer will
// name every key.
func DeleteDocument(keys []string) []byte {
	x := newXML(256 + 96*len(keys))
	x.openNamespace("Delete")
	for _, key := range keys {
		x.open("Object")
		x.text("Key", key)
		x.close("Object")
	}
	x.close("Delete")
	return x.bytes()
}

// DecodeDeleted reads the DeleteResult of a backend: for each key that it
// names, nil or what the backend says is wrong, an *Error of status 200. An
// Error document instead is returned as an *Error; a document that ends early is
// another error, and then nothing of it counts.
func DecodeDeleted(r io.Reader) (map[string]error, error) {
	d := newXMLReader(r, maxListBytes)
	all := map[string]error{}
	err := d.result("DeleteResult", func(name []byte) error {
		switch string(name) {
		case "Deleted":
			key, err := d.deletedKey()
			if _, failed := all[key]; !failed {
				all[key] = nil
			}
			return err
		case "Error":
			e := d.errorFields(http.StatusOK)
			all[e.Field("Key")] = e
			return e.Err
		}
		return d.skip()
	})
	if err != nil {
		return nil, answerError("deletes", err)
	}
	return all, nil
}

func (x *xmlReader) deletedKey() (key string, err error) {
	err = x.children(func(name []byte) (err error) {
		if string(name) != "Key" {
			return x.skip()
		}
		key, err = x.text()
		return err
	})
	return key, err
}
