package s3

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A headerRule says which operations take a header, and which values of it.
type headerRule struct {
	ops    []OperationName
	values []string // nil: any; compared without case
}

// anyOperation marks the headers that every operation takes: those of the
// signature, which the authenticator reads, and those that mean nothing to us.
var anyOperation = []OperationName{}

// headerRules is the allow-list of x-amz-* headers; x-amz-meta-* stands beside
// it. Whatever is not here is NotImplemented, above all encryption, tagging,
// grants, object lock, copy sources and appends: to ignore one of them would be
// to do half of what was asked.
var headerRules = map[string]headerRule{
	"x-amz-date":           {ops: anyOperation},
	"x-amz-content-sha256": {ops: anyOperation},
	"x-amz-security-token": {ops: anyOperation},
	"x-amz-user-agent":     {ops: anyOperation}, // browsers cannot set User-Agent
	"x-amz-cf-id":          {ops: anyOperation}, // CloudFront in front of us
	"x-amz-request-payer":  {ops: anyOperation, values: []string{"requester"}},

	"x-amz-acl":                        {ops: []OperationName{PutObject, CreateBucket}, values: []string{"private", "bucket-owner-full-control"}},
	"x-amz-storage-class":              {ops: []OperationName{PutObject}, values: []string{"STANDARD"}},
	"x-amz-website-redirect-location":  {ops: []OperationName{PutObject}},
	"x-amz-bucket-object-lock-enabled": {ops: []OperationName{CreateBucket}, values: []string{"false"}}, // rclone
	"x-amz-object-ownership":           {ops: []OperationName{CreateBucket}, values: []string{"BucketOwnerEnforced"}},

	"x-amz-decoded-content-length": {ops: []OperationName{PutObject}},
	"x-amz-trailer":                {ops: []OperationName{PutObject}},
	"x-amz-sdk-checksum-algorithm": {ops: []OperationName{PutObject}},
	"x-amz-checksum-algorithm":     {ops: []OperationName{PutObject}},
	"x-amz-checksum-crc32":         {ops: []OperationName{PutObject}},
	"x-amz-checksum-crc32c":        {ops: []OperationName{PutObject}},
	"x-amz-checksum-crc64nvme":     {ops: []OperationName{PutObject}},
	"x-amz-checksum-sha1":          {ops: []OperationName{PutObject}},
	"x-amz-checksum-sha256":        {ops: []OperationName{PutObject}},

	"x-amz-checksum-mode": {ops: []OperationName{GetObject, HeadObject}, values: []string{"ENABLED"}},
	"x-amz-te":            {ops: []OperationName{GetObject}}, // Java: an offer that we may decline

	"x-amz-if-match-size":               {ops: []OperationName{DeleteObject}},
	"x-amz-if-match-last-modified-time": {ops: []OperationName{DeleteObject}},
	"x-amz-bypass-governance-retention": {ops: []OperationName{DeleteObject}, values: []string{"false"}},
}

// writeHeaders are the standard headers that change what a write means. Each
// is taken by the operations named and NotImplemented for every other write.
// A read may ignore them, as RFC 9110 allows.
var writeHeaders = map[string][]OperationName{
	"if-match":            {PutObject, DeleteObject},
	"if-none-match":       {PutObject},
	"if-modified-since":   nil,
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
	for _, name := range slices.Sorted(maps.Keys(h)) { // sorted: one request, one answer
		if err := op.checkHeader(strings.ToLower(name), h[name]); err != nil {
			return err
		}
	}
	return nil
}

func (op *Operation) checkHeader(name string, values []string) error {
	if takers, ok := writeHeaders[name]; ok && op.writes() && !slices.Contains(takers, op.Name) {
		return headerNotImplemented(name)
	}
	if !strings.HasPrefix(name, "x-amz-") || op.Name == PutObject && strings.HasPrefix(name, metaPrefix) {
		return nil
	}
	rule, ok := headerRules[name]
	if !ok || len(rule.ops) > 0 && !slices.Contains(rule.ops, op.Name) {
		return headerNotImplemented(name)
	}
	if len(values) > 1 {
		return invalidArgument(name, strings.Join(values, ","), "The header %s must not be repeated.", name)
	}
	if rule.values != nil && len(values) == 1 && !containsFold(rule.values, values[0]) {
		return headerNotImplemented(name)
	}
	return nil
}

func (op *Operation) writes() bool {
	return slices.Contains([]OperationName{PutObject, DeleteObject, CreateBucket, DeleteBucket}, op.Name)
}

func headerNotImplemented(name string) *Error {
	return Err(NotImplemented).With("Header", name)
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, s) })
}
