package s3

import (
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/object"
)

// MaxKeyBytes is the longest key, in bytes of its decoded form.
const MaxKeyBytes = 1024

// maxQueryParams bounds the work that one request line can cause.
const maxQueryParams = 256

// Operation is what one request means. It is made once, by Parse, and never
// changed.
type Operation struct {
	Name   OperationName
	Bucket string // empty for operations on the service
	Key    string // decoded bytes; empty for operations on the service or a bucket
	Query  Query  // every parameter as received, decoded, in order; those of the signature too

	// VirtualHost says that the bucket came from the Host, not from the path.
	VirtualHost bool

	// Overrides are the response-* parameters of GetObject and HeadObject, by
	// the lower-case name of the header that they replace.
	Overrides object.Headers

	// Unsupported names the parameter that asks for something we do not do, when
	// Name alone does not tell (versionId, partNumber, two sub-resources).
	Unsupported string

	backend bool // ParseBackend made it
}

// ObjectKey is the name of the object that the operation is about.
func (op *Operation) ObjectKey() object.Key {
	return object.Key{Bucket: op.Bucket, Name: op.Key}
}

// Implemented tells whether the gateway does what was asked. The caller answers
// with NotImplemented otherwise, once the client is authenticated.
func (op *Operation) Implemented() bool {
	return op.Unsupported == "" && implemented[op.Name]
}

// versioned are the operations in which a version of an object may be named.
var versioned = []OperationName{
	GetObject, HeadObject, DeleteObject, GetObjectTagging, PutObjectTagging, DeleteObjectTagging, GetObjectAcl, PutObjectAcl, GetObjectAttributes,
}

// NotImplemented is the answer to an operation that is not Implemented. A version that no
// object here can have is InvalidArgument, as of a bucket of S3 without versions.
func (op *Operation) NotImplemented() *Error {
	if version := op.Query.Get("versionId"); op.Unsupported == "versionId" && slices.Contains(versioned, op.Name) && !op.Query.Has("partNumber") {
		return invalidArgument("versionId", version, "Invalid version id specified")
	}
	if op.Unsupported != "" {
		return Err(NotImplemented).With("Parameter", op.Unsupported)
	}
	return Err(NotImplemented).With("Operation", string(op.Name))
}

// Parse turns a request into its operation. domains are the names below which
// virtual-host style works ("s3.example.org" makes photos.s3.example.org the
// bucket photos); path style always works.
//
// It reads r.RequestURI, r.Method, r.Host and the presence of
// x-amz-copy-source, and nothing else: never r.URL, whose path and query have
// been cleaned. An encoded slash is a slash, as it is in the signature. Errors
// are InvalidURI, InvalidBucketName, KeyTooLongError, MethodNotAllowed,
// InvalidArgument and, for keys under object.ReservedPrefix (also by way of `//`,
// `.` or `..`), AccessDenied whatever the verb.
//
// What Parse returns says nothing about who may do it. An operation that is
// not Implemented parses all the same, so that permission can be asked first.
func Parse(r *http.Request, domains []string) (*Operation, error) {
	return parse(r, domains, &Operation{})
}

// ParseBackend is Parse for a server that stands behind the gateway, as the
// in-memory one does. The reserved keys are keys like any other there.
func ParseBackend(r *http.Request, domains []string) (*Operation, error) {
	return parse(r, domains, &Operation{backend: true})
}

// permit refuses the keys of s3mirror itself, unless we are behind it.
func (op *Operation) permit(key string) error {
	if !op.backend && reserved(key) {
		return Errorf(AccessDenied, "Keys that begin with %q belong to s3mirror.", object.ReservedPrefix)
	}
	return nil
}

func parse(r *http.Request, domains []string, op *Operation) (*Operation, error) {
	rawPath, rawQuery, err := splitURI(r)
	if err != nil {
		return nil, err
	}
	addressed, err := DecodePath(rawPath)
	if err != nil {
		return nil, invalidURI(r, err)
	}
	query, err := ParseQuery(rawQuery)
	if err != nil {
		return nil, invalidURI(r, err)
	}
	op.Query = query
	if err := op.address(r.Host, addressed, domains); err != nil {
		return nil, err
	}
	if err := op.permit(op.Key); err != nil {
		return nil, err
	}
	if err := op.route(r); err != nil {
		return nil, err
	}
	if op.Name == GetObject || op.Name == HeadObject {
		if op.Overrides, err = parseOverrides(query); err != nil {
			return nil, err
		}
	}
	return op, nil
}

// splitURI returns path and query as they stood on the request line. The
// absolute form ("GET http://other/b/k") is refused: it names a host that the
// signature does not cover.
func splitURI(r *http.Request) (rawPath, rawQuery string, err error) {
	if r.Method == http.MethodOptions && r.RequestURI == "*" {
		return "/", "", nil
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		return "", "", Err(InvalidURI).With("URI", resource(r))
	}
	rawPath, rawQuery, _ = strings.Cut(r.RequestURI, "?")
	return rawPath, rawQuery, nil
}

func invalidURI(r *http.Request, cause error) *Error {
	return Err(InvalidURI).With("URI", resource(r)).Because(cause)
}

// address finds bucket and key from the host and the decoded path.
func (op *Operation) address(host, addressed string, domains []string) error {
	addressed = addressed[1:] // it begins with a slash: splitURI
	if bucket, ok := HostBucket(host, domains); ok {
		op.VirtualHost = true
		op.Bucket, op.Key = bucket, addressed
	} else if op.Bucket, op.Key, _ = strings.Cut(addressed, "/"); addressed == "" {
		return nil
	}
	if err := CheckBucketName(op.Bucket); err != nil {
		return err
	}
	return checkKey(op.Key)
}

// HostBucket returns what stands before the longest domain that the host ends
// in. A host that is a domain itself is path style, even below another domain.
func HostBucket(host string, domains []string) (string, bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	bucket, longest := "", -1
	for _, d := range domains {
		d = strings.ToLower(d)
		if host == d {
			return "", false
		}
		if b, ok := strings.CutSuffix(host, "."+d); ok && len(d) > longest {
			bucket, longest = b, len(d)
		}
	}
	return bucket, longest >= 0
}

func checkKey(key string) error {
	switch {
	case len(key) > MaxKeyBytes:
		return keyTooLong(len(key))
	case !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0:
		return Err(InvalidURI)
	}
	return nil
}

// reserved holds for the keys of s3mirror itself, and for those that become
// one on a backend that keeps keys as file names: such servers fold `//`, `.` and
// `..`, and cannot hold a file where a directory has to be.
func reserved(key string) bool {
	dir := strings.TrimSuffix(object.ReservedPrefix, "/")
	if !strings.Contains(key, dir) {
		return false
	}
	folded := strings.TrimPrefix(path.Clean("/"+key), "/")
	return object.Key{Name: key}.Reserved() || folded == dir || object.Key{Name: folded}.Reserved()
}

// route names the operation. It goes by the presence of sub-resource keys, so
// that `PUT /b/k?retention` can never fall through to a PutObject.
func (op *Operation) route(r *http.Request) error {
	if r.Method == http.MethodOptions {
		op.Name = Preflight
		return nil
	}
	if err := op.misplaced(r); err != nil {
		return err
	}
	sub, modifier := op.subresource(r.Method)
	kind := op.kind()
	name := routes[kind][sub].of(r.Method)
	switch {
	case name == "" && sub == "" && kind == kindObject && r.Method == http.MethodPost:
		return methodNotAllowed(r.Method, kindService) // S3's word for it
	case name == "" && sub == "", !slices.Contains(methods, r.Method):
		return methodNotAllowed(r.Method, kind)
	case name == "":
		op.Name, op.Unsupported = Unsupported, sub
		return nil
	}
	op.Name, op.Unsupported = name, modifier
	op.refine(r)
	return nil
}

// misplaced refuses what S3 refuses for what it is, in S3's words: a copy source
// where nothing is copied, half of a part's name, and sub-resources of a bucket
// on a key.
func (op *Operation) misplaced(r *http.Request) error {
	source, copied := r.Header["X-Amz-Copy-Source"]
	uploadID, part := op.Query.Has("uploadId"), op.Query.Has("partNumber")
	switch {
	case copied && (r.Method != http.MethodPut && r.Method != http.MethodPost || r.Method == http.MethodPost && uploadID):
		return invalidArgument("x-amz-copy-source", strings.Join(source, ","), "You can only specify a copy source header for copy requests.")
	case op.Key == "":
	case r.Method == http.MethodGet && op.Query.Has("uploads"):
		return Errorf(InvalidRequest, "Key is not expected for the GET method ?uploads subresource")
	case r.Method == http.MethodGet && op.Query.Has("versions"):
		return Errorf(InvalidRequest, "There is no such thing as the ?versions sub-resource for a key")
	case r.Method == http.MethodPut && part && !uploadID:
		return invalidArgument("partNumber", "partNumber", "This operation does not accept partNumber without uploadId")
	case r.Method == http.MethodPut && uploadID && !part:
		return methodNotAllowed(r.Method, kindUpload)
	}
	return nil
}

// methods are the verbs of S3; OPTIONS belongs to CORS.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}

// refine tells apart the operations that share verb, path and sub-resource.
func (op *Operation) refine(r *http.Request) {
	_, copied := r.Header["X-Amz-Copy-Source"]
	switch {
	case op.Name == PutObject && copied:
		op.Name = CopyObject
	case op.Name == UploadPart && copied:
		op.Name = UploadPartCopy
	case op.Name == ListBuckets && op.Query.Has("max-directory-buckets"):
		op.Name = ListDirectoryBuckets
	case op.Name == ListObjects && op.Query.Get("list-type") == "2":
		op.Name = ListObjectsV2
	case !op.Query.Has("id"):
		if list, ok := listsWithoutID[op.Name]; ok {
			op.Name = list
		}
	}
}

func (op *Operation) kind() kind {
	switch {
	case op.Bucket == "":
		return kindService
	case op.Key == "":
		return kindBucket
	}
	return kindObject
}

// subresource returns the one sub-resource that names the operation, and a
// parameter that changes it into something that we do not do. Two
// sub-resources in one request are not something S3 defines.
func (op *Operation) subresource(method string) (sub, modifier string) {
	for _, p := range op.Query {
		switch {
		case !subresources[p.Name] || p.Name == sub:
		case p.Name == "versionId" && p.Value == NullVersion && op.namesVersion(method):
		case p.Name == "partNumber" && (op.Query.Has("uploadId") || op.readsPart(method)):
		case p.Name == "select-type" && op.Query.Has("select"):
		case p.Name == "partNumber" || p.Name == "versionId":
			modifier = p.Name
		case sub == "":
			sub = p.Name
		default:
			modifier = p.Name
		}
	}
	return sub, modifier
}

// namesVersion tells whether the null version can be named: it is the one that
// every object here has. A PutObject names none.
func (op *Operation) namesVersion(method string) bool {
	return op.Key != "" && (method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete ||
		op.Query.Has("tagging") || op.Query.Has("acl"))
}

// readsPart tells whether partNumber asks for a part of a stored object. Anywhere
// else it could be an UploadPart that lost its upload, which must not become a
// PutObject.
func (op *Operation) readsPart(method string) bool {
	return op.Key != "" && (method == http.MethodGet || method == http.MethodHead)
}
