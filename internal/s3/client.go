package s3

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxErrorBytes bounds a backend's error document.
	maxErrorBytes = 64 << 10
	// maxErrorFields bounds the extra elements kept of one.
	maxErrorFields = 32
	// maxListBytes bounds a backend's page: 1,000 keys of 1,024 bytes, each
	// byte escaped as a reference, and as much again for the rest.
	maxListBytes = 16 << 20
)

// Listing is one page as a backend sent it: keys decoded, in the order sent,
// which is only assumed to be that of bytes.
type Listing struct {
	Objects        []ListEntry
	CommonPrefixes []string
	Truncated      bool
	NextToken      string // NextContinuationToken, opaque
}

// DecodeListing reads the ListBucketResult of a backend, with or without a
// namespace. Keys are URL-decoded if and only if the answer says that they are
// encoded: some servers ignore encoding-type and send them raw. Blanks at the
// ends of keys stay. An Error document, which may come with status 200, is
// returned as an *Error of that status; a document that ends early or is no
// list is an error, never a short page.
func DecodeListing(r io.Reader) (*Listing, error) {
	d := newXMLReader(r, maxListBytes)
	root, err := d.root()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read list: %w", err)
	case root == "Error":
		return nil, d.errorFields(http.StatusOK)
	case root != "ListBucketResult":
		return nil, fmt.Errorf("read list: %w", errUnexpectedElement(root))
	}
	l := &Listing{}
	encoding := ""
	if err := d.children(func(name []byte) error { return d.listing(name, l, &encoding) }); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	if strings.EqualFold(encoding, "url") {
		if err := l.decode(); err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
	}
	return l, nil
}

// listing reads one child of ListBucketResult.
func (x *xmlReader) listing(name []byte, l *Listing, encoding *string) (err error) {
	switch string(name) {
	case "Contents":
		var o ListEntry
		o, err = x.entry()
		l.Objects = append(l.Objects, o)
	case "CommonPrefixes":
		err = x.commonPrefixes(&l.CommonPrefixes)
	case "IsTruncated":
		l.Truncated, err = x.truth()
	case "NextContinuationToken":
		l.NextToken, err = x.text()
	case "EncodingType":
		*encoding, err = x.text()
	default:
		err = x.skip()
	}
	return err
}

func (x *xmlReader) entry() (o ListEntry, err error) {
	err = x.children(func(name []byte) error {
		switch string(name) {
		case "Key", "ETag", "Size", "LastModified", "StorageClass":
		default:
			return x.skip()
		}
		text, err := x.text()
		if err != nil {
			return err
		}
		switch string(name) {
		case "Key":
			o.Key = text
		case "ETag":
			o.ETag = UnquoteETag(text)
		case "Size":
			o.Size, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		case "LastModified":
			o.LastModified, err = time.Parse(time.RFC3339, strings.TrimSpace(text))
		case "StorageClass":
			if o.StorageClass = strings.TrimSpace(text); o.StorageClass == "STANDARD" {
				o.StorageClass = ""
			}
		}
		return err
	})
	if err == nil && (o.Key == "" || o.Size < 0) {
		err = fmt.Errorf("entry without a key, or of negative size")
	}
	return o, err
}

func (l *Listing) decode() (err error) {
	for i := range l.Objects {
		if l.Objects[i].Key, err = DecodeQuery(l.Objects[i].Key); err != nil {
			return err
		}
	}
	for i := range l.CommonPrefixes {
		if l.CommonPrefixes[i], err = DecodeQuery(l.CommonPrefixes[i]); err != nil {
			return err
		}
	}
	return nil
}

// DecodeError makes an *Error of a backend's answer that is not a success.
// body is nil for the answer to a HEAD; of others at most 64 KiB are read, and
// closing is the caller's. The result always has the Status, so it is never
// shown to a client as it is. The code is the document's, in the word that AWS
// has for it; without a document it follows from the status: a 404 is then
// NotFound, which does not say that the key is missing.
func DecodeError(status int, body io.Reader) *Error {
	if body == nil {
		return fromStatus(status, nil)
	}
	d := newXMLReader(body, maxErrorBytes)
	root, err := d.root()
	if err == nil && root != "Error" {
		err = errUnexpectedElement(root)
	}
	if err != nil {
		return fromStatus(status, fmt.Errorf("read error document: %w", err))
	}
	return d.errorFields(status)
}

// errorFields reads the rest of an Error document, as far as it goes.
func (x *xmlReader) errorFields(status int) *Error {
	e := &Error{Status: status}
	err := x.children(func(name []byte) error {
		if len(e.Fields) == maxErrorFields {
			return x.skip()
		}
		text, err := x.text()
		if err != nil {
			return err
		}
		switch string(name) {
		case "Code":
			e.Code = Code(strings.TrimSpace(text))
			if common, ok := vendorCodes[e.Code]; ok {
				e.Code = common
			}
		case "Message":
			e.Message = text
		default:
			e.Fields = append(e.Fields, Field{string(name), text})
		}
		return nil
	})
	if err != nil {
		e.Err = fmt.Errorf("read error document: %w", err)
	}
	if e.Code == "" {
		e.Code = statusCode(status)
	}
	return e
}

func fromStatus(status int, cause error) *Error {
	return &Error{Code: statusCode(status), Message: http.StatusText(status), Err: cause, Status: status}
}

// statusCode is what a status alone tells.
func statusCode(status int) Code {
	switch status {
	case http.StatusMovedPermanently:
		return PermanentRedirect
	case http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return TemporaryRedirect
	case http.StatusNotModified:
		return NotModified
	case http.StatusForbidden, http.StatusUnauthorized:
		return AccessDenied
	case http.StatusNotFound:
		return NotFound
	case http.StatusMethodNotAllowed:
		return MethodNotAllowed
	case http.StatusConflict:
		return OperationAborted
	case http.StatusLengthRequired:
		return MissingContentLength
	case http.StatusPreconditionFailed:
		return PreconditionFailed
	case http.StatusRequestedRangeNotSatisfiable:
		return InvalidRange
	case http.StatusTooManyRequests:
		return SlowDown
	case http.StatusNotImplemented:
		return NotImplemented
	case http.StatusServiceUnavailable:
		return ServiceUnavailable
	case http.StatusInsufficientStorage:
		return InsufficientStorage
	}
	if status >= 400 && status < 500 {
		return BadRequest
	}
	return InternalError
}

// vendorCodes puts the codes that one vendor made up into the words of AWS.
var vendorCodes = map[Code]Code{
	"XAmzContentChecksumMismatch": BadDigest,
	"MissingContentMD5":           InvalidRequest,
	"ExcessData":                  IncompleteBody,
	"XMinioInvalidObjectName":     InvalidURI,
	"XMinioInvalidResourceName":   InvalidURI,
	"XMinioStorageFull":           InsufficientStorage,
	"SlowDownRead":                SlowDown,
	"SlowDownWrite":               SlowDown,
}

// relayed are the refusals that are about what the client named or sent.
// Whether a key exists, a condition holds or a range fits is not among them: the
// protocol decides that, not one replica.
var relayed = []Code{
	KeyTooLong, InvalidURI, MetadataTooLarge, EntityTooLarge, QuotaExceeded,
	ObjectParentIsFile, ExistingObjectIsDirectory, DirectoryObjectContainsData,
}

// Relay returns, for a backend's refusal that is about the client's request,
// the same refusal in our own words, and nil for every other error: those are
// about our own conversation with the backend (its keys, its region, its
// bucket, its clock).
func (e *Error) Relay() *Error {
	if e.Status == 0 || !slices.Contains(relayed, e.Code) {
		return nil
	}
	return Err(e.Code).Because(e)
}
