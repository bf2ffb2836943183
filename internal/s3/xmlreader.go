package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
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
)

func errUnexpectedElement(name string) error { return fmt.Errorf("unexpected element %q", name) }

// xmlReader reads a document of bounded length and depth, element by element,
// looking at local names only: some servers send a namespace and some do not.
// Type declarations, and with them every entity of one's own, are refused.
type xmlReader struct {
	d     *xml.Decoder
	in    *boundedReader
	depth int
}

func newXMLReader(r io.Reader, maxBytes int64) *xmlReader {
	in := &boundedReader{r: r, left: maxBytes}
	return &xmlReader{d: xml.NewDecoder(in), in: in}
}

// boundedReader fails where io.LimitReader would pretend the end, and keeps
// the reader's own error apart from those of the document.
type boundedReader struct {
	r    io.Reader
	left int64
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errXMLTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errXMLTooLong
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// token returns the next start, end or text, and keeps the depth.
func (x *xmlReader) token() (xml.Token, error) {
	for {
		t, err := x.d.Token()
		if err != nil {
			if x.in.err != nil {
				err = &readError{x.in.err}
			}
			return nil, err
		}
		switch t.(type) {
		case xml.Directive:
			return nil, errXMLDoctype
		case xml.StartElement:
			if x.depth++; x.depth > maxXMLDepth {
				return nil, errXMLTooDeep
			}
			return t, nil
		case xml.EndElement:
			x.depth--
			return t, nil
		case xml.CharData:
			return t, nil
		}
	}
}

// root returns the name of the first element; io.EOF for an empty document.
func (x *xmlReader) root() (xml.Name, error) {
	for {
		t, err := x.token()
		if err != nil {
			return xml.Name{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t.Name, nil
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return xml.Name{}, errXMLMixed
			}
		}
	}
}

// children calls visit at the start of each child of the open element, until
// that element ends. visit reads its child to the end: with text, children or
// skip.
func (x *xmlReader) children(visit func(xml.StartElement) error) error {
	for {
		t, err := x.token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := visit(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return errXMLMixed
			}
		}
	}
}

// text returns the characters of the open element, blanks kept; a child is an
// error.
func (x *xmlReader) text() (string, error) {
	var s strings.Builder
	for {
		t, err := x.token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return "", errUnexpectedElement(t.Name.Local)
		case xml.EndElement:
			return s.String(), nil
		case xml.CharData:
			s.Write(t)
		}
	}
}

// skip reads over the open element and all in it.
func (x *xmlReader) skip() error {
	for open := 1; open > 0; {
		t, err := x.token()
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.StartElement:
			open++
		case xml.EndElement:
			open--
		}
	}
	return nil
}

// end checks that nothing but blanks follows the root.
func (x *xmlReader) end() error {
	t, err := x.token()
	for err == nil {
		if c, ok := t.(xml.CharData); !ok || strings.TrimSpace(string(c)) != "" {
			return errXMLTrailing
		}
		t, err = x.token()
	}
	if err == io.EOF {
		return nil
	}
	return err
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
