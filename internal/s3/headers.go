package s3

import (
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/s3mirror/s3mirror/internal/object"
)

const (
	metaPrefix     = object.MetaPrefix
	checksumPrefix = object.ChecksumPrefix

	// DefaultContentType is what AWS gives to an object that came without one.
	DefaultContentType = "binary/octet-stream"

	// MaxMetadataBytes bounds the user metadata of one object: names without
	// x-amz-meta- and values. S3 takes 2 KiB; 256 bytes of it are kept for the
	// stamp, which every backend counts too.
	MaxMetadataBytes = 2048 - 256

	// maxStoredHeaderBytes bounds all headers of a version, names and values.
	maxStoredHeaderBytes = 8192
)

// VersionHeaders collects what becomes part of the version that a PutObject
// writes: content headers, user metadata, the checksum that came as a header,
// each under its lower-case name with the bytes of the value as received, save
// for RFC 2047 encoded words (DecodeMetadata). Repeated x-amz-meta-* and
// list-valued headers are joined. The token aws-chunked is taken out of
// Content-Encoding; a missing Content-Type becomes DefaultContentType; a
// storage class is not the version's: see storageClasses.
//
// Errors: InvalidArgument for metadata in the name space of the stamp or a
// single-valued header that is repeated; MetadataTooLarge,
// RequestHeaderSectionTooLarge, InvalidRedirectLocation.
func VersionHeaders(h http.Header) (object.Headers, error) {
	out := object.Headers{}
	for _, field := range slices.Sorted(maps.Keys(h)) {
		name := lowerField(field)
		if strings.HasPrefix(name, object.InternalPrefix) {
			return nil, invalidArgument(name, "", "Metadata names that begin with %s are reserved.", object.InternalPrefix)
		}
		if !object.Stored(name) {
			continue
		}
		value, err := joinValues(name, h[field])
		if err != nil {
			return nil, err
		}
		if before, ok := out[name]; ok { // two spellings of one name
			value = before + "," + value
		}
		out[name] = value
	}
	normalise(out)
	delete(out, storageClassHeader)
	if err := checkStored(out); err != nil {
		return nil, err
	}
	return out, nil
}

// StoredHeaders reads the same from a backend's answer to GET or HEAD. It
// applies no limits, since the object is there. The stamp is left out.
func StoredHeaders(h http.Header) object.Headers {
	out := object.Headers{}
	for field, values := range h {
		name := lowerField(field)
		if !object.Stored(name) || len(values) == 0 {
			continue
		}
		out[name] = strings.Join(values, ",")
	}
	normalise(out)
	return out
}

// joinValues merges repeats where a list is what the header means.
func joinValues(name string, values []string) (string, error) {
	switch {
	case len(values) == 1:
		return values[0], nil
	case len(values) == 0:
		return "", nil
	case strings.HasPrefix(name, metaPrefix):
		return strings.Join(values, ","), nil
	case name == "cache-control", name == "content-encoding", name == "content-language":
		return strings.Join(values, ", "), nil
	}
	return "", invalidArgument(name, strings.Join(values, ","), "The header %s must not be repeated.", name)
}

// normalise gives equal versions equal headers, whoever wrote them down.
func normalise(h object.Headers) {
	if v, ok := h["content-encoding"]; ok {
		h["content-encoding"] = StripChunked(v)
	}
	if strings.EqualFold(h["x-amz-storage-class"], "STANDARD") {
		delete(h, "x-amz-storage-class")
	}
	for name, v := range h {
		switch {
		case strings.HasPrefix(name, metaPrefix):
			h[name] = DecodeMetadata(v)
		case v == "":
			delete(h, name)
		}
	}
	if h["content-type"] == "" {
		h["content-type"] = DefaultContentType
	}
}

// StripChunked takes the token aws-chunked, which is framing, out of a
// Content-Encoding: "gzip,aws-chunked" becomes "gzip". A value without the
// token is returned as it is.
func StripChunked(encoding string) string {
	if !strings.Contains(strings.ToLower(encoding), "aws-chunked") {
		return encoding
	}
	var kept []string
	for token := range strings.SplitSeq(encoding, ",") {
		if token = strings.TrimSpace(token); token != "" && !strings.EqualFold(token, "aws-chunked") {
			kept = append(kept, token)
		}
	}
	return strings.Join(kept, ", ")
}

func checkStored(h object.Headers) error {
	meta, all := 0, 0
	for name, value := range h {
		all += len(name) + len(value)
		if suffix, ok := strings.CutPrefix(name, metaPrefix); ok {
			meta += len(suffix) + len(value)
		}
	}
	if meta > MaxMetadataBytes {
		return Err(MetadataTooLarge).With("Size", strconv.Itoa(meta)).With("MaxSizeAllowed", strconv.Itoa(MaxMetadataBytes))
	}
	if all > maxStoredHeaderBytes {
		return Err(RequestHeaderSectionTooLarge).With("MaxSizeAllowed", strconv.Itoa(maxStoredHeaderBytes))
	}
	if to, ok := h["x-amz-website-redirect-location"]; ok && !redirectTarget(to) {
		return Err(InvalidRedirectLocation)
	}
	return nil
}

// maxHeaderSection bounds the headers of a request, in bytes, as S3 does. Credentials do
// not count: tokens that a provider issued are as long as it likes.
const maxHeaderSection = 8 << 10

// CheckHeaderSection refuses a request whose headers are longer than S3 takes:
// RequestHeaderSectionTooLarge.
func CheckHeaderSection(h http.Header) error {
	all := 0
	for name, values := range h {
		if name == "Authorization" || name == "X-Amz-Security-Token" || name == "Cookie" {
			continue
		}
		for _, v := range values {
			all += len(name) + len(v)
		}
	}
	if all > maxHeaderSection {
		return Err(RequestHeaderSectionTooLarge).With("MaxSizeAllowed", strconv.Itoa(maxHeaderSection))
	}
	return nil
}

func redirectTarget(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// EncodeMetadata is how a metadata value goes to a client: as it is when it is
// printable ASCII, otherwise as RFC 2047 encoded words, as AWS and MinIO answer,
// so that one object reads the same whichever replica it came from. Bytes that
// are not UTF-8 are labelled ISO-8859-1.
func EncodeMetadata(value string) string {
	charset := "UTF-8"
	if !utf8.ValidString(value) {
		charset = "ISO-8859-1"
	}
	return mime.QEncoding.Encode(charset, value)
}

// DecodeMetadata undoes EncodeMetadata, whoever did it: a backend on the way
// out or a client on the way in. So a value has one form inside, and a heal does
// not encode it twice. Encoded words that hold nothing but ASCII were somebody's
// text, not an encoding, and stay.
func DecodeMetadata(value string) string {
	if !strings.Contains(value, "=?") {
		return value
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil || !strings.ContainsFunc(decoded, func(r rune) bool { return r > '~' }) {
		return value
	}
	return decoded
}

// ResponseOptions are what a request asks of the headers of a GetObject or
// HeadObject.
type ResponseOptions struct {
	Overrides object.Headers // Operation.Overrides
	Checksums bool           // x-amz-checksum-mode: ENABLED, and the whole object is sent
}

// WantsChecksums tells whether the client asked for checksums.
func WantsChecksums(h http.Header) bool {
	return strings.EqualFold(h.Get("x-amz-checksum-mode"), "ENABLED")
}

// ResponseHeaders sets the headers that describe a version. Length and range
// are Range.SetHeaders' business. ETag goes out under exactly that name, which
// http.Header.Set would change, and metadata in lower case, because some
// clients look for just that.
func ResponseHeaders(h http.Header, info object.Info, o ResponseOptions) {
	h["ETag"] = []string{QuoteETag(info.ETag)}
	h.Set("Last-Modified", info.ModTime.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", DefaultContentType)
	for name, value := range info.Headers {
		switch {
		case !object.Stored(name):
		case strings.HasPrefix(name, metaPrefix):
			h[name] = []string{EncodeMetadata(value)}
		case strings.HasPrefix(name, checksumPrefix):
			// below
		default:
			h.Set(name, value)
		}
	}
	for name, value := range o.Overrides {
		h.Set(name, value)
	}
	if o.Checksums {
		checksumHeaders(h, info.Headers)
	}
}

// WrittenHeaders sets what a PutObject answers: the ETag and the checksum of
// the version written.
func WrittenHeaders(h http.Header, info object.Info) {
	h["ETag"] = []string{QuoteETag(info.ETag)}
	checksumHeaders(h, info.Headers)
}

// checksumHeaders sets the stored checksums, and their type where the version
// does not know it: a digest of digests ends in the number of parts.
func checksumHeaders(h http.Header, stored object.Headers) {
	for name, value := range stored {
		if !strings.HasPrefix(name, checksumPrefix) || !object.Stored(name) {
			continue
		}
		h.Set(name, value)
		if name == checksumTypeHeader || stored[checksumTypeHeader] != "" {
			continue
		}
		h.Set(checksumTypeHeader, string(checksumType(stored, value)))
	}
}

// QuoteETag puts the quotes on that the header wants.
func QuoteETag(etag string) string { return `"` + etag + `"` }

// UnquoteETag takes quotes and a weak mark off, whichever are there.
func UnquoteETag(etag string) string {
	etag = strings.TrimPrefix(strings.TrimSpace(etag), "W/")
	return strings.Trim(etag, `"`)
}
