package s3

import (
	"net/http"
	"slices"
	"strings"
)

// A headerRule says which operations take a header, and which values of it.
type headerRule struct {
	ops    []OperationName
	values []string // nil: any; compared without case
	list   bool     // may be repeated
}

const storageClassHeader = "x-amz-storage-class"

// storageClasses are those that a client may ask for: they are read as STANDARD is, and
// what they say of cost and copies is the operator's to choose, by backend. So a version has
// none of its own, and STANDARD is what is told. An archive would not be one.
var storageClasses = []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}

// anyOperation marks the headers that every operation takes: those of the
// signature, which the authenticator reads, and those that mean nothing to us.
var anyOperation = []OperationName{}

// The operations that take the same headers.
var (
	versionMakers = []OperationName{PutObject, CopyObject, CreateMultipartUpload}                                                                                                                                             // fix what a version is
	bodies        = []OperationName{PutObject, UploadPart}                                                                                                                                                                    // carry data
	sumTakers     = append([]OperationName{PutObject, UploadPart, DeleteObjects, PutObjectTagging}, setters...)                                                                                                               // verify a checksum of their body
	setters       = []OperationName{PutBucketTagging, PutBucketOwnershipControls, PutBucketCors, PutPublicAccessBlock, PutBucketWebsite, PutBucketAcl, PutObjectAcl, PutBucketPolicy, PutObjectRetention, PutObjectLegalHold} // of a document
	objectSums    = append(slices.Clip(sumTakers), CompleteMultipartUpload)                                                                                                                                                   // or one of the object
	aclTakers     = append(slices.Clip(versionMakers), CreateBucket)                                                                                                                                                          // come with an access control list
	copies        = []OperationName{CopyObject, UploadPartCopy}
)

// headerRules is the allow-list of x-amz-* headers; x-amz-meta-* stands beside
// it. Whatever is not here is NotImplemented, above all encryption, grants
// and appends: to ignore one of them would be to do half of what was
// asked.
var headerRules = map[string]headerRule{
	"x-amz-date":           {ops: anyOperation},
	"x-amz-content-sha256": {ops: anyOperation},
	"x-amz-security-token": {ops: anyOperation},
	"x-amz-user-agent":     {ops: anyOperation},                                 // browsers cannot set User-Agent
	"x-amz-cf-id":          {ops: anyOperation},                                 // CloudFront in front of us
	"x-amz-api-version":    {ops: anyOperation, values: []string{"2006-03-01"}}, // AWS SDK for C++
	"x-amz-request-payer":  {ops: anyOperation, values: []string{"requester"}},

	"x-amz-if-match-initiated-time": {ops: []OperationName{AbortMultipartUpload}},

	"x-amz-confirm-remove-self-bucket-access": {ops: []OperationName{PutBucketPolicy}}, // root always has access

	"x-amz-expected-bucket-owner":        {ops: anyOperation}, // the gateway compares it
	"x-amz-source-expected-bucket-owner": {ops: copies},

	"x-amz-storage-class":              {ops: versionMakers}, // one of storageClasses
	"x-amz-website-redirect-location":  {ops: versionMakers},
	"x-amz-bucket-object-lock-enabled": {ops: []OperationName{CreateBucket}, values: []string{"false"}}, // rclone
	"x-amz-object-ownership":           {ops: []OperationName{CreateBucket}},

	"x-amz-tagging": {ops: versionMakers},

	"x-amz-decoded-content-length": {ops: bodies},
	"x-amz-trailer":                {ops: bodies},
	"x-amz-sdk-checksum-algorithm": {ops: sumTakers},
	"x-amz-checksum-algorithm":     {ops: append(slices.Clip(versionMakers), UploadPart, CompleteMultipartUpload)}, // minio-go on the last two
	"x-amz-checksum-type":          {ops: []OperationName{CreateMultipartUpload, CompleteMultipartUpload}},
	"x-amz-mp-object-size":         {ops: []OperationName{CompleteMultipartUpload}},

	"x-amz-copy-source":                     {ops: copies},
	"x-amz-copy-source-range":               {ops: []OperationName{UploadPartCopy}},
	"x-amz-copy-source-if-match":            {ops: copies},
	"x-amz-copy-source-if-none-match":       {ops: copies},
	"x-amz-copy-source-if-modified-since":   {ops: copies},
	"x-amz-copy-source-if-unmodified-since": {ops: copies},
	"x-amz-metadata-directive":              {ops: []OperationName{CopyObject}},
	"x-amz-tagging-directive":               {ops: []OperationName{CopyObject}},

	"x-amz-object-attributes":  {ops: []OperationName{GetObjectAttributes}, list: true},
	"x-amz-max-parts":          {ops: []OperationName{GetObjectAttributes}},
	"x-amz-part-number-marker": {ops: []OperationName{GetObjectAttributes}},

	"x-amz-checksum-mode": {ops: []OperationName{GetObject, HeadObject}, values: []string{"ENABLED"}},
	"x-amz-te":            {ops: []OperationName{GetObject}}, // Java: an offer that we may decline

	"x-amz-if-match-size":               {ops: []OperationName{DeleteObject}},
	"x-amz-if-match-last-modified-time": {ops: []OperationName{DeleteObject}},
	"x-amz-bypass-governance-retention": {ops: []OperationName{DeleteObject, DeleteObjects}, values: []string{"true", "false"}}, // nothing is retained
}

// writeHeaders are the standard headers that change what a write means. Each
// is taken by the operations named and NotImplemented for every other write.
// A read may ignore them, as RFC 9110 allows; If-Modified-Since it wants a write to ignore.
var writeHeaders = map[string][]OperationName{
	"if-match":            {PutObject, DeleteObject, CopyObject, CompleteMultipartUpload},
	"if-none-match":       {PutObject, CopyObject, CompleteMultipartUpload},
	"if-unmodified-since": nil,
	"content-range":       nil,
}

// authParams are the x-amz-* query parameters that belong to a signature.
var authParams = []string{
	"x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-expires",
	"x-amz-security-token", "x-amz-signature", "x-amz-signedheaders",
}

// CheckHeaders refuses a request that asks, by a header, for something that
// the operation does not do: NotImplemented, with the name in the element
// Header. A header that must be single and is repeated is InvalidArgument.
//
// Of a presigned URL the headers that its signer moved into the query count
// like those sent: see Hoisted. In any other query an x-amz-* parameter is
// something that S3 does not define, and not taken. Headers outside x-amz-* that mean nothing to S3 are ignored.
func (op *Operation) CheckHeaders(h http.Header) error {
	h, err := op.Hoisted(h)
	if err != nil {
		return err
	}
	for _, p := range op.Query {
		if name, ok := hoistable(p.Name); ok && !op.Presigned() {
			return headerNotImplemented(name)
		}
	}
	var room [32]string
	names := room[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names) // one request, one answer
	for _, name := range names {
		if err := op.checkHeader(lowerField(name), h[name]); err != nil {
			return err
		}
	}
	return nil
}

func (op *Operation) checkHeader(name string, values []string) error {
	if takers, ok := writeHeaders[name]; ok && op.writes() && !slices.Contains(takers, op.Name) {
		return headerNotImplemented(name)
	}
	if !strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, metaPrefix) && slices.Contains(versionMakers, op.Name) {
		return nil
	}
	if sumHeader(name) && slices.Contains(objectSums, op.Name) {
		return nil // ParseChecksum knows which there are
	}
	if sumHeader(name) && op.Name == GetObject {
		return nil // of the body that a GET has not: AWS SDK for Java v2, beside a Range
	}
	if aclHeader(name) && slices.Contains(aclTakers, op.Name) {
		return op.checkACLHeader(name, values)
	}
	if aclHeader(name) && (op.Name == PutBucketAcl || op.Name == PutObjectAcl) {
		return nil // CheckPutACL
	}
	if strings.HasPrefix(name, "x-amz-object-lock-") && slices.Contains(versionMakers, op.Name) {
		return Errorf(InvalidRequest, "Bucket is missing ObjectLockConfiguration") // so, in one word, of a header
	}
	rule, ok := headerRules[name]
	if !ok || len(rule.ops) > 0 && !slices.Contains(rule.ops, op.Name) {
		return headerNotImplemented(name)
	}
	if len(values) > 1 && !rule.list {
		return invalidArgument(name, strings.Join(values, ","), "The header %s must not be repeated.", name)
	}
	if name == storageClassHeader && !containsFold(storageClasses, values[0]) {
		return Err(InvalidStorageClass).With("StorageClassRequested", values[0])
	}
	if rule.values != nil && len(values) == 1 && !containsFold(rule.values, values[0]) {
		return headerNotImplemented(name)
	}
	return nil
}

// sumHeader tells whether a header carries a checksum, of whatever algorithm.
func sumHeader(name string) bool {
	algorithm, ok := strings.CutPrefix(name, checksumPrefix)
	return ok && algorithm != "mode" && algorithm != "algorithm" && algorithm != "type"
}

func (op *Operation) writes() bool {
	return slices.Contains([]OperationName{
		PutBucketCors, DeleteBucketCors, PutBucketTagging, DeleteBucketTagging, PutBucketOwnershipControls, DeleteBucketOwnershipControls,
		PutPublicAccessBlock, DeletePublicAccessBlock, PutBucketAcl, PutObjectAcl, PutBucketPolicy, DeleteBucketPolicy, PutBucketWebsite, DeleteBucketWebsite,
		PutObject, DeleteObject, CreateBucket, DeleteBucket, CopyObject, DeleteObjects, PutObjectTagging, DeleteObjectTagging,
		CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload,
	}, op.Name)
}

func headerNotImplemented(name string) *Error {
	return Err(NotImplemented).With("Header", name)
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, s) })
}
