package s3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"strings"
)

const (
	// maxFormBytes bounds what stands in a form before its file, as AWS does.
	maxFormBytes = 20 << 10
	// MaxFormSpool is how large a file may be that is taken into memory because
	// the form does not tell its length: without a Content-Length, or because so
	// little is left that it costs nothing to be sure.
	MaxFormSpool = 1 << 20
	// maxBoundary is the longest boundary that RFC 2046 allows.
	maxBoundary = 70
)

// Form is a browser's upload: fields, then one file. What comes behind the file
// is ignored, as AWS does.
type Form struct {
	Fields   map[string]string // by lower-case name; of one that is repeated the first
	Filename string            // of the file, without its directories

	file     *bufio.Reader
	boundary string // "\r\n--" and the boundary
	left     int64  // of the request's body behind the file's head, in bytes; negative: not known
}

// ReadForm reads a form up to the content of its file: until then nothing is
// known of who sends it, so no more than a few KiB are read. PreconditionFailed
// for what is no form, MalformedPOSTRequest for one that is broken or whose
// fields are too long, InvalidArgument for one without a file.
func ReadForm(r *http.Request) (*Form, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, Err(PreconditionFailed).With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, Err(MalformedPOSTRequest)
	}
	head := &counted{r: r.Body}
	f := &Form{Fields: map[string]string{}, file: bufio.NewReader(head), boundary: "\r\n--" + boundary}
	if err := f.readFields(head); err != nil {
		return nil, err
	}
	f.left = -1
	if r.ContentLength >= 0 {
		f.left = r.ContentLength - head.n + int64(f.file.Buffered())
	}
	return f, nil
}

// counted counts what was read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

var errFormEnds = errors.New("the form ends before its file")

// readFields reads parts until one is a file.
func (f *Form) readFields(head *counted) error {
	if err := f.skipTo(f.boundary[2:]); err != nil { // what stands in front of the first part means nothing
		return badForm(err)
	}
	for {
		rest, err := f.line(head)
		switch {
		case err != nil:
			return badForm(err)
		case strings.TrimRight(rest, " \t") == "--":
			return invalidArgument("file", "", "POST requires exactly one file upload per request.")
		case strings.TrimRight(rest, " \t") != "":
			return badForm(errFormEnds)
		}
		name, isFile, err := f.partHead(head)
		if err != nil || isFile {
			return err
		}
		var value bytes.Buffer
		if err := f.until(head, f.boundary, &value); err != nil {
			return badForm(err)
		}
		if _, twice := f.Fields[name]; !twice {
			f.Fields[name] = value.String()
		}
	}
}

func badForm(cause error) *Error { return Err(MalformedPOSTRequest).Because(cause) }

// partHead reads the head of a part.
func (f *Form) partHead(head *counted) (name string, isFile bool, err error) {
	h := textproto.MIMEHeader{}
	for {
		line, err := f.line(head)
		if err != nil {
			return "", false, badForm(err)
		}
		if line == "" {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return "", false, badForm(errors.New("a part's head is malformed"))
		}
		h.Set(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	_, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	name = strings.ToLower(params["name"])
	if err != nil || name == "" {
		return "", false, badForm(errors.New("a part has no name"))
	}
	if name != "file" {
		return name, false, nil
	}
	filename := params["filename"]
	f.Filename = filename[strings.LastIndexAny(filename, `/\`)+1:]
	return name, true, nil
}

// skipTo reads to the end of text.
func (f *Form) skipTo(text string) error {
	return f.until(nil, text, io.Discard)
}

// line reads a line and takes its end off.
func (f *Form) line(head *counted) (string, error) {
	var line bytes.Buffer
	if err := f.until(head, "\r\n", &line); err != nil {
		return "", err
	}
	return line.String(), nil
}

var errFormTooLong = errors.New("the fields are too long")

// until copies what stands before end, and takes end away.
func (f *Form) until(head *counted, end string, to io.Writer) error {
	var seen []byte
	for {
		c, err := f.file.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return errFormEnds
		case err != nil:
			return err
		}
		seen = append(seen, c)
		if len(seen) > maxFormBytes || head != nil && head.n-int64(f.file.Buffered()) > 2*maxFormBytes {
			return errFormTooLong
		}
		if c == end[len(end)-1] && bytes.HasSuffix(seen, []byte(end)) {
			_, err := to.Write(seen[:len(seen)-len(end)])
			return err
		}
	}
}

// File returns the content of the file and its length in bytes. Content that
// is small, or whose length nothing tells, is read at once, so call it when it is
// known who sends. Of a larger one the length follows from that of the request,
// provided that the form ends right behind it; the reader fails when it does not,
// before it has given the last byte. MalformedPOSTRequest, MissingContentLength;
// an error of the connection is returned as it is.
func (f *Form) File() (io.Reader, int64, error) {
	end := f.boundary + "--\r\n"
	if f.left > MaxFormSpool {
		size := f.left - int64(len(end))
		return &formFile{src: f.file, left: size, delimiter: []byte(f.boundary), end: end}, size, nil
	}
	data, err := io.ReadAll(io.LimitReader(f.file, MaxFormSpool+1))
	if err != nil {
		return nil, 0, err
	}
	i := bytes.Index(data, []byte(f.boundary))
	switch {
	case i >= 0 && len(data) <= MaxFormSpool:
		return bytes.NewReader(data[:i]), int64(i), nil
	case len(data) > MaxFormSpool:
		return nil, 0, Err(MissingContentLength)
	}
	return nil, 0, badForm(errFormEnds)
}

// formFile is the content of a file whose length is known beforehand. It holds
// the last bytes back until what follows them is seen to be the end of the form.
type formFile struct {
	src       *bufio.Reader
	left      int64
	delimiter []byte // that the content cannot hold
	end       string // what must follow
	tail      []byte // the last bytes that were given, fewer than the delimiter has
	err       error
}

var errFormGoesOn = errors.New("the form does not end behind its file, so that the file's length cannot be told")

func (f *formFile) Read(p []byte) (int, error) {
	if f.err != nil || len(p) == 0 {
		return 0, f.err
	}
	if f.left == 0 {
		f.err = f.finish()
		return 0, f.err
	}
	p = p[:min(int64(len(p)), f.left)]
	if int64(len(p)) == f.left && len(p) > 1 {
		p = p[:len(p)-1] // the last byte comes alone, with the end behind it
	}
	if f.left == 1 {
		ahead, err := f.src.Peek(1 + len(f.end))
		if err != nil || string(ahead[1:]) != f.end {
			f.err = errFormGoesOn
			return 0, f.err
		}
	}
	n, err := f.src.Read(p)
	if f.broken(p[:n]) {
		f.err = errFormGoesOn
		return 0, f.err
	}
	f.left -= int64(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		f.err = err
	}
	return n, f.err
}

// broken tells whether the delimiter stands in the content, be it across reads.
func (f *formFile) broken(p []byte) bool {
	keep := len(f.delimiter) - 1
	across := append(f.tail, p[:min(len(p), keep)]...)
	if bytes.Contains(across, f.delimiter) || bytes.Contains(p, f.delimiter) {
		return true
	}
	all := append(f.tail, p...)
	if len(p) >= keep {
		all = p
	}
	f.tail = append([]byte(nil), all[max(0, len(all)-keep):]...)
	return false
}

// finish reads the end of the form, and nothing must follow.
func (f *formFile) finish() error {
	end := make([]byte, len(f.end))
	if _, err := io.ReadFull(f.src, end); err != nil || string(end) != f.end {
		return errFormGoesOn
	}
	if _, err := f.src.ReadByte(); !errors.Is(err, io.EOF) {
		return errFormGoesOn
	}
	return io.EOF
}

// Headers are those that a PutObject of the same would have, by the fields. The
// Content-Type of the file's own part is what a browser made of its name, and
// counts for nothing, as on AWS.
func (f *Form) Headers() (http.Header, error) {
	h := http.Header{}
	for name, value := range f.Fields {
		switch {
		case name == "acl":
			h.Set("x-amz-acl", value)
		case name == "tagging":
			tags, err := ParseTagging(strings.NewReader(value))
			if err != nil {
				return nil, err
			}
			if len(tags) > 0 {
				h.Set("x-amz-tagging", TaggingHeader(tags))
			}
		case formAuth[name], strings.HasPrefix(name, "x-ignore-"):
		case formHeaders[name], strings.HasPrefix(name, "x-amz-"):
			if !headerName(name) || !headerText(value) {
				return nil, invalidArgument(name, value, "The field %s cannot stand for a header.", name)
			}
			h.Set(name, value)
		}
	}
	return h, nil
}

// formHeaders are the fields that stand for a header of the same name.
var formHeaders = map[string]bool{
	"cache-control": true, "content-type": true, "content-disposition": true, "content-encoding": true,
	"content-language": true, "content-md5": true, "expires": true,
}

// formAuth are the fields of the signature.
var formAuth = map[string]bool{
	"policy": true, "x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-signature": true,
	"x-amz-security-token": true, "awsaccesskeyid": true, "signature": true,
}

// Key is the key that the file is to get: ${filename} stands for its name.
// InvalidArgument without one.
func (f *Form) Key() (string, error) {
	key := f.Fields["key"]
	if key == "" {
		return "", FormFieldMissing("key")
	}
	return strings.ReplaceAll(key, "${filename}", f.Filename), nil
}

// FormFieldMissing is the answer to a form that lacks a field.
func FormFieldMissing(name string) *Error {
	return invalidArgument(name, "", "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name)
}

// At returns the operation of a form whose key is known now: a PostObject there.
// Errors are as of Parse.
func (op *Operation) At(key string) (*Operation, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := op.permit(key); err != nil {
		return nil, err
	}
	at := *op
	at.Key = key
	return &at, nil
}

// AsPut returns the PutObject that a PostObject is another form of.
func (op *Operation) AsPut() *Operation {
	return &Operation{Name: PutObject, Bucket: op.Bucket, Key: op.Key, backend: op.backend}
}

// PostDocument is the answer to a form that asks for status 201.
func PostDocument(location, bucket, key, etag string) []byte {
	x := newXML(512)
	x.openNamespace("PostResponse")
	x.text("Location", location)
	x.text("Bucket", bucket)
	x.text("Key", key)
	x.etag(etag)
	x.close("PostResponse")
	return x.bytes()
}
