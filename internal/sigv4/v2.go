package sigv4

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Signature Version 2 is what it is
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The query parameters of a URL that was signed with Signature Version 2.
const (
	paramV2Key       = "AWSAccessKeyId"
	paramV2Signature = "Signature"
	paramV2Expires   = "Expires"
	schemeV2         = "AWS "
)

// IsV2 tells whether a received request is signed with Signature Version 2, and
// with nothing else: in its Authorization header or in its query.
func IsV2(r *http.Request) bool {
	_, rawQuery, _ := strings.Cut(r.RequestURI, "?")
	v4, v2 := queryAuth(rawQuery)
	values := r.Header.Values("Authorization")
	switch {
	case v4:
		return false
	case v2:
		return len(values) == 0
	}
	return len(values) == 1 && strings.HasPrefix(values[0], schemeV2)
}

// ParseV2 is Parse for Signature Version 2, which boto3 and the aws CLI still
// make presigned URLs with. bucket is the bucket that stands in the Host, empty
// in path style: the signature covers it as a part of the path. The body is never
// signed.
//
// The signature covers the method, Content-MD5, Content-Type, the date or the end
// of the URL, every x-amz-* header, the path as it was sent, and of the query the
// sub-resources. Every sub-resource that S3 knows counts as covered, also those
// that are younger than the scheme: a URL that gets one added is refused.
//
// AccessDenied without a valid date, and when the URL has expired;
// RequestTimeTooSkewed; InvalidArgument and InvalidRequest for credentials that
// are malformed.
func ParseV2(r *http.Request, bucket string, now time.Time) (*Request, error) {
	rawPath, rawQuery, err := target(r)
	if err != nil {
		return nil, err
	}
	q := &Request{Mode: Unsigned, PayloadHash: Unsigned.String()}
	query, err := queryV2(rawQuery)
	if err != nil {
		return nil, err
	}
	when := ""
	if query[paramV2Key] != "" {
		q.Presigned = true
		q.AccessKeyID, q.Signature, when = query[paramV2Key], query[paramV2Signature], query[paramV2Expires]
		err = q.checkExpiry(when, now)
	} else {
		when, err = q.readHeaderV2(r, now)
	}
	if err != nil {
		return nil, err
	}
	if payload := canonicalValue(r.Header.Values(paramPayload)); payload != "" {
		if err := q.parsePayload(payload); err != nil {
			return nil, err
		}
		if q.Mode.Chunked() {
			return nil, &Error{Code: codeInvalidRequest, Message: textSigV2}
		}
	}
	headers := amzHeaders(r, rawQuery, q.Presigned)
	q.SessionToken = headers["x-amz-security-token"]
	resource := rawPath
	if bucket != "" {
		resource = "/" + bucket + rawPath
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + r.Header.Get("Content-Md5") + "\n" + contentType(r, query) + "\n" + when + "\n")
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		b.WriteString(name + ":" + headers[name] + "\n")
	}
	head := b.String()
	q.text, q.v2 = head+resource+resourceQuery(rawQuery, true), true
	q.others = []string{head + resource + resourceQuery(rawQuery, false)}
	if bucket == "" && len(resource) > 1 && strings.Count(resource, "/") == 1 { // of a bucket botocore signs /bucket/, whatever it sends
		q.others = append(q.others, head+resource+"/"+resourceQuery(rawQuery, true), head+resource+"/"+resourceQuery(rawQuery, false))
	}
	return q, nil
}

// contentType is the header, or in a presigned URL the parameter that its signer
// wrote down for it.
func contentType(r *http.Request, query map[string]string) string {
	if v := r.Header.Get("Content-Type"); v != "" {
		return v
	}
	return query["content-type"]
}

// readHeaderV2 reads `AWS key:signature`. A key may hold colons, a signature not.
func (q *Request) readHeaderV2(r *http.Request, now time.Time) (date string, err error) {
	value := r.Header.Get("Authorization")
	credentials := strings.TrimSpace(strings.TrimPrefix(value, schemeV2))
	i := strings.LastIndexByte(credentials, ':')
	if i < 1 {
		return "", invalidArgument("Authorization", value, "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature")
	}
	q.AccessKeyID, q.Signature = credentials[:i], credentials[i+1:]
	date = canonicalValue(r.Header.Values("Date"))
	if amz := canonicalValue(r.Header.Values("X-Amz-Date")); amz != "" {
		date = ""
		if q.Time, err = http.ParseTime(amz); err != nil {
			var ok bool
			if q.Time, ok = parseTime(amz); !ok {
				return "", errNoDate()
			}
		}
	} else if q.Time, err = http.ParseTime(date); err != nil {
		return "", errNoDate()
	}
	if d := now.Sub(q.Time); d > MaxSkew || d < -MaxSkew {
		return "", skewed(q.Time.UTC().Format(http.TimeFormat), now)
	}
	return date, nil
}

// checkExpiry reads the end of a URL, in seconds of Unix time.
func (q *Request) checkExpiry(value string, now time.Time) error {
	seconds, err := strconv.ParseInt(value, 10, 64)
	switch {
	case q.AccessKeyID == "" || q.Signature == "" || value == "":
		return &Error{Code: codeAccessDenied, Message: "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"}
	case err != nil:
		return &Error{Code: codeAccessDenied, Message: "Invalid date (should be seconds since epoch): " + value}
	}
	q.Time = now
	if end := time.Unix(seconds, 0); now.After(end) {
		return &Error{Code: codeAccessDenied, Message: "Request has expired.", Fields: map[string]string{
			"Expires": end.UTC().Format(time.RFC3339), "ServerTime": now.UTC().Format(time.RFC3339),
		}}
	}
	return nil
}

// queryV2 collects the parameters of the signature and the two headers that a
// presigned URL may carry as parameters.
func queryV2(rawQuery string) (map[string]string, error) {
	found := map[string]string{}
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		switch name {
		case paramV2Key, paramV2Signature, paramV2Expires, "content-type":
			if _, twice := found[name]; twice {
				return nil, &Error{Code: codeInvalidRequest, Message: "The " + name + " parameter must not be repeated."}
			}
			found[name], _ = unescape(value, true)
		}
	}
	return found, nil
}

// amzHeaders are the x-amz-* headers, those of a presigned URL's query among
// them, each with its values in order.
func amzHeaders(r *http.Request, rawQuery string, presigned bool) map[string]string {
	all := map[string]string{}
	for name, values := range r.Header {
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-amz-") {
			all[low] = strings.Join(values, ",")
		}
	}
	if !presigned {
		return all
	}
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-amz-") {
			value, _ = unescape(value, true)
			if sent, ok := all[low]; ok && sent != value { // as one that is repeated; the same again is the client that sends what it signed
				value = sent + "," + value
			}
			all[low] = value
		}
	}
	return all
}

// resourceQuery is what of the query belongs to the resource: sub-resources and
// response-* overrides, decoded and sorted. Of one with an equals sign and nothing
// behind it some signers keep the sign (botocore) and some do not (minio-go).
func resourceQuery(rawQuery string, sign bool) string {
	var parts []string
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, value, has := strings.Cut(p, "=")
		name, _ = unescape(name, true)
		if !subresourceV2(name) {
			continue
		}
		if !has || value == "" && !sign {
			parts = append(parts, name)
			continue
		}
		value, _ = unescape(value, true)
		parts = append(parts, name+"="+value)
	}
	if parts == nil {
		return ""
	}
	slices.Sort(parts)
	return "?" + strings.Join(parts, "&")
}

func subresourceV2(name string) bool {
	return strings.HasPrefix(name, "response-") || slices.Contains(subresourcesV2, name)
}

// subresourcesV2 are the sub-resources that there are.
var subresourcesV2 = strings.Fields(`abac accelerate acl analytics append attributes cors defaultObjectAcl delete encryption
	intelligent-tiering inventory legal-hold lifecycle location logging metadataConfiguration metadataInventoryTable
	metadataJournalTable metadataTable metrics notification object-lock ownershipControls partNumber policy policyStatus
	publicAccessBlock renameObject replication requestPayment restore retention select select-type session storageClass tagging
	torrent uploadId uploads versionId versioning versions website`)

// verifyV2 compares with the HMAC of the text, in base64.
func (q *Request) verifyV2(secret Secret) error {
	given, err := base64.StdEncoding.DecodeString(q.Signature)
	right := func(text string) bool { return hmac.Equal(given, sumV2(secret, text)) }
	if err != nil || !right(q.text) && !slices.ContainsFunc(q.others, right) {
		return mismatch(q, q.text, q.Signature)
	}
	q.verified = true
	return nil
}

func sumV2(secret Secret, text string) []byte {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func errNoDate() error {
	return &Error{Code: codeAccessDenied, Message: "AWS authentication requires a valid Date or x-amz-date header."}
}

func skewed(sent string, now time.Time) error {
	return &Error{
		Code:    codeRequestTimeTooSkewed,
		Message: "The difference between the request time and the current time is too large.",
		Fields: map[string]string{
			"RequestTime":                sent,
			"ServerTime":                 now.UTC().Format(time.RFC3339),
			"MaxAllowedSkewMilliseconds": strconv.FormatInt(MaxSkew.Milliseconds(), 10),
		},
	}
}
