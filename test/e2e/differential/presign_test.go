//go:build e2e

package differential

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // of Signature Version 2
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// presign puts the credentials of a request into its query.
func presign(r *wire.Request, version string, keys wire.Keys, now time.Time, lives int) {
	if version == "v2" {
		presignV2(r, keys, now, lives)
		return
	}
	date := now.UTC().Format("20060102T150405Z")
	scope := date[:8] + "/" + keys.Region + "/s3/aws4_request"
	pairs := []string{"X-Amz-Algorithm", "AWS4-HMAC-SHA256", "X-Amz-Credential", keys.Access + "/" + scope, "X-Amz-Date", date, "X-Amz-Expires", fmt.Sprint(lives), "X-Amz-SignedHeaders", "host"}
	query := wire.Query(pairs...)
	if r.Query != "" {
		query += "&" + r.Query
	}
	sorted := strings.Split(query, "&")
	slices.Sort(sorted)
	canonical := strings.Join([]string{r.Method, r.Path, strings.Join(sorted, "&"), "host:" + r.Host + "\n", "host", "UNSIGNED-PAYLOAD"}, "\n")
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + wire.Hash([]byte(canonical))
	r.Query = query + "&X-Amz-Signature=" + signText(keys.Secret, scope, text)
}

// signText signs a text by Signature Version 4.
func signText(secret, scope, text string) string {
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = hmacOf(sha256.New, key, part)
	}
	return hex.EncodeToString(hmacOf(sha256.New, key, text))
}

func hmacOf(of func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(of, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func presignV2(r *wire.Request, keys wire.Keys, now time.Time, lives int) {
	until := fmt.Sprint(now.Unix() + int64(lives))
	resource := r.Path
	if r.Query != "" { // response-* parameters are signed decoded
		name, value, _ := strings.Cut(r.Query, "=")
		resource += "?" + name + "=" + unescape(value)
	}
	text := strings.Join([]string{r.Method, "", "", until, resource}, "\n")
	signature := base64.StdEncoding.EncodeToString(hmacOf(sha1.New, []byte(keys.Secret), text))
	query := wire.Query("AWSAccessKeyId", keys.Access, "Expires", until, "Signature", signature)
	if r.Query != "" {
		query = r.Query + "&" + query
	}
	r.Query = query
}

func unescape(s string) string {
	plain, err := url.PathUnescape(s)
	if err != nil {
		panic(err)
	}
	return plain
}
