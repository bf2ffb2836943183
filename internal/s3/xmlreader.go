package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxXMLDepth bounds nesting: no document of S3 is deeper than four.
const maxXMLDepth = 8

var (
	errXMLTooLong  = errors.New("document is too long")
	errXMLTooDeep  = errors.New("document is nested too deeply")
	errXMLDoctype  = errors.New("document has a type declaration")
	errXMLTrailing = errors.New("document goes on behind its end")
	errXMLMixed    = errors.New("text where an element is expected")
	errXMLSyntax   = errors.New("document is not well-formed")
	errXMLEncoding = errors.New("document is not UTF-8")
)

func errUnexpectedElement(name string) error { return fmt.Errorf("unexpected element %q", name) }
func errMissingElement(name string) error    { return fmt.Errorf("not one element %q", name) }

// xmlReader reads a document of bounded length and depth, element by element,
// by local names: some servers send a namespace and some do not. Attributes are
// checked and dropped; type declarations, and with them entities of one's own,
// are refused.
//
// It is ours because encoding/xml refuses a whole page for one `&#x1;`, which is
// how S3 spells a control character in a key, turns CR LF in a key into LF, and
// takes several times as long, which resync and scrub would feel.
type xmlReader struct {
	b    []byte
	pos  int
	fail error // why b ends where it does; nil: it is the whole document
	open [][]byte
	// selfClosed says that the element on top of open had no end tag of its own.
	selfClosed bool
	// utf8 says that b was seen to be UTF-8: it may be read by leaf and plainEntry
	utf8  bool
	words strings.Builder // what word kept last
}

type xmlKind uint8

const (
	xmlStart xmlKind = iota
	xmlEnd
	xmlText
)

// newXMLReader reads at most maxBytes at once. A failure is reported where the
// document then breaks off, so that what came before it can still be used.
func newXMLReader(r io.Reader, maxBytes int64) *xmlReader {
	return readXML(new(bytes.Buffer), r, maxBytes)
}

// readXML is newXMLReader in a buffer of the caller's, in which the document stays.
func readXML(buf *bytes.Buffer, r io.Reader, maxBytes int64) *xmlReader {
	_, err := buf.ReadFrom(io.LimitReader(r, maxBytes+1))
	x := &xmlReader{b: buf.Bytes()}
	switch {
	case int64(len(x.b)) > maxBytes:
		x.fail = errXMLTooLong
	case err != nil:
		x.fail = &readError{err}
	}
	x.b = bytes.TrimPrefix(x.b, []byte("\ufeff"))
	return x
}

// root returns the local name of the first element; io.EOF for a document of
// nothing but blanks.
func (x *xmlReader) root() (string, error) {
	for {
		kind, value, err := x.token()
		switch {
		case err != nil:
			return "", err
		case kind == xmlStart:
			return string(value), nil
		case len(bytes.TrimSpace(value)) > 0:
			return "", errXMLMixed
		}
	}
}

// answer is root for a document that a backend sent as a success: one that is
// an Error all the same is returned as an *Error of status 200.
func (x *xmlReader) answer() (string, error) {
	root, err := x.root()
	if err == nil && root == "Error" {
		err = x.errorFields(http.StatusOK)
	}
	return root, err
}

// children calls visit at the start of each child of the open element, until
// that element ends. visit reads its child to the end: with text, children or
// skip. The name is valid until then.
func (x *xmlReader) children(visit func(name []byte) error) error {
	for {
		if over, err := x.child(visit); over || err != nil {
			return err
		}
	}
}

// child is children up to the next child, or to blanks; over is true at the end.
func (x *xmlReader) child(visit func(name []byte) error) (over bool, err error) {
	kind, value, err := x.inside()
	switch {
	case err != nil:
		return false, err
	case kind == xmlEnd:
		return true, nil
	case kind == xmlStart:
		return false, visit(value)
	case len(bytes.TrimSpace(value)) > 0:
		return false, errXMLMixed
	}
	return false, nil
}

// text returns the characters of the open element, blanks kept; a child is an
// error.
func (x *xmlReader) text() (string, error) {
	s := ""
	for {
		kind, value, err := x.inside()
		switch {
		case err != nil:
			return "", err
		case kind == xmlEnd:
			return s, nil
		case kind == xmlStart:
			return "", errUnexpectedElement(string(value))
		case s == "":
			s = string(value)
		default: // a comment or CDATA stood in between
			s += string(value)
		}
	}
}

// skip reads over the open element and all in it.
func (x *xmlReader) skip() error {
	for depth := len(x.open); len(x.open) >= depth; {
		if _, _, err := x.inside(); err != nil {
			return err
		}
	}
	return nil
}

// inside is token where the document may not end.
func (x *xmlReader) inside() (xmlKind, []byte, error) {
	kind, value, err := x.token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return kind, value, err
}

// end checks that nothing but blanks follows the root.
func (x *xmlReader) end() error {
	for {
		kind, value, err := x.token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case kind != xmlText || len(bytes.TrimSpace(value)) > 0:
			return errXMLTrailing
		}
	}
}

// readError is a failure of the connection, not of the document.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// malformed turns a failure to read a client's document into its answer. A
// failure of the connection, and an error of ours, stay what they are.
func malformed(err error) error {
	var read *readError
	var ours *Error
	switch {
	case errors.As(err, &read):
		return read.err
	case errors.As(err, &ours):
		return ours
	}
	return Err(MalformedXML).Because(err)
}

// answerError says which answer of a backend could not be read. An *Error, such
// as the document in a 200 that is one, stays what it is.
func answerError(what string, err error) error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	return fmt.Errorf("read %s: %w", what, err)
}
