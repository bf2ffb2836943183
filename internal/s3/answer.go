package s3

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// retryAfter is what a client that was told to slow down is asked to wait, in
// seconds. SDKs back off by themselves; this is for the others.
const retryAfter = "1"

// maxResourceBytes bounds what an error document repeats of the request line.
const maxResourceBytes = 4096

// SetRequestID sets both ids of a request, on every answer: x-amz-request-id,
// which stands in the log, and x-amz-id-2, which is made from it.
func SetRequestID(h http.Header, requestID string) {
	ids := []string{requestID, hostID(requestID)}
	h["X-Amz-Request-Id"], h["X-Amz-Id-2"] = ids[:1:1], ids[1:]
}

func hostID(requestID string) string {
	sum := sha256.Sum256([]byte(requestID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ForClient returns the error that a client may read. An *Error (or a Code) in
// the chain is that error. Whatever else it is, and whatever a backend said to
// us (Error.Status), becomes InternalError without details: a leaked
// RequestTimeTooSkewed makes an SDK shift its clock, a leaked redirect sends it
// elsewhere. The cause is kept for the log.
func ForClient(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		if e.Status == 0 {
			return e
		}
		return Err(InternalError).Because(err)
	}
	var c Code
	if errors.As(err, &c) {
		return Err(c).Because(err)
	}
	return Err(InternalError).Because(err)
}

// WriteError answers a request with the error. It writes the document of S3
// (no xmlns, RequestId equal to the header's), no body to a HEAD or with 304,
// Retry-After when the client should come back, Allow with 405 and
// WWW-Authenticate with 401. Headers
// that describe an object and were set before are taken back, save that a 304
// keeps those that RFC 9110 wants it to carry.
func WriteError(w http.ResponseWriter, r *http.Request, requestID string, err error) {
	e := ForClient(err)
	h := w.Header()
	dropObjectHeaders(h, e.Code == NotModified)
	SetRequestID(h, requestID)
	if e.Code == SlowDown || e.Code == ServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	if e.Code == MethodNotAllowed {
		h.Set("Allow", allow(kind(e.Field("ResourceType"))))
	}
	if e.Code == Unauthorized {
		h.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	if e.Code == NotModified {
		h["Content-Type"] = nil // no sniffing
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentTypeXML)
	if r.Method == http.MethodHead {
		w.WriteHeader(e.Code.Status())
		return
	}
	body := errorDocument(e, resource(r), requestID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Code.Status())
	_, _ = w.Write(body) // a client that is gone cannot be told
}

// dropObjectHeaders removes what a handler has set for an object that it then
// did not send.
func dropObjectHeaders(h http.Header, notModified bool) {
	for name := range h {
		n := strings.ToLower(name)
		switch n {
		case "etag", "last-modified", "cache-control", "expires":
			if notModified {
				continue
			}
		case "content-type", "content-length", "content-encoding", "content-language",
			"content-disposition", "content-range", "accept-ranges":
		default:
			if !strings.HasPrefix(n, metaPrefix) && !strings.HasPrefix(n, checksumPrefix) {
				continue
			}
		}
		delete(h, name)
	}
}

func allow(k kind) string {
	switch k {
	case kindService:
		return "GET, OPTIONS"
	case kindBucket:
		return "GET, HEAD, PUT, POST, DELETE, OPTIONS"
	case kindUpload:
		return "GET, POST, DELETE"
	default:
		return "GET, HEAD, PUT, DELETE, OPTIONS"
	}
}

// resource is the path as it stood on the request line, still escaped.
func resource(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path[:min(len(path), maxResourceBytes)]
}

func errorDocument(e *Error, resource, requestID string) []byte {
	x := newXML(512)
	x.open("Error")
	x.words("Code", string(e.Code))
	x.words("Message", e.Message)
	for _, f := range e.Fields {
		x.words(f.Name, f.Value)
	}
	x.words("Resource", resource)
	x.words("RequestId", requestID)
	x.words("HostId", hostID(requestID))
	x.close("Error")
	return x.bytes()
}

// WriteXML answers 200 with a document.
func WriteXML(w http.ResponseWriter, document []byte) {
	h := w.Header()
	h.Set("Content-Type", contentTypeXML)
	h.Set("Content-Length", strconv.Itoa(len(document)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(document) // a client that is gone cannot be told
}
