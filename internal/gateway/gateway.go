package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Objects is what the gateway needs of the replicas to serve objects. It is
// safe for concurrent use; errors hold an *s3.Error that a client may read,
// anything else becomes InternalError.
type Objects interface {
	// Put writes one version. It judges what can be judged before it reads
	// Body, and when it has returned nobody reads Body any more.
	Put(ctx context.Context, r replica.PutRequest) (object.Info, error)
	// Delete removes what stands under the key; nothing there is success.
	Delete(ctx context.Context, r replica.DeleteRequest) error
	// DeleteMany does so for up to s3.MaxDeletes keys of one bucket; each has a
	// result of its own, in the order of r.Objects. err is that of all, and then
	// nothing was changed.
	DeleteMany(ctx context.Context, r replica.DeleteManyRequest) (results []error, err error)
	// Copy makes an object of another one's bytes. It may take minutes. r.Check is
	// asked about the source, and its error returned.
	Copy(ctx context.Context, r replica.CopyRequest) (object.Info, error)
	// Head tells the current version, or NoSuchKey.
	Head(ctx context.Context, key object.Key) (replica.Version, error)
	// Peek is Head that may be answered without the log, and says so: the version is
	// Stale, the NoSuchKey is replica.ErrStale.
	Peek(ctx context.Context, key object.Key) (replica.Version, error)
	// Get opens the current version. r.Check is asked about the version that is
	// going to be served, before its range is judged, and its error returned. The
	// caller closes Body, which gives Range.Length bytes and then io.EOF, or
	// another error when no replica can go on.
	Get(ctx context.Context, r replica.GetRequest) (*replica.Object, error)
	// Tags returns the tags of the current version, and which that is; NoSuchKey.
	Tags(ctx context.Context, key object.Key) (object.Tags, object.Info, error)
	// PutTags gives the current version these tags and no others; NoSuchKey.
	PutTags(ctx context.Context, r replica.TagRequest) error
	// List returns keys and common prefixes greater than r.After, at most r.Max
	// of them in all. Next, when it is not empty, is where the next page begins.
	List(ctx context.Context, r replica.ListRequest) (replica.ListPage, error)
}

// Buckets is what the gateway needs of the replicas to serve buckets. Errors
// are as of Objects.
type Buckets interface {
	Buckets(ctx context.Context) ([]replica.Bucket, error)
	CreateBucket(ctx context.Context, name, actor, request string, settings ...replica.Setting) error
	HeadBucket(ctx context.Context, name string) error
	DeleteBucket(ctx context.Context, name, actor, request string) error
	// BucketSetting returns a document that SetBucketSetting kept; ok is false
	// when there is none. It asks nobody but the log, and so may be called for
	// whoever asks.
	BucketSetting(ctx context.Context, name, setting string) (document string, ok bool, err error)
	// GlanceSetting is BucketSetting by what may be a second old.
	GlanceSetting(ctx context.Context, name, setting string) (document string, ok bool, err error)
	// SetBucketSetting keeps a document of the bucket's configuration; nil drops
	// it.
	SetBucketSetting(ctx context.Context, name, setting string, document *string, actor, request string) error
}

// Replicas is what stands behind the gateway: a *replica.Set.
type Replicas interface {
	Objects
	Uploads
	Buckets
}

// Options are the parts that a Handler stands on. Replicas, Verifier, Log and
// Metrics are required.
type Options struct {
	Replicas Replicas
	Verifier *auth.Verifier // who sends
	Assumer  Assumer        // gives keys for tokens; nil: there are none
	Presence auth.Presence  // what became of him while a body is on its way; nil: nobody looks
	Tokens   s3.TokenKey    // of lists, the same on every node
	// Anonymous lets requests without any credentials do what a bucket's policy allows to
	// everybody, and nothing else.
	Anonymous bool

	Domains []string // below which virtual-host style works; path style always does
	Region  string   // reported; default us-east-1

	// Proxies may say in X-Forwarded-For where a request comes from.
	Proxies Proxies

	// Audit is told of every refusal; nil: nobody is.
	Audit auth.Auditor

	// DebugHeaders names the replica that served a read in x-s3mirror-replica.
	DebugHeaders bool

	// Stall is how long a client may make no progress, sending or receiving,
	// before it is given up. Default 30 s.
	Stall time.Duration

	// Tracer keeps a span of each request, as part of the trace that its traceparent
	// names; nil: there are none.
	Tracer trace.Tracer

	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Handler serves the S3 API. It is safe for concurrent use and must be run by
// NewServer, or by a server with the same bounds.
type Handler struct {
	Options
	metrics *metrics
	blank   time.Duration // blankEvery, but in tests

	policies policies
}

// New joins the parts. It starts nothing. It panics when called twice for one
// registry, as a program wired wrongly should.
func New(o Options) *Handler {
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Stall = cmp.Or(o.Stall, 30*time.Second)
	return &Handler{Options: o, metrics: newMetrics(o.Metrics), blank: blankEvery}
}

// request is one request on its way down the chain, and what is known of it so
// far.
type request struct {
	*http.Request // a copy, whose Body is upload

	id        string
	start     time.Time
	client    netip.Addr // who is at the other end, as far as proxies can be trusted
	secure    bool       // it came by TLS, likewise
	upload    *upload
	op        *s3.Operation     // nil until 4
	sender    *auth.Verified    // nil until 5
	misframed error             // how the body of an anonymous request cannot be framed, told after 6
	replica   string            // which one served a read
	lookout   lookout           // for the sender
	form      map[string]string // fields of a browser's form, which stand for headers; nil: it is none
	told      bool              // an error stands in a body that was begun
	span      trace.Span        // nil: it is not traced
}

// act does one operation. What it returns is answered by Handler.refuse.
type act func(h *Handler, w http.ResponseWriter, r *request) error

// acts are the operations that the gateway does.
var acts = map[s3.OperationName]act{
	s3.PutObject:         (*Handler).putObject,
	s3.PostObject:        (*Handler).postObject,
	s3.GetObject:         (*Handler).getObject,
	s3.HeadObject:        (*Handler).headObject,
	s3.DeleteObject:      (*Handler).deleteObject,
	s3.DeleteObjects:     (*Handler).deleteObjects,
	s3.CopyObject:        (*Handler).copyObject,
	s3.ListObjects:       (*Handler).listObjects,
	s3.ListObjectsV2:     (*Handler).listObjects,
	s3.ListBuckets:       (*Handler).listBuckets,
	s3.CreateBucket:      (*Handler).createBucket,
	s3.HeadBucket:        (*Handler).headBucket,
	s3.DeleteBucket:      (*Handler).deleteBucket,
	s3.GetBucketLocation: (*Handler).bucketLocation,

	s3.ListObjectVersions: (*Handler).listVersions,

	s3.GetObjectTagging:    (*Handler).getTags,
	s3.PutObjectTagging:    (*Handler).putTags,
	s3.DeleteObjectTagging: (*Handler).deleteTags,

	s3.GetBucketTagging:              getSetting(settingTags),
	s3.PutBucketTagging:              putSetting(settingTags),
	s3.DeleteBucketTagging:           deleteSetting(settingTags),
	s3.GetBucketOwnershipControls:    getSetting(settingOwnership),
	s3.PutBucketOwnershipControls:    putSetting(settingOwnership),
	s3.DeleteBucketOwnershipControls: deleteSetting(settingOwnership),
	s3.GetBucketCors:                 getSetting(settingCORS),
	s3.PutBucketCors:                 putSetting(settingCORS),
	s3.DeleteBucketCors:              deleteSetting(settingCORS),
	s3.GetBucketWebsite:              getSetting(settingWebsite),
	s3.PutBucketWebsite:              putSetting(settingWebsite),
	s3.DeleteBucketWebsite:           deleteSetting(settingWebsite),
	s3.GetPublicAccessBlock:          getSetting(settingPublicAccess),
	s3.PutPublicAccessBlock:          putSetting(settingPublicAccess),
	s3.DeletePublicAccessBlock:       deleteSetting(settingPublicAccess),

	s3.GetBucketPolicy:       (*Handler).getPolicy,
	s3.GetBucketPolicyStatus: (*Handler).policyStatus,
	s3.PutBucketPolicy:       (*Handler).putPolicy,
	s3.DeleteBucketPolicy:    deleteSetting(settingPolicy),

	s3.GetBucketAcl: (*Handler).getACL,
	s3.PutBucketAcl: (*Handler).putACL,
	s3.GetObjectAcl: (*Handler).getACL,
	s3.PutObjectAcl: (*Handler).putACL,

	s3.GetBucketAccelerateConfiguration:   (*Handler).defaultConfiguration,
	s3.GetBucketEncryption:                (*Handler).defaultConfiguration,
	s3.GetBucketLifecycleConfiguration:    (*Handler).defaultConfiguration,
	s3.GetBucketLogging:                   (*Handler).defaultConfiguration,
	s3.GetBucketNotificationConfiguration: (*Handler).defaultConfiguration,
	s3.GetBucketReplication:               (*Handler).defaultConfiguration,
	s3.GetBucketRequestPayment:            (*Handler).defaultConfiguration,
	s3.GetBucketVersioning:                (*Handler).defaultConfiguration,
	s3.GetObjectLockConfiguration:         (*Handler).defaultConfiguration,

	s3.CreateMultipartUpload:   (*Handler).createUpload,
	s3.UploadPart:              (*Handler).uploadPart,
	s3.UploadPartCopy:          (*Handler).copyPart,
	s3.CompleteMultipartUpload: (*Handler).completeUpload,
	s3.AbortMultipartUpload:    (*Handler).abortUpload,
	s3.ListParts:               (*Handler).listParts,
	s3.ListMultipartUploads:    (*Handler).listUploads,
	s3.GetObjectAttributes:     (*Handler).getAttributes,

	s3.GetObjectRetention: (*Handler).unlocked,
	s3.PutObjectRetention: (*Handler).unlocked,
	s3.GetObjectLegalHold: (*Handler).unlocked,
	s3.PutObjectLegalHold: (*Handler).unlocked,
}

// ServeHTTP is the request chain:
//
//  1. request id: on every answer, before anything can fail
//  2. recover: a broken invariant of ours costs one request, not the process
//  3. account: one log line and the metrics, whatever happens below
//  4. parse: the request is one Operation; what is wrong with it waits for 5
//  5. authenticate: nothing is revealed before
//  6. authorize: one function for every proof of identity
//  7. refuse what we do not do: operations, headers, bodies; never ignore it
//  8. act: one function per operation
func (h *Handler) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	a, r := h.begin(w, hr) //nolint:contextcheck // the request carries it
	defer h.metrics.inFlight.Dec()
	err := recovered(func() error { return h.serve(a, r) }) //nolint:contextcheck // the request carries it
	if err != nil && !a.wrote {
		h.refuse(a, r, err)
	} else if err != nil {
		a.cut = !r.told
	}
	h.account(hr.Context(), a, r, err)
	r.endSpan(a, err)
	if a.cut {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	a.linger(r.upload)
}

func (h *Handler) begin(w http.ResponseWriter, hr *http.Request) (*answer, *request) {
	h.metrics.inFlight.Inc()
	// net/http sends none before a body of no bytes, and botocore then misses the
	// answer to its next request on the connection; other servers and AWS do send it.
	if hr.ContentLength == 0 && strings.EqualFold(hr.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue)
	}
	a := newAnswer(w, h.Stall)
	r := &request{id: newRequestID(), start: time.Now(), client: h.Proxies.Client(hr), secure: h.Proxies.Secure(hr), upload: newUpload(hr, a.conn, h.Stall)}
	// A copy: net/http looks at the Body of its own request to tell whether a
	// client still waits for "100 Continue".
	r.Request = new(*hr)
	r.Body = r.upload
	a.Header().Set("Server", "s3mirror")
	s3.SetRequestID(a.Header(), r.id)
	h.follow(r)
	return a, r
}

// serve is the chain from 4 on.
func (h *Handler) serve(a *answer, r *request) error {
	if h.Assumer != nil && isSTS(r.Request) {
		return h.assume(a, r)
	}
	op, malformed := s3.Parse(r.Request, h.Domains)
	r.op = op
	if err := s3.CheckHeaderSection(r.Header); err != nil {
		return err
	}
	if op != nil && op.Name == s3.Preflight {
		if malformed != nil {
			return malformed
		}
		return h.preflight(r.Context(), a, r)
	}
	h.allowOrigin(r.Context(), a, r)
	if malformed == nil && formed(r) {
		return h.postForm(a, r)
	}
	var err error
	if h.Anonymous && malformed == nil && auth.Bare(r.Request) {
		r.sender, r.misframed = auth.Anonymous(r.Header)
	} else if r.sender, err = h.Verifier.Verify(r.Request); err != nil {
		if malformed != nil && !auth.Claims(r.Request) {
			return malformed // which the request itself tells, and nothing that we know
		}
		return anonymous(r, err)
	}
	if malformed != nil {
		return malformed
	}
	h.watch(a, r)
	defer r.lookout.end()
	return h.proved(a, r)
}

// proved is the chain from 6 on, of a request whose sender is known.
func (h *Handler) proved(w http.ResponseWriter, r *request) (err error) {
	if err := h.authorize(r); err != nil {
		return err
	}
	op := r.op
	if r.misframed != nil {
		return r.misframed
	}
	if r.nameless() && len(op.Overrides) > 0 {
		return s3.Errorf(s3.InvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
	}
	if r.sender.Mode.Chunked() && !takesChunks[op.Name] {
		return s3.Errorf(s3.InvalidRequest, "The value of x-amz-content-sha256 header is invalid.")
	}
	act, ok := acts[op.Name]
	if !ok || !op.Implemented() {
		return op.NotImplemented()
	}
	if r.Header, err = op.Hoisted(r.Header); err != nil {
		return err
	}
	if err := op.CheckHeaders(r.Header); err != nil {
		return err
	}
	if err := r.expectOwner(); err != nil {
		return err
	}
	if err := r.refuseBody(); err != nil {
		return err
	}
	return act(h, w, r)
}

// takesChunks are the operations whose body may come as aws-chunked.
var takesChunks = map[s3.OperationName]bool{s3.PutObject: true, s3.UploadPart: true}

// takesBody are the operations that read their body by themselves.
var takesBody = map[s3.OperationName]bool{
	s3.PutObject: true, s3.DeleteObjects: true, s3.CreateBucket: true,
	s3.UploadPart: true, s3.CompleteMultipartUpload: true,
	s3.PostObject: true, s3.PutObjectTagging: true,
	s3.PutBucketTagging: true, s3.PutBucketOwnershipControls: true, s3.PutPublicAccessBlock: true, s3.PutBucketCors: true, s3.PutBucketWebsite: true,
	s3.PutBucketAcl: true, s3.PutObjectAcl: true, s3.PutBucketPolicy: true,
	s3.PutObjectRetention: true, s3.PutObjectLegalHold: true,
}

// maxIdleBody is what is read, in bytes, of a body that says nothing.
const maxIdleBody = 64 << 10

// refuseBody refuses a body where none belongs, and proves that the empty one
// is what was signed.
func (r *request) refuseBody() error {
	if takesBody[r.op.Name] {
		return nil
	}
	most := int64(0)
	if r.op.Name == s3.CreateMultipartUpload { // a POST, and some send one
		most = maxIdleBody
	}
	_, err := r.sender.Document(r.Request, most)
	if errors.Is(err, s3.MaxMessageLengthExceeded) {
		return s3.Errorf(s3.InvalidRequest, "The operation %s takes no body.", r.op.Name)
	}
	return err
}

// nameless tells whether the sender has no credentials.
func (r *request) nameless() bool { return r.sender.User != nil && r.sender.User.Anonymous() }

// actor is who is named in the history.
func (r *request) actor() string { return r.sender.Login }

// newRequestID is 16 random hex digits in the form that S3 uses.
func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return strings.ToUpper(hex.EncodeToString(b[:]))
}
