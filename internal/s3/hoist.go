package s3

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Presigned tells whether the credentials stand in the query. It says nothing
// about whether they are good.
func (op *Operation) Presigned() bool {
	return op.Query.Has("X-Amz-Signature") || op.Query.Has("AWSAccessKeyId") // of version 2
}

// Hoisted returns the headers that a request means: h, and for a presigned URL
// also the x-amz-* headers that its signer moved into the query, as SDKs do. The
// signature covers those as it covers the headers, so call it only for a request
// whose signature is proved. h is not changed.
//
// One thing that SDKs move there is dropped. They sign a URL before there is a
// body and so promise the checksum of an empty one; AWS ignores checksums in a
// query altogether. Any other checksum is a promise that somebody made on
// purpose, and is kept. The announcement of an algorithm promises nothing.
//
// A parameter that no header can have, or that contradicts a header, is
// InvalidArgument.
func (op *Operation) Hoisted(h http.Header) (http.Header, error) {
	if !op.Presigned() {
		return h, nil
	}
	out := h
	for _, p := range op.Query {
		name, ok := hoistable(p.Name)
		if !ok || name == "x-amz-sdk-checksum-algorithm" || promisesNothing(name, p.Value) {
			continue
		}
		if !headerName(name) || !headerText(p.Value) {
			return nil, invalidArgument(name, p.Value, "The parameter %s cannot stand for a header.", name)
		}
		field := http.CanonicalHeaderKey(name)
		if sent, ok := out[field]; ok {
			if !slices.Equal(sent, []string{p.Value}) {
				return nil, invalidArgument(name, p.Value, "The header %s must not be repeated.", name)
			}
			continue
		}
		if len(out) == len(h) { // the first one
			if out = maps.Clone(h); out == nil {
				out = http.Header{}
			}
		}
		out[field] = []string{p.Value}
	}
	return out, nil
}

// hoistable returns the name of the header for which a parameter stands.
func hoistable(param string) (name string, ok bool) {
	name = strings.ToLower(param)
	return name, strings.HasPrefix(name, "x-amz-") && !slices.Contains(authParams, name)
}

// promisesNothing holds for the checksum of an empty body.
func promisesNothing(name, value string) bool {
	algorithm, ok := strings.CutPrefix(name, checksumPrefix)
	_, known := algorithms[algorithm]
	return ok && known && checksumOf(algorithm, nil) == value
}

// headerName tells whether a name, in lower case, can be that of a header.
func headerName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
