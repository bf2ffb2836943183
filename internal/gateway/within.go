package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// way is how a client of S3 would ask for an operation.
type way struct {
	method string
	query  func(t s3.Target) string // nil: none
	takes  taken                    // of the other face's request
}

// taken is what goes on of a request of another face.
type taken int

const (
	nothing taken = iota
	headers       // that are about the object
	all           // the body, and its headers
)

// within are the operations that another face can have done, or ask about.
var within = map[s3.OperationName]way{
	s3.PutObject:               {method: http.MethodPut, takes: all},
	s3.GetObject:               {method: http.MethodGet},
	s3.HeadObject:              {method: http.MethodHead},
	s3.DeleteObject:            {method: http.MethodDelete},
	s3.ListObjectsV2:           {method: http.MethodGet, query: func(t s3.Target) string { return "list-type=2&prefix=" + url.QueryEscape(t.Prefix) }},
	s3.ListBuckets:             {method: http.MethodGet},
	s3.CreateBucket:            {method: http.MethodPut},
	s3.HeadBucket:              {method: http.MethodHead},
	s3.DeleteBucket:            {method: http.MethodDelete},
	s3.CreateMultipartUpload:   {method: http.MethodPost, query: func(s3.Target) string { return "uploads=" }, takes: headers},
	s3.UploadPart:              {method: http.MethodPut, query: partQuery, takes: all},
	s3.CompleteMultipartUpload: {method: http.MethodPost, query: uploadQuery, takes: all},
	s3.AbortMultipartUpload:    {method: http.MethodDelete, query: uploadQuery},
	s3.ListParts:               {method: http.MethodGet, query: uploadQuery},
	s3.ListMultipartUploads:    {method: http.MethodGet, query: func(t s3.Target) string { return "uploads=&prefix=" + url.QueryEscape(t.Prefix) }},
}

func uploadQuery(t s3.Target) string { return "uploadId=" + url.QueryEscape(t.UploadID) }

func partQuery(t s3.Target) string {
	return "partNumber=" + strconv.Itoa(t.Part) + "&" + uploadQuery(t)
}

// Do does one operation for a caller whom another face of this server has
// proved, so that what he may do and what comes of it are the same here and there: it
// is the chain of ServeHTTP from parsing on, without the proof. Of hr the headers
// and, of an upload, the body are taken, and nothing of its URL. The answer is the
// one of S3. The line in the log, the audit, the metrics and the answer to an error
// are the other face's: an error was not answered, unless w has been written to,
// and then the connection must be cut.
//
// Deadlines of the connection move with its progress, as in ServeHTTP.
func (h *Handler) Do(w http.ResponseWriter, hr *http.Request, caller auth.Caller, name s3.OperationName, t s3.Target) error {
	a := newAnswer(w, h.Stall)
	r, err := fromWithin(hr, caller, name, t)
	if err != nil {
		return err
	}
	r.upload = newUpload(r.Request, a.conn, h.Stall)
	r.Body = r.upload
	h.watch(a, r)
	defer r.lookout.end()
	if err = h.proved(a, r); err != nil && !a.wrote {
		a.refused(r.upload)
	}
	return err
}

// May tells whether a caller may do an operation, as Do would: nil, or the error
// of Do.
func (h *Handler) May(caller auth.Caller, name s3.OperationName, t s3.Target) error {
	r, err := fromWithin(&http.Request{Body: http.NoBody}, caller, name, t)
	if err != nil {
		return err
	}
	return h.authorize(r)
}

// fromWithin is the request of S3, path style, that asks for the operation. It has
// no upload yet.
func fromWithin(hr *http.Request, caller auth.Caller, name s3.OperationName, t s3.Target) (*request, error) {
	key := t.Key
	if key.Bucket == "" && name != s3.ListBuckets {
		return nil, s3.Err(s3.InvalidBucketName)
	}
	how := within[name]
	asked := new(*hr)
	asked.Method, asked.Host, asked.Header = how.method, "", hr.Header.Clone()
	asked.URL = &url.URL{Path: "/" + key.Bucket}
	asked.RequestURI = "/" + url.PathEscape(key.Bucket)
	if key.Name != "" {
		asked.URL.Path += "/" + key.Name
		asked.RequestURI += "/" + url.PathEscape(key.Name)
	}
	if how.query != nil {
		asked.RequestURI += "?" + how.query(t)
	}
	asked.Header.Del("Authorization")
	if how.takes != all {
		bodiless(asked, how.takes == headers)
	}
	op, err := s3.Parse(asked, nil)
	switch {
	case err != nil:
		return nil, err
	case op.Bucket != key.Bucket || op.Key != key.Name: // a bucket with a slash in it
		return nil, s3.Err(s3.InvalidBucketName)
	case op.Name != name: // as x-amz-copy-source makes it one
		return nil, s3.Errorf(s3.InvalidRequest, "This is %s, and %s is what can be done here.", op.Name, name)
	}
	sender, err := caller.Verified(asked.Header)
	if err != nil {
		return nil, err
	}
	return &request{Request: asked, id: caller.Request, start: time.Now(), client: caller.Client, secure: caller.Secure, op: op, sender: sender}, nil
}

// bodiless takes the body from a request, and the headers that are about it, unless
// they are to be an object's.
func bodiless(r *http.Request, keep bool) {
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	if keep {
		r.Header.Del("Content-Length")
		return
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "X-Amz-") {
			delete(r.Header, name)
		}
	}
}
