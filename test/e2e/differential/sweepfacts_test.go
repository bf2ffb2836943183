//go:build e2e

package differential

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// untold are headers and elements that differ from one server to the next, and from one
// request to the next: names of requests and hosts, times, owners, tokens.
var untold = map[string]bool{
	"Date": true, "Server": true, "X-Amz-Request-Id": true, "X-Amz-Id-2": true, "Connection": true, "Last-Modified": true, "Vary": true,
	"Strict-Transport-Security": true, "X-Content-Type-Options": true, "X-Xss-Protection": true, "Content-Security-Policy": true,
	"X-Ratelimit-Limit": true, "X-Ratelimit-Remaining": true, "Transfer-Encoding": true, "Allow": true,
	"RequestId": true, "HostId": true, "LastModified": true, "CreationDate": true, "Owner": true, "Initiator": true, "Initiated": true,
	"UploadId": true, "NextUploadIdMarker": true, "NextContinuationToken": true, "ContinuationToken": true, "Message": true,
	"Name": true, "Bucket": true, // of the list, told by all
}

// factsOf is what a success tells: headers, and the elements of a document in no order. An
// object's own headers count where it is read, which is where it tells its time.
func factsOf(o odd, a wire.Answer) map[string][]string {
	facts := map[string][]string{}
	if a.Status/100 != 2 {
		return facts
	}
	document, isXML := elements(a.Body)
	for name, values := range a.Header {
		ofBody := name == "Content-Length" || name == "Content-Type"
		ofObject := name == "Accept-Ranges" || name == "Etag" && isXML
		if !untold[name] && (!isXML || !ofBody) && (!ofObject || a.Header.Get("Last-Modified") != "" && !isXML) {
			facts[name] = values
		}
	}
	if isXML {
		facts["document"] = document
	} else if len(a.Body) > 0 {
		facts["body"] = []string{fmt.Sprintf("%.40q %x", a.Body, sha256.Sum256(a.Body))}
	}
	return facts
}

// elements are those of a document that hold text, each with its path, sorted.
func elements(body []byte) (found []string, ok bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return nil, false
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	var path []string
	skip := 0 // depth of an element that is not told
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, false
		}
		switch token := token.(type) {
		case xml.StartElement:
			if path = append(path, token.Name.Local); skip == 0 && untold[token.Name.Local] {
				skip = len(path)
			}
		case xml.EndElement:
			if skip == len(path) {
				skip = 0
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if value := strings.TrimSpace(string(token)); value != "" && skip == 0 {
				found = append(found, strings.Join(path[1:], ".")+"="+value)
			}
		}
	}
	slices.Sort(found)
	return found, true
}

// differing are the facts that the server tells and s3mirror does not, or not so, and what
// s3mirror finds more. A header more, or a word more about an object, costs no client anything.
func differing(a, b map[string][]string) string {
	var out []string
	for name, values := range a {
		if less := without(values, b[name]); len(less) > 0 {
			out = append(out, fmt.Sprintf("%s: %v, not %v", name, less, without(b[name], values)))
		}
	}
	for _, name := range []string{"document", "body"} {
		more := slices.DeleteFunc(without(b[name], a[name]), func(line string) bool { return name == "document" && !finds.MatchString(line) })
		if len(more) > 0 {
			out = append(out, fmt.Sprintf("%s: more, %v", name, more))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n    ")
}

// finds matches elements that say what there is.
var finds = regexp.MustCompile(`(Key|Prefix|Code|IsTruncated|PartNumber)=`)

// without is what of all is not among others, each counted.
func without(all, others []string) (left []string) {
	rest := slices.Clone(others)
	for _, line := range all {
		if i := slices.Index(rest, line); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		} else {
			left = append(left, line)
		}
	}
	return left
}
