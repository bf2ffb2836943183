package s3

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	// maxErrorBytes bounds a backend's error document.
	maxErrorBytes = 64 << 10
	// maxErrorFields bounds the extra elements kept of one.
	maxErrorFields = 32
)

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
