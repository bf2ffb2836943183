package memory

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Options of a Server.
type Options struct {
	AccessKeyID     string
	SecretAccessKey sigv4.Secret
	Region          string // reported; any is accepted. Default us-east-1

	// MaxBytes bounds the bodies stored and those on their way in, in bytes. A
	// PUT that does not fit is answered 507 InsufficientStorage. Default 1 GiB.
	MaxBytes int64

	Now  func() time.Time // default time.Now
	Seed uint64           // of the faults' dice

	Personality
}

// Server is an S3 server. It is an http.Handler that can be mounted anywhere,
// and Serve runs it on a listener that can be switched off and on. Safe for
// concurrent use.
type Server struct {
	o      Options
	store  *store
	faults faulty
	locks  keyLocks
	tokens s3.TokenKey
	front  front

	verifier *auth.Verifier
}

// New returns a server without buckets.
func New(o Options) *Server {
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	o.MinPartBytes = cmp.Or(o.MinPartBytes, s3.MinPartBytes)
	o.MaxParts = cmp.Or(o.MaxParts, s3.MaxParts)
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		o:      o,
		store:  newStore(o.MaxBytes),
		tokens: s3.NewTokenKey([]byte(o.SecretAccessKey)),

		verifier: auth.NewVerifier(auth.Root(o.AccessKeyID, o.SecretAccessKey), o.Now),
	}
	s.faults.init(o.Seed)
	return s
}

// Wipe makes the server as empty as a new one, buckets and all: a disk that was
// replaced.
func (s *Server) Wipe() { s.store.wipe() }

// Stats is what a server holds.
type Stats struct {
	Buckets, Objects int
	Uploads          int   // under way
	Bytes            int64 // stored and on their way in
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats { return s.store.stats() }

// request is one request on its way through the server.
type request struct {
	*http.Request
	w       http.ResponseWriter
	id      string
	op      *s3.Operation
	sender  *auth.Verified
	started uint64 // its place in the order of starts
	faults  mishap // what will go wrong with it
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, w: w, id: newRequestID(), started: s.store.tick()}
	w.Header().Set("Server", "s3mirror-memory")
	w.Header().Set("Date", s.o.Now().UTC().Format(http.TimeFormat))
	s3.SetRequestID(w.Header(), q.id)
	var proxy plainAnswer
	switch err := s.serve(q); { //nolint:contextcheck // the request has it
	case err == nil:
	case errors.Is(err, errAborted):
		reset(w)
	case errors.As(err, &proxy):
		http.Error(w, http.StatusText(int(proxy)), int(proxy))
	default:
		s3.WriteError(w, r, q.id, err)
	}
}

// serve runs the request in the order: what is meant, who asks, what goes
// wrong, what is done.
func (s *Server) serve(q *request) error {
	var err error
	if q.op, err = s3.ParseBackend(q.Request, nil); err != nil {
		return err
	}
	if q.sender, err = s.verifier.Verify(q.Request); err != nil {
		return err
	}
	if !q.op.Implemented() {
		return q.op.NotImplemented()
	}
	if err := q.op.CheckHeaders(q.Header); err != nil {
		return err
	}
	if err := s.asFiles(q); err != nil {
		return err
	}
	if q.faults, err = s.faults.before(q); err != nil {
		return err
	}
	return s.act(q)
}

func (s *Server) act(q *request) error {
	switch q.op.Name { //nolint:exhaustive // actUpload has the rest
	case s3.PutObject:
		return s.putObject(q)
	case s3.GetObject, s3.HeadObject:
		return s.getObject(q)
	case s3.DeleteObject:
		return s.deleteObject(q)
	case s3.ListObjects, s3.ListObjectsV2:
		return s.listObjects(q)
	case s3.ListBuckets:
		return s.listBuckets(q)
	case s3.CreateBucket:
		return s.createBucket(q)
	case s3.HeadBucket:
		return s.headBucket(q)
	case s3.DeleteBucket:
		return s.deleteBucket(q)
	case s3.GetBucketLocation:
		return s.bucketLocation(q)
	case s3.CopyObject:
		return s.copyObject(q)
	case s3.DeleteObjects:
		return s.deleteObjects(q)
	case s3.GetObjectTagging:
		return s.getTags(q)
	case s3.PutObjectTagging:
		return s.putTags(q)
	case s3.DeleteObjectTagging:
		return s.deleteTags(q)
	case s3.GetObjectAttributes:
		return s.attributes(q)
	}
	return s.actUpload(q)
}

func (s *Server) actUpload(q *request) error {
	switch q.op.Name {
	case s3.CreateMultipartUpload:
		return s.createUpload(q)
	case s3.UploadPart:
		return s.uploadPart(q)
	case s3.UploadPartCopy:
		return s.copyPart(q)
	case s3.CompleteMultipartUpload:
		return s.completeUpload(q)
	case s3.AbortMultipartUpload:
		return s.abortUpload(q)
	case s3.ListParts:
		return s.listParts(q)
	case s3.ListMultipartUploads:
		return s.listUploads(q)
	default:
		return q.op.NotImplemented()
	}
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return strings.ToUpper(hex.EncodeToString(b[:]))
}
